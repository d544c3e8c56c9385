import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { realSurroundings } from "./exchange.ts";

const nobody = { address: "::1", port: 9, tlsName: null };
const deaf = { message: () => assert.fail(), failed: () => {} };

test("an exchange that ends as it begins, or with its surroundings, ends without a word", async () => {
  const around = realSurroundings();
  for (const overTcp of [false, true]) {
    const end = around.exchange(nobody, overTcp, Buffer.alloc(12), deaf);
    end();
    end();
    around.exchange(nobody, overTcp, Buffer.alloc(12), deaf);
  }
  around.close();
  around.close();
  // A thing left open, or thrown later, fails this file.
  await new Promise((resolve) => setTimeout(resolve, 20));
});

test("a connection that is closed without an answer is a failure", async () => {
  const server = createServer((socket) => socket.end()).listen(0, "::1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address && typeof address === "object");
  const around = realSurroundings();
  const why = await new Promise<string>((failed) =>
    around.exchange({ address: "::1", port: address.port, tlsName: null }, true, Buffer.alloc(12), {
      message: () => assert.fail(),
      failed,
    }),
  );
  assert.match(why, /closed the connection/);
  around.close();
  server.close();
});
