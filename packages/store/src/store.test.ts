import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import {
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { hasPreparedLeft, UdpSocket } from "@netboot6/udp";
import { openStore, readStored, type Store, type Stored, StoreInUseError } from "./index.ts";

function tempDir(t: { after: (f: () => void) => void }): string {
  const dir = mkdtempSync(join(tmpdir(), "netboot6-store-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** It is closed as the test ends: its thread would keep one that fails from ending. */
async function open(t: { after: (f: () => void) => void }, dir: string): Promise<Store> {
  const store = await openStore(dir);
  t.after(() => store.close());
  return store;
}

test("what was committed is there after it is opened again; what was deleted is not", async (t) => {
  const dir = tempDir(t);
  const first = await open(t, dir);
  assert.deepEqual(first.stored, []);
  await Promise.all([
    first.commit([{ kind: "lease", key: "2001:db8::1", value: { machine: "a" } }]),
    first.commit([{ kind: "lease", key: "2001:db8::2", value: { machine: "b" } }]),
  ]);
  await first.commit([{ kind: "lease", key: "2001:db8::2", value: null }]);
  await first.close();
  const second = await open(t, dir);
  assert.deepEqual(
    second.stored.map((entry) => ({ ...entry })),
    [{ kind: "lease", key: "2001:db8::1", value: { machine: "a" } }],
  );
});

test("the prepared datagram leaves once its commit is on disk: not with another's, not too late, not where it fails", async (t) => {
  const dir = tempDir(t);
  const store = await open(t, dir);
  const peer = createSocket("udp6").bind(0, "::1");
  t.after(() => peer.close());
  await once(peer, "listening");
  const { port } = peer.address();
  const storedThen: unknown[] = [];
  peer.on("message", () => storedThen.push(readStored(dir)[0]?.value));
  const socket = new UdpSocket({ address: "::1", scope: 0, port: 0, receiveBufferBytes: 65_536 }, () => {}, assert.fail);
  t.after(() => socket.close());
  const commit = async (value: unknown, sendUntil: number): Promise<boolean> => {
    assert.ok(socket.prepare(Buffer.from("stored"), "::1", port, 0));
    await store.commit([{ kind: "lease", key: "a", value }], sendUntil).catch(() => {});
    return hasPreparedLeft();
  };
  assert.equal(await commit(1, 0), false);
  assert.equal(await commit(2, Date.now() - 1), false);
  assert.equal(await commit(3, Date.now() + 10_000), true);
  const other = new DatabaseSync(join(dir, "netboot6.db"));
  t.after(() => other.close());
  other.exec("BEGIN IMMEDIATE"); // another has the file to write
  assert.equal(await commit(4, Date.now() + 10_000), false);
  other.exec("ROLLBACK");
  assert.equal(await commit(5, Date.now() + 10_000), true);
  await store.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(storedThen, [3, 5]);
});

test("what may wait goes with the next commit, or with the closing", async (t) => {
  const dir = tempDir(t);
  const first = await open(t, dir);
  first.later([{ kind: "machine", key: "a", value: 1 }]);
  await first.commit([{ kind: "lease", key: "b", value: 2 }]);
  const underWay = first.commit([{ kind: "lease", key: "b", value: 2 }]);
  setImmediate(() => first.later([{ kind: "machine", key: "c", value: 3 }]));
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  await Promise.all([underWay, first.close()]);
  const second = await open(t, dir);
  assert.deepEqual(
    second.stored.map(({ key }) => key),
    ["a", "b", "c"],
  );
});

/** What is stored in the end; it may take as long as a slow disk does. */
async function untilStored(dir: string, expected: Readonly<Record<string, unknown>>): Promise<void> {
  const stored = () => Object.fromEntries(readStored(dir).map(({ key, value }) => [key, value]));
  for (const end = Date.now() + 10_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50)))
    if (JSON.stringify(stored()) === JSON.stringify(expected)) return;
  assert.deepEqual(stored(), expected);
}

test("what may wait is stored in a moment, though nothing else is: also what comes while a commit is under way", async (t) => {
  const dir = tempDir(t);
  const store = await open(t, dir);
  store.later([{ kind: "machine", key: "a", value: 1 }]);
  await untilStored(dir, { a: 1 });
  const underWay = store.commit([{ kind: "lease", key: "b", value: 2 }]);
  setImmediate(() => store.later([{ kind: "machine", key: "c", value: 3 }]));
  await underWay;
  await untilStored(dir, { a: 1, b: 2, c: 3 });
});

test("a commit that is handed over while another is under way comes right after it; one of nothing is done", {
  timeout: 30_000,
}, async (t) => {
  const store = await open(t, tempDir(t));
  t.mock.timers.enable({ apis: ["setTimeout"] }); // no leisure comes
  const first = store.commit([{ kind: "lease", key: "a", value: 1 }]);
  const second = await new Promise<Promise<void>[]>((resolve) =>
    setImmediate(() => resolve([store.commit([{ kind: "lease", key: "b", value: 2 }])])),
  );
  assert.notEqual(second[0], first);
  await Promise.all([first, ...second]);
  await store.commit([]);
});

test("what is deleted may be put again, and to delete what is not there does no harm to the rest", async (t) => {
  const dir = tempDir(t);
  const store = await open(t, dir);
  const put = (key: string, value: unknown) => ({ kind: "lease", key, value });
  await store.commit([put("a", 1)]);
  await store.commit([put("a", null)]);
  await store.commit([put("a", 2)]);
  await store.commit([put("gone", null), put("b", 3)]);
  await store.close();
  await untilStored(dir, { a: 2, b: 3 });
});

test("what was to be stored at leisure with a commit that fails does not go before what is newer", async (t) => {
  const dir = tempDir(t);
  const store = await open(t, dir);
  const other = new DatabaseSync(join(dir, "netboot6.db"));
  other.exec("BEGIN IMMEDIATE");
  store.later([{ kind: "machine", key: "a", value: 1 }]);
  const failing = assert.rejects(store.commit([{ kind: "lease", key: "b", value: 2 }]), /locked/);
  setImmediate(() => store.later([{ kind: "machine", key: "a", value: 2 }])); // the commit is under way
  await failing;
  other.exec("ROLLBACK");
  other.close();
  await store.close();
  await untilStored(dir, { a: 2 });
});

test("a commit that fails rejects, and what was to be stored at leisure with it is stored later", async (t) => {
  const dir = tempDir(t);
  const first = await open(t, dir);
  const other = new DatabaseSync(join(dir, "netboot6.db"));
  other.exec("BEGIN IMMEDIATE");
  first.later([{ kind: "machine", key: "a", value: 1 }]);
  await assert.rejects(first.commit([{ kind: "lease", key: "b", value: 2 }]), /locked/);
  other.exec("ROLLBACK");
  other.close();
  await first.commit([{ kind: "lease", key: "c", value: 3 }]);
  await first.close();
  const second = await open(t, dir);
  assert.deepEqual(
    second.stored.map(({ key, value }) => [key, value]),
    [
      ["a", 1],
      ["c", 3],
    ],
  );
});

/** What damages `netboot6.db` of a folder, or the files beside it; and why it is said to be damaged. */
const DAMAGES: readonly [what: string, damage: (file: string) => void, why: RegExp][] = [
  ["is no database", (file) => writeFileSync(file, "this is no database. ".repeat(100)), /not a database/],
  ["has a damaged page", (file) => writeFileSync(file, readFileSync(file).fill(0xff, 4096)), /malformed/],
  ["is empty", (file) => truncateSync(file), /is empty/],
  ["is gone, but for its -wal", (file) => renameSync(file, `${file}-wal`), /is gone/],
];

for (const [what, damage, why] of DAMAGES)
  test(`a store that ${what} is put aside and named, never silently emptied`, async (t) => {
    const dir = tempDir(t);
    const first = await open(t, dir);
    assert.equal(first.setAside, null);
    await first.commit(Array.from({ length: 1000 }, (_, i) => ({ kind: "lease", key: String(i), value: "x".repeat(50) })));
    await first.close();
    damage(join(dir, "netboot6.db"));
    assert.throws(() => readStored(dir), why);
    const second = await open(t, dir);
    assert.match(second.setAside?.why ?? "", why);
    assert.match(second.setAside?.file ?? "", /netboot6\.db\.damaged-/);
    assert.deepEqual(second.stored, []);
    await second.commit([{ kind: "meta", key: "x", value: 1 }]);
    await second.close();
    assert.equal(readStored(dir).length, 1);
  });

test("what stands beside a damaged file goes with it", async (t) => {
  const dir = tempDir(t);
  for (const suffix of ["", "-wal", "-shm"]) writeFileSync(join(dir, `netboot6.db${suffix}`), suffix);
  const store = await open(t, dir);
  await store.close();
  for (const suffix of ["", "-wal", "-shm"]) assert.equal(readFileSync(`${store.setAside?.file}${suffix}`, "latin1"), suffix);
});

test("a row that is no JSON is given as such, and a copy keeps it", async (t) => {
  const dir = tempDir(t);
  const first = await open(t, dir);
  await first.commit(["a", "b"].map((key) => ({ kind: "lease", key, value: 1 })));
  await first.close();
  const db = new DatabaseSync(join(dir, "netboot6.db"));
  db.exec("UPDATE entry SET value = '{\"address' WHERE key = 'b'");
  db.close();
  const values = (stored: readonly Stored[]) => stored.map(({ value }) => value);
  assert.deepEqual(values(readStored(dir)), [1, undefined]);
  const second = await open(t, dir);
  assert.deepEqual(values(second.stored), [1, undefined]);
  const copy = new DatabaseSync(await second.copyAside(), { readOnly: true });
  assert.deepEqual(copy.prepare("SELECT value FROM entry WHERE key = 'b'").get()?.value, '{"address');
  copy.close();
  await second.commit([{ kind: "lease", key: "b", value: null }]);
  await second.close();
  assert.deepEqual(values(readStored(dir)), [1]);
});

test("a lock file that is none is named, with the mend", async (t) => {
  const dir = tempDir(t);
  writeFileSync(join(dir, "lock"), "this is no lock. ".repeat(100));
  await assert.rejects(openStore(dir), {
    message: `cannot lock ${dir}/lock: file is not a database. It should be empty: delete it, nothing is stored in it`,
  });
  rmSync(join(dir, "lock"));
  await (await open(t, dir)).close();
});

test("a file that cannot be opened is left as it is, and why is said", async (t) => {
  const dir = tempDir(t);
  mkdirSync(join(dir, "netboot6.db"));
  await assert.rejects(openStore(dir), { message: `cannot open ${dir}/netboot6.db: unable to open database file` });
  assert.deepEqual(
    readdirSync(dir).filter((name) => name.startsWith("netboot6")),
    ["netboot6.db"],
  );
});

test("a folder that cannot be made is a plain message", async (t) => {
  const dir = tempDir(t);
  writeFileSync(join(dir, "file"), "");
  await assert.rejects(openStore(join(dir, "file")), /EEXIST|ENOTDIR/);
});

test("two cannot have it at once; who only reads sees what was committed", async (t) => {
  const dir = tempDir(t);
  assert.deepEqual(readStored(dir, "lease"), []);
  const store = await open(t, dir);
  await store.commit([
    { kind: "lease", key: "2001:db8::1", value: { machine: "a" } },
    { kind: "meta", key: "x", value: 1 },
  ]);
  assert.deepEqual(
    readStored(dir, "lease").map(({ value }) => value),
    [{ machine: "a" }],
  );
  assert.equal(readStored(dir).length, 2);
  await assert.rejects(openStore(dir), StoreInUseError);
  await store.close();
  assert.deepEqual(
    readStored(dir, "lease").map(({ value }) => value),
    [{ machine: "a" }],
  );
  assert.equal(readStored(dir).length, 2);
  await (await open(t, dir)).close();
});

test("no commit makes the -wal grow, from the first on; what is in it is there after the power is gone", async (t) => {
  const [dir, after] = [tempDir(t), tempDir(t)];
  const store = await open(t, dir);
  const size = (of: string) => statSync(join(of, "netboot6.db-wal")).size;
  const sizes = [size(dir)];
  for (let i = 0; i < 50; i++) await store.commit([{ kind: "lease", key: String(i), value: i }]);
  sizes.push(size(dir));
  for (const name of ["netboot6.db", "netboot6.db-wal"]) copyFileSync(join(dir, name), join(after, name));
  await store.close();
  const again = await open(t, after);
  sizes.push(size(after));
  await again.commit([{ kind: "lease", key: "50", value: 50 }]);
  const stored = [again.stored.length, readStored(after).length];
  await again.close();
  assert.deepEqual(sizes, Array(3).fill(sizes[0]));
  assert.deepEqual(stored, [50, 51]);
});

test("a hundred thousand changes are one commit", async (t) => {
  const store = await open(t, tempDir(t));
  await store.commit(Array.from({ length: 200_000 }, (_, i) => ({ kind: "lease", key: String(i), value: i })));
});

test("what root makes in the folder of another user is that user's", { skip: process.getuid?.() !== 0 }, async (t) => {
  const dir = tempDir(t);
  chownSync(dir, 12345, 12345);
  const store = await open(t, dir);
  await store.copyAside();
  await store.close();
  for (const name of readdirSync(dir)) assert.equal(statSync(join(dir, name)).uid, 12345, name);
});

test("what several turns of the event loop bring one after another shares a commit, for two milliseconds; a lone one waits for nobody", async (t) => {
  const store = await open(t, tempDir(t));
  const change = (key: string) => [{ kind: "lease", key, value: 1 }];
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const storm = store.commit(change("a"));
  assert.equal(store.commit(change("b")), storm);
  await turn();
  assert.equal(store.commit(change("c")), storm);
  now = 2;
  await turn();
  assert.notEqual(store.commit(change("d")), storm);
  await storm;
  await store.commit(change("e"));
  const lone = store.commit(change("f"));
  await turn();
  assert.notEqual(store.commit(change("g")), lone);
  await store.commit(change("h"));
});
