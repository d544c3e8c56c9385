import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { EventBody } from "@netboot6/events";
import type { FailingSettings } from "./fixtures/failing-worker.ts";
import { SupervisedWorker } from "./worker-service.ts";

const program = new URL("./fixtures/failing-worker.ts", import.meta.url);

interface Supervised {
  readonly worker: SupervisedWorker<FailingSettings>;
  readonly events: EventBody[];
  /** What its next start or reload is given. */
  readonly settings: { how: FailingSettings["how"]; readonly marker: string };
  /** How often it was given them. */
  readonly given: () => number;
  until(fits: (event: EventBody) => boolean): Promise<EventBody>;
}

function supervise(t: TestContext, how: FailingSettings["how"], answer: () => Promise<unknown> = async () => "yes"): Supervised {
  const dir = mkdtempSync(join(tmpdir(), "netboot6-worker-"));
  const settings = { how, marker: join(dir, "started") };
  const events: EventBody[] = [];
  const hearers = new Set<() => void>();
  let given = 0;
  const worker = new SupervisedWorker<FailingSettings>({
    name: "http",
    program,
    settings: () => {
      given++;
      return { ...settings };
    },
    emit: (event) => {
      events.push(event);
      for (const hear of hearers) hear();
    },
    answer,
  });
  t.after(async () => {
    await worker.stop();
    rmSync(dir, { recursive: true });
  });
  const until = (fits: (event: EventBody) => boolean) =>
    new Promise<EventBody>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not seen: ${JSON.stringify(events)}`)), 10_000);
      const hear = (): void => {
        const found = events.find(fits);
        if (!found) return;
        clearTimeout(timer);
        hearers.delete(hear);
        resolve(found);
      };
      hearers.add(hear);
      hear();
    });
  return { worker, events, settings, given: () => given, until };
}

const tells = (why: string) => (event: EventBody) => event.type === "wire.dropped" && event.why === why;
const failures = (events: readonly EventBody[]) => events.filter((event) => event.type === "service.failed");

for (const how of ["exit", "throw"] as const)
  test(`a worker that ends (${how}) is started again alone, and it is told why`, async (t) => {
    const { worker, events, until } = supervise(t, how);
    await worker.start();
    const failed = await until((event) => event.type === "service.failed");
    assert.ok(failed.type === "service.failed" && failed.retry === 0.5);
    assert.match(failed.why, how === "throw" ? /a defect/ : /ended/);
    await until((event) => event.type === "service.ready" && event.listens[0] === "second");
    const told = () => events.filter(tells("main says yes"));
    await until(() => told().length === 2); // what each of the two asked of main is answered, and its events come
  });

test("a worker that does not come up at first refuses the start, with its reason", async (t) => {
  const { worker } = supervise(t, "refuse");
  await assert.rejects(worker.start(), /the port is taken/);
});

test("a worker that is stopped stays stopped", async (t) => {
  const { worker, events } = supervise(t, "stay");
  await worker.start();
  await worker.stop();
  assert.deepEqual(failures(events), []);
});

test("one that cannot come up again is tried after longer and longer, 30 s at most; once it was up, after half a second", {
  timeout: 60_000,
}, async (t) => {
  const { worker, events, settings, until } = supervise(t, "exit");
  t.mock.timers.enable({ apis: ["setTimeout"] });
  await worker.start();
  for (const [seconds, next] of [
    [0.5, "refuse"],
    ...[1, 2, 4, 8, 16, 30].map((each) => [each, "refuse"] as const),
    [30, "exit"],
    [0.5, "stay"],
  ] as const) {
    const before = failures(events).length;
    const failed = await until(() => failures(events).length > before).then(() => failures(events).at(-1));
    assert.ok(failed?.type === "service.failed" && failed.retry === seconds, JSON.stringify(failed));
    settings.how = next;
    if (next === "exit") rmSync(settings.marker);
    t.mock.timers.tick(seconds * 1000);
  }
  await until(() => events.filter((event) => event.type === "service.ready").length === 3);
});

test("one that is stopped while it waits to be started again stays stopped", { timeout: 60_000 }, async (t) => {
  const { worker, given, until } = supervise(t, "exit");
  t.mock.timers.enable({ apis: ["setTimeout"] });
  await worker.start();
  await until((event) => event.type === "service.failed");
  await worker.stop();
  t.mock.timers.tick(60_000);
  assert.equal(given(), 1);
});

test("one that does not answer for ten seconds is started again; who answers each ping is left alone", async (t) => {
  const { worker, events, until } = supervise(t, "stay");
  let now = 0;
  t.mock.method(performance, "now", () => now);
  t.mock.timers.enable({ apis: ["setInterval"] });
  await worker.start();
  for (let pings = 0; pings < 4; pings++) {
    now += 5000;
    t.mock.timers.tick(5000);
    await worker.reload(); // its answer comes after the ping's
  }
  assert.deepEqual(failures(events), []);
  now += 10_001;
  t.mock.timers.tick(5000);
  const failed = await until((event) => event.type === "service.failed");
  assert.ok(failed.type === "service.failed");
  assert.equal(failed.why, "it did not answer for 10 s");
});

test("a reload that the worker refuses, does not finish or dies of fails, and says why", { timeout: 60_000 }, async (t) => {
  const { worker, settings, until } = supervise(t, "stay");
  t.mock.timers.enable({ apis: ["setTimeout"] });
  await worker.start();
  await worker.reload();
  await until(tells("it takes stay"));
  settings.how = "refuse";
  await assert.rejects(worker.reload(), /the port is taken/);
  settings.how = "hang";
  const reloading = assert.rejects(worker.reload(), /did not take the new settings within 10 s/);
  t.mock.timers.tick(10_000);
  await reloading;
  settings.how = "exit";
  await assert.rejects(worker.reload(), /its thread ended/);
  await worker.reload(); // it is down: it takes them when it starts
});

test("what is told to a worker while it starts reaches it once it is up", async (t) => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<string>();
  const { worker, until } = supervise(t, "stay", () => {
    asked.resolve();
    return answer.promise;
  });
  const starting = worker.start();
  await asked.promise;
  worker.tell("a name");
  answer.resolve("yes");
  await starting;
  await until(tells("it hears a name"));
});

test("a reload while a worker starts again is taken by it once it is up", async (t) => {
  const again = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<string>();
  let starts = 0;
  const { worker, settings, until } = supervise(t, "exit", async () => {
    if (++starts === 1) return "yes";
    again.resolve();
    return answer.promise;
  });
  await worker.start();
  await again.promise;
  settings.how = "stay";
  const reloading = worker.reload();
  answer.resolve("yes");
  await reloading;
  await until(tells("it takes stay"));
});

test("a question that main cannot answer fails there, with the reason", async (t) => {
  const { worker } = supervise(t, "stay", () => Promise.reject(new Error("no such token")));
  await assert.rejects(worker.start(), /no such token/);
});

test("a worker that does not stop is ended after three seconds", { timeout: 30_000 }, async (t) => {
  const { worker } = supervise(t, "hang");
  await worker.start();
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const stopping = worker.stop();
  t.mock.timers.tick(3_000);
  await stopping;
});
