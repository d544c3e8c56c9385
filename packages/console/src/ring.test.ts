/** The stream for who comes back: what was missed, and when that is not known any more. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BootEvent } from "@netboot6/events";
import { EventRing } from "./ring.ts";
import { boot, testConsole } from "./test-console.ts";

const event = (seq: number): BootEvent => ({ seq, at: 0, type: "appliance.resumed" });

test("the ring keeps the newest, gives what came after a number, and says where some are gone", () => {
  const ring = new EventRing(3);
  for (let seq = 1; seq <= 5; seq++) ring.read(event(seq));
  ring.read({ ...event(6), type: "http.progress" } as BootEvent);
  const seqs = (events: readonly BootEvent[] | null) => events?.map(({ seq }) => seq);
  assert.deepEqual(seqs(ring.all()), [3, 4, 5]);
  assert.deepEqual(seqs(ring.after(4)), [5]);
  assert.deepEqual(seqs(ring.after(2)), [3, 4, 5]);
  assert.equal(ring.after(1), null);
});

/** The first of the stream, until as many messages came. */
async function stream(
  console: Awaited<ReturnType<typeof testConsole>>,
  query: string,
  messages: number,
  lastId?: string,
): Promise<string[]> {
  const { app } = console;
  await app.listen({ host: "::1", port: 0 });
  const address = app.server.address() as { port: number };
  const ending = new AbortController();
  const answer = await fetch(`http://[::1]:${address.port}/api/v1/events?${query}`, {
    headers: lastId === undefined ? {} : { "last-event-id": lastId },
    signal: ending.signal,
  });
  assert.equal(answer.headers.get("content-type"), "text/event-stream");
  assert.match(answer.headers.get("content-security-policy") ?? "", /default-src 'none'/);
  let text = "";
  for await (const chunk of answer.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (text.split("\n\n").length > messages + 1) break;
  }
  ending.abort();
  await app.close();
  return text.split("\n\n").slice(1, messages + 1);
}

test("who comes back with Last-Event-ID gets what it missed, of what it asked for", async () => {
  const console = await testConsole();
  boot(console.bus);
  const run = console.readings.startedAt.toString(36);
  const missed = await stream(console, "type=dhcpv6&machine=m-525400000001", 2, `${run}-1`);
  assert.match(missed[0] ?? "", new RegExp(`^id: ${run}-2\ndata: \\{.*"type":"dhcpv6.answered"`));
  assert.match(missed[1] ?? "", /"clientKind":"ipxe"/);
});

test("events of another run, or that are gone, are told as lost", async () => {
  const console = await testConsole();
  boot(console.bus);
  assert.match((await stream(console, "", 1, "other-1"))[0] ?? "", /^event: lost/);
});

test("a new reader may ask for the last ones first", async () => {
  const console = await testConsole();
  boot(console.bus);
  const [only] = await stream(console, "last=1&level=info", 1);
  assert.match(only ?? "", /"path":"\/boot.ipxe"/);
});
