/** A service in a worker thread, watched: one that dies or no longer answers is started again alone. */
import { Worker } from "node:worker_threads";
import type { Emit, EventBody, FromWorker, Question, ServiceName, ToWorker } from "@netboot6/events";

export interface WorkerService<Settings> {
  readonly name: ServiceName;
  readonly program: URL;
  /** As they are now: for a start, and for each start again. */
  settings(): Settings;
  readonly emit: Emit;
  answer(question: Question): Promise<unknown>;
}

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const PING_EVERY_MS = 5_000;
const PING_DEADLINE_MS = 10_000;
const STOP_DEADLINE_MS = 3_000;
const RELOAD_DEADLINE_MS = 10_000;

export class SupervisedWorker<Settings> {
  readonly #service: WorkerService<Settings>;
  #worker: Worker | null = null;
  #stopping = false;
  #retry = FIRST_RETRY_MS;
  #timer: NodeJS.Timeout | null = null;
  #lastId = 0;
  #reloads = new Map<number, (error: string | undefined) => void>();
  #lastPong = 0;
  #ready = false;
  #news: unknown[] = [];

  constructor(service: WorkerService<Settings>) {
    this.#service = service;
  }

  /** Resolves once it answers; rejects where it does not come up the first time. */
  start(): Promise<void> {
    return this.#run();
  }

  /** Takes its settings as they are now. */
  async reload(): Promise<void> {
    if (!this.#worker) return;
    const id = ++this.#lastId;
    const error = await new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(`it did not take the new settings within ${RELOAD_DEADLINE_MS / 1000} s`), RELOAD_DEADLINE_MS);
      this.#reloads.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.#say({ say: "reload", settings: this.#service.settings(), id });
    });
    this.#reloads.delete(id);
    if (error !== undefined) throw new Error(error);
  }

  /** What changed since its settings were made; while it starts, that is kept for it. */
  tell(news: unknown): void {
    if (this.#ready) this.#say({ say: "news", news });
    else this.#news.push(news);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#timer) clearTimeout(this.#timer);
    const worker = this.#worker;
    if (!worker) return;
    const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
    this.#say({ say: "stop" });
    const force = setTimeout(() => void worker.terminate(), STOP_DEADLINE_MS);
    await ended;
    clearTimeout(force);
  }

  #say(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  #run(): Promise<void> {
    const { name, program, emit } = this.#service;
    const worker = new Worker(program, { workerData: this.#service.settings(), name });
    this.#worker = worker;
    this.#lastPong = performance.now(); // the wall clock steps when time is set
    this.#ready = false;
    this.#news = [];
    let why = "its thread ended";
    return new Promise((resolve, reject) => {
      const watch = setInterval(() => {
        if (performance.now() - this.#lastPong > PING_DEADLINE_MS) {
          why = `it did not answer for ${PING_DEADLINE_MS / 1000} s`;
          void worker.terminate();
        } else this.#say({ say: "ping", id: ++this.#lastId });
      }, PING_EVERY_MS);
      worker.on("message", (message: FromWorker) => {
        switch (message.say) {
          case "ready":
            this.#ready = true;
            for (const news of this.#news.splice(0)) this.tell(news);
            this.#retry = FIRST_RETRY_MS;
            emit({ type: "service.ready", service: name, listens: message.listens });
            resolve();
            break;
          case "failed":
            why = message.why;
            break;
          case "events":
            for (const event of JSON.parse(message.events) as EventBody[]) emit(event);
            if (message.dropped > 0)
              emit({ type: "wire.dropped", service: name, why: "progress events, under load", count: message.dropped });
            break;
          case "ask":
            void this.#answer(message.id, message.question);
            break;
          case "pong":
            this.#lastPong = performance.now();
            break;
          case "reloaded":
            this.#reloads.get(message.id)?.(message.error);
            this.#reloads.delete(message.id);
            break;
        }
      });
      worker.on("error", (error: Error) => {
        why = error.message;
      });
      worker.on("exit", () => {
        clearInterval(watch);
        const wasReady = this.#ready;
        this.#worker = null;
        this.#ready = false;
        for (const settle of this.#reloads.values()) settle(why);
        this.#reloads.clear();
        if (this.#stopping) return;
        if (!wasReady && this.#retry === FIRST_RETRY_MS) reject(new Error(why));
        if (wasReady || this.#retry > FIRST_RETRY_MS) this.#again(why);
      });
    });
  }

  #again(why: string): void {
    emitFailed(this.#service, why, this.#retry);
    this.#timer = setTimeout(() => void this.#run().catch(() => {}), this.#retry);
    this.#retry = Math.min(LONGEST_RETRY_MS, this.#retry * 2);
  }

  async #answer(id: number, question: Question): Promise<void> {
    try {
      this.#say({ say: "answer", id, value: await this.#service.answer(question) });
    } catch (error) {
      this.#say({ say: "answer", id, error: (error as Error).message });
    }
  }
}

function emitFailed<Settings>({ emit, name }: WorkerService<Settings>, why: string, retry: number): void {
  emit({ type: "service.failed", service: name, why, retry: retry / 1000 });
}
