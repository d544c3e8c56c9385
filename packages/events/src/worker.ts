import { parentPort, workerData } from "node:worker_threads";
import type { FromWorker, Link, Running, Start, ToWorker } from "./link.ts";
import type { EventBody } from "./types.ts";

const BATCH_MS = 20;
const QUEUE_LIMIT = 10_000;
/** HTTP answers 503 then, and but for iPXE nobody asks again soon: long enough to be rare, and within the 5 s that GRUB waits for a head. */
const ASK_DEADLINE_MS = 4_000;

/** Runs a service as the whole of this worker thread; its settings came as `workerData`. */
export async function runWorker<Settings>(start: Start<Settings>): Promise<void> {
  const port = parentPort;
  if (!port) throw new Error("runWorker is for worker threads");
  const say = (message: FromWorker): void => port.postMessage(message);

  let queue: EventBody[] = [];
  let dropped = 0;
  let flushing: NodeJS.Timeout | null = null;
  const flush = (): void => {
    if (flushing) clearTimeout(flushing);
    flushing = null;
    if (queue.length > 0 || dropped > 0) say({ say: "events", events: JSON.stringify(queue), dropped });
    queue = [];
    dropped = 0;
  };

  let lastAsk = 0;
  const asked = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void; timer: NodeJS.Timeout }>();
  const link: Link = {
    emit(event) {
      // Progress may be lost under load, decisions never.
      if (queue.length >= QUEUE_LIMIT && event.type.endsWith(".progress")) dropped++;
      else queue.push(event);
      flushing ??= setTimeout(flush, BATCH_MS);
    },
    ask(question, deadline = ASK_DEADLINE_MS) {
      const id = ++lastAsk;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          asked.delete(id);
          reject(new Error(`the main thread did not answer "${question.ask}" within ${deadline} ms`));
        }, deadline);
        asked.set(id, { resolve, reject, timer });
        flush(); // what happened before the question is told before it
        say({ say: "ask", id, question });
      });
    },
  };

  let running: Running<Settings> | null = null;
  const starting = Promise.withResolvers<Running<Settings>>();
  starting.promise.catch(() => {}); // it may be that nobody waits
  port.on("message", async (message: ToWorker) => {
    if (message.say === "answer") {
      const waiting = asked.get(message.id);
      if (!waiting) return;
      asked.delete(message.id);
      clearTimeout(waiting.timer);
      if (message.error === undefined) waiting.resolve(message.value);
      else waiting.reject(new Error(message.error));
    } else if (message.say === "ping") say({ say: "pong", id: message.id });
    else if (message.say === "news") running?.tell?.(message.news);
    else if (message.say === "reload") {
      // One that starts was given the settings of before.
      const error = await starting.promise
        .then((started) => started.reload(message.settings as Settings))
        .then(
          () => undefined,
          (cause: Error) => cause.message,
        );
      say({ say: "reloaded", id: message.id, ...(error === undefined ? {} : { error }) });
    } else if (message.say === "stop") {
      await running?.stop();
      flush();
      say({ say: "stopped" });
      port.close();
    }
  });

  try {
    running = await start(workerData as Settings, link);
    say({ say: "ready", listens: running.listens });
    starting.resolve(running);
  } catch (cause) {
    starting.reject(cause as Error);
    say({ say: "failed", why: (cause as Error).message });
    port.close();
  }
}
