/** What who follows the stream is sent, in virtual time. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { EventBus } from "@netboot6/events";
import { Followers, type Sink } from "./followers.ts";

class Reader implements Sink {
  readonly texts: string[] = [];
  destroyed = false;
  writableLength = 0;
  write(text: string): void {
    this.texts.push(text);
  }
  destroy(): void {
    this.destroyed = true;
  }
  /** The numbers of the events in each text. */
  get numbers(): string[] {
    return this.texts.map((text) => [...text.matchAll(/^id: run-(\d+)$/gm)].map(([, n]) => n).join());
  }
}

function stream(t: TestContext): { followers: Followers; emit: (what: string) => void; wait: (milliseconds: number) => void } {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const bus = new EventBus(
    () => ({}),
    () => 0,
  );
  return {
    followers: new Followers(bus, "run"),
    emit: (what) => bus.emit({ type: "operator.acted", what }),
    wait: (milliseconds) => t.mock.timers.tick(milliseconds),
  };
}

test("events are sent together after 50 ms, each as its number and its JSON, to all who follow", (t) => {
  const { followers, emit, wait } = stream(t);
  const readers = [new Reader(), new Reader()];
  for (const reader of readers) followers.add(reader, null, []);
  emit("a");
  wait(30);
  emit("b");
  wait(19);
  assert.deepEqual(readers[0]?.texts, []);
  wait(1);
  for (const { texts } of readers)
    assert.deepEqual(texts, [
      'id: run-1\ndata: {"type":"operator.acted","what":"a","seq":1,"at":0}\n\nid: run-2\ndata: {"type":"operator.acted","what":"b","seq":2,"at":0}\n\n',
    ]);
  emit("c");
  wait(50);
  assert.deepEqual(readers[1]?.numbers, ["1,2", "3"]);
});

test("who wants some of them is sent those alone, and nothing where there are none", (t) => {
  const { followers, emit, wait } = stream(t);
  const [some, all] = [new Reader(), new Reader()];
  followers.add(some, (event) => "what" in event && event.what === "b", []);
  followers.add(all, null, []);
  for (const what of ["a", "b", "c"]) emit(what);
  wait(50);
  emit("d");
  wait(50);
  assert.deepEqual([some.numbers, all.numbers], [["2"], ["1,2,3", "4"]]);
});

test("who comes later is sent what it missed first, and none twice", (t) => {
  const { followers, emit, wait } = stream(t);
  const [first, later] = [new Reader(), new Reader()];
  followers.add(first, null, []);
  emit("a");
  followers.add(later, null, [{ type: "operator.acted", what: "a", seq: 1, at: 0 }]);
  emit("b");
  wait(50);
  assert.deepEqual(
    [first.numbers, later.numbers],
    [
      ["1", "2"],
      ["1", "2"],
    ],
  );
});

test("who left is sent no more; with nobody there nothing is kept", (t) => {
  const { followers, emit, wait } = stream(t);
  const [stays, leaves] = [new Reader(), new Reader()];
  const ends = [followers.add(stays, null, []), followers.add(leaves, null, [])];
  ends[1]?.();
  emit("a");
  wait(50);
  assert.deepEqual([stays.numbers, leaves.numbers, followers.size], [["1"], [], 1]);
  emit("b");
  ends[0]?.();
  emit("c");
  wait(50);
  assert.deepEqual([stays.numbers, followers.size], [["1"], 0]);
  const again = new Reader();
  followers.add(again, null, []);
  emit("d");
  wait(50);
  assert.deepEqual(again.numbers, ["4"]);
});

test("who holds more than 4 MiB back is cut off", (t) => {
  const { followers, emit, wait } = stream(t);
  const reader = new Reader();
  followers.add(reader, null, []);
  reader.writableLength = 4 * 1024 * 1024;
  emit("a");
  wait(50);
  assert.deepEqual([reader.numbers, reader.destroyed], [["1"], false]);
  reader.writableLength++;
  emit("b");
  wait(50);
  assert.deepEqual([reader.numbers, reader.destroyed], [["1"], true]);
});
