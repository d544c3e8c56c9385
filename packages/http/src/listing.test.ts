import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { directoryPage } from "./listing.ts";

test("a folder is shown with folders first, names as they count, sizes and times; names are no markup, and lead where they say; links out are not shown", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "netboot6-listing-"));
  t.after(() => rmSync(dir, { recursive: true }));
  mkdirSync(join(dir, "zz"));
  for (const name of ["linux-10", "linux-9", "<b>&.img", ".hidden"]) writeFileSync(join(dir, name), Buffer.alloc(12_345));
  symlinkSync("linux-9", join(dir, "zlink"));
  symlinkSync("/etc/passwd", join(dir, "out"));
  symlinkSync(`${dir}/..`, join(dir, "up"));
  const page = await directoryPage("/my files/debian", dir, dir);
  const rows = [...page.matchAll(/<a href="([^"]*)">([^<]*)<\/a><\/td><td>([^<]*)/g)].map(([, href, name, size]) => [href, name, size]);
  assert.deepEqual(rows, [
    ["/my%20files/", "../", ""],
    ["/my%20files/debian/zz/", "zz/", ""],
    ["/my%20files/debian/%3Cb%3E%26.img", "&#60;b&#62;&#38;.img", "12,345"],
    ["/my%20files/debian/linux-9", "linux-9", "12,345"],
    ["/my%20files/debian/linux-10", "linux-10", "12,345"],
    ["/my%20files/debian/zlink", "zlink", "12,345"],
  ]);
  assert.match(page, /\d{4}-\d\d-\d\d \d\d:\d\d/);
  assert.doesNotMatch(await directoryPage("/", dir, dir), /\.\.\//);
  const empty = await directoryPage("/<b>/zz", join(dir, "zz"), dir);
  assert.match(empty, /<title>Boot files: \/&#60;b&#62;\/zz\/<\/title>.*<p>It is empty\.<\/p>/s);
  assert.doesNotMatch(page, /It is empty/);
});
