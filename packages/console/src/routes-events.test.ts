/** The stream over a real connection: what is chosen, where it goes on, how many may follow. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { MAC, testConsole } from "./test-console.ts";

const ID = "m-525400000001";
const OTHER = "m-525400000002";

async function stream(t: TestContext) {
  const console = await testConsole();
  await console.app.listen({ host: "::1", port: 0 });
  const { port } = console.app.server.address() as AddressInfo;
  t.after(() => {
    console.app.server.closeAllConnections();
    return console.app.close();
  });
  const follow = async (query: string, headers: Record<string, string> = {}): Promise<IncomingMessage> => {
    const request = get({ host: "::1", port, path: `/api/v1/events?${query}`, headers, agent: false });
    const [response] = (await once(request, "response")) as [IncomingMessage];
    return response.setEncoding("utf8");
  };
  let ends = 0;
  /** What is sent at once: all of it is there before what happens then, which is the same for each machine. */
  const sent = async (query: string, headers?: Record<string, string>): Promise<string> => {
    const response = await follow(`${query}&type=dns&type=ra&type=machine&type=operator`, headers);
    const end = `end ${++ends}`;
    for (const machine of [ID, OTHER]) console.bus.emit({ type: "operator.acted", what: end, machine });
    let all = "";
    for await (const text of response) {
      all += text;
      if (all.includes(`"${end}"`)) break;
    }
    response.destroy();
    return all;
  };
  const whats = async (query: string, headers?: Record<string, string>): Promise<string[]> =>
    [...(await sent(query, headers)).matchAll(/"what":"([^"]+)"/g)].flatMap(([, what = ""]) => (what.startsWith("end") ? [] : what));
  return { console, follow, sent, whats };
}

test("a reader is given what was, as it chose, and then what is; a machine by any of its names", async (t) => {
  const { console, sent, whats } = await stream(t);
  const { bus } = console;
  bus.emit({ type: "machine.learned", what: "MAC", machine: ID, client: "fe80::1" });
  bus.emit({ type: "operator.acted", what: "one", machine: ID });
  bus.emit({ type: "operator.acted", what: "other", machine: OTHER });
  assert.deepEqual(await whats("last=2"), ["one", "other"]);
  assert.deepEqual(await whats(""), []);
  assert.deepEqual(await whats(`last=99&machine=${ID}`), ["MAC", "one"]);
  assert.deepEqual(await whats(`last=99&machine=${encodeURIComponent(MAC)}`), ["MAC", "one"]);
  assert.deepEqual(await whats(`last=99&machine=${OTHER}`), ["other"]);
  assert.match(await sent(""), /^: events as they happen\n\nid: \w+-\d+\ndata: \{"type":"operator\.acted",/);
});

test("of levels a reader is given those as loud as it chose, or louder", async (t) => {
  const { console, sent } = await stream(t);
  const { bus } = console;
  bus.emit({ type: "machine.learned", what: "debug", machine: ID, client: "fe80::1" });
  bus.emit({ type: "operator.acted", what: "info", machine: ID });
  bus.emit({ type: "dns.upstream", upstream: "::1", state: "down", why: "warn" });
  const given = async (level: string): Promise<string[]> => {
    const response = await sent(`last=99&level=${level}`);
    return ["debug", "info", "warn"].filter((each) => response.includes(`"${each}"`));
  };
  assert.deepEqual(await given("debug"), ["debug", "info", "warn"]);
  assert.deepEqual(await given("info"), ["info", "warn"]);
});

test("a reader goes on after the event that it had last; what is gone, or another process numbered, it is told to read anew", async (t) => {
  const { console, sent, whats } = await stream(t);
  for (const what of ["a", "b", "c"]) console.bus.emit({ type: "operator.acted", what, machine: ID });
  const [, run = "", first] = /^id: (\w+)-(\d+)$/m.exec(await sent("last=9")) ?? [];
  const after = (id: string): Record<string, string> => ({ "last-event-id": id });
  assert.deepEqual(await whats("", after(`${run}-${first}`)), ["b", "c"]);
  for (const id of [`other-${first}`, `${run}-`, `${run}-x`, run])
    assert.match(await sent("", after(id)), /\n\nevent: lost\ndata: \{"why":"events before these are gone/, id);
  assert.doesNotMatch(await sent("", after("")), /event: lost/);
});

test("64 may follow at once; the headers are those of every answer", async (t) => {
  const { follow } = await stream(t);
  const first = await follow("");
  assert.deepEqual(
    [first.headers["content-type"], first.headers["cache-control"], first.headers["x-content-type-options"]],
    ["text/event-stream", "no-store", "nosniff"],
  );
  for (let n = 1; n < 64; n++) assert.equal((await follow("")).statusCode, 200);
  const refused = await follow("");
  assert.deepEqual([refused.statusCode, refused.headers["content-type"]], [503, "application/problem+json; charset=utf-8"]);
});
