import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { appendFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { BeingWritten, FileCache, memoryBytes, OpenFile, onDisk } from "./file-cache.ts";

const dir = mkdtempSync(join(tmpdir(), "netboot6-cache-"));
after(() => rmSync(dir, { recursive: true }));
const path = (name: string): string => join(dir, name);
const now = (name: string) => onDisk(path(name), statSync(path(name)));

test("a file is read once however many ask at once, and held", async () => {
  writeFileSync(path("a"), "content");
  const cache = new FileCache(1000);
  const all = await Promise.all(Array.from({ length: 100 }, () => cache.get(now("a"))));
  assert.equal(new Set(all.map((file) => file?.body)).size, 1);
  assert.equal(all[0]?.body.toString(), "content");
  assert.equal(cache.get(now("a")), all[0], "held: no promise");
});

test("a file that was replaced is read again, also where size and time are the same; its tag is of its content", async () => {
  const cache = new FileCache(1000);
  const time = new Date("2026-01-01");
  writeFileSync(path("b"), "first!");
  utimesSync(path("b"), time, time);
  const first = await cache.get(now("b"));
  writeFileSync(path("b.new"), "second");
  utimesSync(path("b.new"), time, time);
  renameSync(path("b.new"), path("b"));
  const second = await cache.get(now("b"));
  assert.equal(second?.body.toString(), "second");
  assert.notEqual(second?.etag, first?.etag);
  assert.equal(first?.body.toString(), "first!", "a download under way has the old one");
  writeFileSync(path("b"), "third!");
  utimesSync(path("b"), time, time);
  assert.equal((await cache.get(now("b")))?.body.toString(), "third!", "written over, too");
  writeFileSync(path("b"), "first!");
  assert.equal((await cache.get(now("b")))?.etag, first?.etag);
});

test("what is too large for the cache is not held; the least used goes first", async () => {
  const cache = new FileCache(100);
  writeFileSync(path("large"), Buffer.alloc(51));
  assert.equal(cache.get(now("large")), null);
  for (const name of ["1", "2", "3"]) {
    writeFileSync(path(name), Buffer.alloc(40));
    await cache.get(now(name));
  }
  assert.ok(cache.get(now("1")) instanceof Promise, "gone");
  assert.ok(!(cache.get(now("3")) instanceof Promise), "held");
});

test("many asked for at once are no more than the cache may hold: for what is too much there is no room until others are read", async () => {
  const cache = new FileCache(100e6);
  const names = ["at once 1", "at once 2", "at once 3"];
  for (const name of names) {
    writeFileSync(path(name), Buffer.alloc(40e6));
    utimesSync(path(name), 1, 1);
  }
  const all = await Promise.all(names.map((name) => cache.get(now(name))));
  assert.equal(all.filter((file) => file === null).length, 1);
  for (const name of names) assert.equal((await cache.get(now(name)))?.body.length, 40e6);
});

test("one that has grown too large since it was looked at is not held", async () => {
  writeFileSync(path("grown"), Buffer.alloc(60));
  utimesSync(path("grown"), 1, 1);
  assert.equal(await new FileCache(100).get({ ...now("grown"), size: 10 }), null);
});

test("what is not said otherwise is a quarter of the memory", () => {
  assert.equal(new FileCache(null).limit, memoryBytes() / 4);
});

test("a file that is written to while it is read is waited for, not for long, and never taken for whole", async () => {
  const cache = new FileCache(200e6);
  writeFileSync(path("growing"), Buffer.alloc(20e6, "a"));
  let ended = false;
  const write = async () => {
    while (!ended) await appendFile(path("growing"), "a");
  };
  const writing = write();
  await assert.rejects(async () => cache.get(now("growing")), BeingWritten);
  setTimeout(() => {
    ended = true;
  }, 400);
  const whole = await cache.get(now("growing"));
  await writing;
  assert.equal(whole?.body.length, statSync(path("growing")).size);
});

test("a file that rested, and is written to while it is read, is read again", async () => {
  const cache = new FileCache(300e6);
  writeFileSync(path("rested"), Buffer.alloc(100e6, "a"));
  utimesSync(path("rested"), 1, 1);
  setTimeout(() => appendFileSync(path("rested"), "b"), 20); // reading it takes longer
  assert.equal((await cache.get(now("rested")))?.body.length, 100e6 + 1);
});

test("a copy that comes in pieces is given out once it is whole, also where there is no room for it", async (t) => {
  const cache = new FileCache(100e6);
  writeFileSync(path("copied"), "piece");
  for (let piece = 1; piece <= 5; piece++) setTimeout(() => appendFile(path("copied"), "piece"), piece * 100);
  const [held, open] = await Promise.all([cache.get(now("copied")), OpenFile.open(path("copied"))]);
  open.close();
  assert.deepEqual([held?.body.length, open.about.size], [30, 30]);
  const writing = setInterval(() => appendFile(path("copied"), "piece"), 10); // also where the machine is busy
  t.after(() => clearInterval(writing));
  appendFileSync(path("copied"), "piece");
  await assert.rejects(OpenFile.open(path("copied")), BeingWritten);
});

test("a large file: replaced, the one that was opened goes on; written to, it breaks off", async () => {
  writeFileSync(path("iso"), "old content");
  const open = await OpenFile.open(path("iso"));
  assert.equal((await open.read(4, 7)).toString(), "content");
  writeFileSync(path("iso.new"), "new content");
  renameSync(path("iso.new"), path("iso"));
  assert.equal((await open.read(0, 3)).toString(), "old");
  open.close();
  const again = await OpenFile.open(path("iso"));
  assert.notEqual(again.etag, open.etag);
  await writeFile(path("iso"), "NEW CONTENT");
  utimesSync(path("iso"), 1, 1);
  await assert.rejects(again.read(0, 3), BeingWritten);
  again.close();
});
