import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { EventBody } from "@netboot6/events";
import type { FailingSettings } from "./fixtures/failing-worker.ts";
import { SupervisedWorker } from "./worker-service.ts";

const program = new URL("./fixtures/failing-worker.ts", import.meta.url);

function supervise(
  t: TestContext,
  how: FailingSettings["how"],
): { worker: SupervisedWorker<FailingSettings>; events: EventBody[]; until: (fits: (event: EventBody) => boolean) => Promise<EventBody> } {
  const dir = mkdtempSync(join(tmpdir(), "netboot6-worker-"));
  const events: EventBody[] = [];
  const hearers = new Set<() => void>();
  const worker = new SupervisedWorker<FailingSettings>({
    name: "http",
    program,
    settings: () => ({ marker: join(dir, "started"), how }),
    emit: (event) => {
      events.push(event);
      for (const hear of hearers) hear();
    },
    answer: async () => "yes",
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
  return { worker, events, until };
}

for (const how of ["exit", "throw"] as const)
  test(`a worker that ends (${how}) is started again alone, and it is told why`, async (t) => {
    const { worker, events, until } = supervise(t, how);
    await worker.start();
    const failed = await until((event) => event.type === "service.failed");
    assert.ok(failed.type === "service.failed" && failed.retry === 0.5);
    assert.match(failed.why, how === "throw" ? /a defect/ : /ended/);
    await until((event) => event.type === "service.ready" && event.listens[0] === "second");
    const told = () => events.filter((event) => event.type === "wire.dropped" && event.why === "main says yes");
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
  assert.deepEqual(
    events.filter((event) => event.type === "service.failed"),
    [],
  );
});
