/** A clock for a program alone, which a test sets: libfaketime tells it the time. Its timers, by the monotonic clock, run as ever. */
import { renameSync, writeFileSync } from "node:fs";

export class Clock {
  /** What is put before the program's command. */
  readonly before: readonly string[];
  readonly #file: string;

  /** `file` is where the program reads what it is set to. */
  constructor(file: string, ahead = 0) {
    this.#file = file;
    this.before = [
      "env",
      "LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1", // the loader knows what $LIB is here
      `FAKETIME_TIMESTAMP_FILE=${file}`,
      "FAKETIME_NO_CACHE=1",
      "DONT_FAKE_MONOTONIC=1",
      "NO_FAKE_STAT=1",
    ];
    this.set(ahead);
  }

  /** So many seconds ahead of this host's clock, or behind it. */
  set(ahead: number): void {
    // Renamed: the program may read it at any moment.
    writeFileSync(`${this.#file}.new`, `${ahead < 0 ? "" : "+"}${ahead}`);
    renameSync(`${this.#file}.new`, this.#file);
  }
}
