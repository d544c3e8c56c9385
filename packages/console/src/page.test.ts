/** The page's files: who gets them, and with which headers. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { TOKEN, testConsole } from "./test-console.ts";

const FILES = new URL("./page/", import.meta.url);
const headers = { host: "[::1]:8067" };

test("the page is given without the token, off loopback too; the API is not", async () => {
  const { app } = await testConsole({ token: TOKEN, host: "2001:db8::1" });
  const status = async (url: string): Promise<number> => (await app.inject({ url, headers })).statusCode;
  assert.equal(await status("/"), 200);
  assert.equal(await status("/page/main.js"), 200);
  assert.equal(await status("/api/v1/machines"), 401);
  assert.equal((await app.inject({ url: "/", headers: { host: "evil.example" } })).statusCode, 421);
});

test("each file has its type and a policy that lets nothing in from elsewhere, and nothing inline", async () => {
  const { app } = await testConsole();
  const types: Record<string, RegExp> = { html: /^text\/html/, css: /^text\/css/, js: /^text\/javascript/, svg: /^image\/svg/ };
  for (const name of [...readdirSync(FILES), "htm-preact.js", "uplot.js", "uplot.css"]) {
    const answer = await app.inject({ url: name === "index.html" ? "/" : `/page/${name}`, headers });
    assert.equal(answer.statusCode, 200, name);
    assert.match(String(answer.headers["content-type"]), types[name.split(".").at(-1) as string] as RegExp);
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
    const policy = String(answer.headers["content-security-policy"]);
    assert.match(policy, /default-src '(none|self)'/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  }
});

test("the files name nothing that they do not bring along", async () => {
  const { app } = await testConsole();
  for (const name of readdirSync(FILES)) {
    const text = readFileSync(new URL(name, FILES), "utf8");
    for (const [, path] of text.matchAll(/(?:from |src=|href=)"(\.?\/[^"#]+)"/g)) {
      const url = (path as string).replace(/^\.\//, "/page/");
      assert.equal((await app.inject({ url, headers })).statusCode, 200, `${name} names ${path}`);
    }
  }
});
