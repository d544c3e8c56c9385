import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeTftp, encodeTftp, type TftpPacket } from "@netboot6/codec";
import fc from "fast-check";
import { negotiate, Transfer } from "./transfer.ts";

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));
const source = (content: Uint8Array) => ({
  size: content.length,
  read: (offset: number, length: number) => content.subarray(offset, offset + length),
});
const unpack = (packet: Uint8Array): TftpPacket => {
  const decoded = decodeTftp(packet);
  assert.ok(decoded.ok);
  return decoded.value;
};
const options = (all: Record<string, string>): Map<string, string> => new Map(Object.entries(all));
const ack = (block: number): TftpPacket => ({ op: "ack", block });

/** A client that reads all of it; `lossy` says which packet is lost. */
function readAll(transfer: Transfer, lossy: (n: number) => boolean): Uint8Array {
  const got: Uint8Array[] = [];
  let block = 0;
  let n = 0;
  let out = transfer.start();
  for (let turn = 0; turn < 10_000 && !transfer.end; turn++) {
    let answer: number | null = null;
    for (const packet of out.map(unpack)) {
      if (lossy(n++)) continue;
      if (packet.op === "oack") answer = 0;
      if (packet.op !== "data") continue;
      if (packet.block === ((block + 1) & 0xffff)) {
        block++;
        got.push(packet.data);
      }
      answer = block & 0xffff;
    }
    out = answer === null || lossy(n++) ? transfer.timeout() : transfer.receive(ack(answer));
    if (out.length === 0 && !transfer.end) out = transfer.timeout();
  }
  return Buffer.concat(got);
}

test("requests of real clients are read: EDK2 asks for the size, breaks off, and asks again with a window; iPXE", () => {
  const first = unpack(bytes(SAMPLES.ovmfSize));
  assert.ok(first.op === "read");
  assert.deepEqual(
    [...first.options],
    [
      ["tsize", "0"],
      ["blksize", "1228"],
      ["windowsize", "4"],
    ],
  );
  const granted = negotiate(first.options, 851_000, 1448);
  assert.deepEqual(
    [...granted.acknowledged],
    [
      ["blksize", "1228"],
      ["tsize", "851000"],
      ["windowsize", "4"],
    ],
  );
  const transfer = new Transfer(source(new Uint8Array(851_000)), granted);
  assert.equal(unpack(transfer.start()[0] as Uint8Array).op, "oack");
  assert.deepEqual(transfer.receive({ op: "error", code: 8, text: "User aborted the transfer" }), []);
  assert.deepEqual(transfer.end, { how: "aborted", why: "User aborted the transfer" });
  const second = unpack(bytes(SAMPLES.ovmfData));
  assert.ok(second.op === "read" && second.options.get("windowsize") === "4" && !second.options.has("tsize"));
  const ipxe = unpack(bytes(SAMPLES.ipxe));
  assert.ok(ipxe.op === "read" && ipxe.options.get("blksize") === "1432");
});

test("a file comes whole whatever is lost, for every block size and window", () => {
  fc.assert(
    fc.property(
      fc.nat(5000),
      fc.integer({ min: 8, max: 700 }),
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.nat(40), { maxLength: 5 }),
      (size, blksize, windowsize, losses) => {
        const content = Uint8Array.from({ length: size }, (_, i) => (i * 7) & 0xff);
        const granted = negotiate(options({ blksize: String(blksize), windowsize: String(windowsize) }), size, 1448);
        const transfer = new Transfer(source(content), granted);
        assert.deepEqual(Uint8Array.from(readAll(transfer, (n) => losses.includes(n))), content);
        assert.deepEqual(transfer.end, { how: "sent" });
      },
    ),
  );
});

test("block numbers wrap: a file of more than 65535 blocks comes whole", () => {
  const content = Uint8Array.from({ length: 66_000 * 8 + 3 }, (_, i) => (i >> 3) & 0xff);
  const transfer = new Transfer(source(content), negotiate(options({ blksize: "8", windowsize: "32" }), content.length, 1448));
  assert.ok(Buffer.from(readAll(transfer, () => false)).equals(content));
});

test("a duplicate acknowledgement brings nothing out", () => {
  const transfer = new Transfer(source(new Uint8Array(2000)), negotiate(options({}), 2000, 1448));
  transfer.start();
  assert.equal(transfer.receive(ack(1)).length, 1);
  assert.deepEqual(transfer.receive(ack(1)), []);
  assert.deepEqual(transfer.receive(ack(7)), [], "nor one that is ahead of what was sent");
  assert.deepEqual(transfer.receive({ op: "data", block: 2, data: Uint8Array.of() }), [], "nor what acknowledges nothing");
  assert.equal(transfer.receive(ack(2)).length, 1, "it goes on");
});

test("options are granted as far as they go; what is out of range, or no number, is as if it were not there", () => {
  const of = (name: string, value: string) => {
    const granted = negotiate(options({ [name]: value }), 997_000, 1448);
    return granted.acknowledged.get(name) ?? granted;
  };
  const none = negotiate(options({}), 997_000, 1448);
  assert.deepEqual([none.blockSize, none.windowSize, none.timeout, none.acknowledged.size], [512, 1, 1, 0]);
  assert.deepEqual([of("blksize", "8"), of("blksize", "65464")], ["8", "1448"]);
  assert.deepEqual([of("windowsize", "1"), of("windowsize", "65535")], ["1", "64"]);
  assert.deepEqual([of("timeout", "1"), of("timeout", "255")], ["1", "255"]);
  for (const [name, ...values] of [
    ["blksize", "7", "0", "-8", "1e3", "0x200", "512 ", ""],
    ["windowsize", "0", "-1", "many"],
    ["timeout", "0", "256", "99999999999"],
    ["multicast", ""],
  ] as const)
    for (const value of values) assert.deepEqual(of(name, value), none, `${name} ${value}`);
});

test("the wait for an answer doubles, up to eight times, and is as before once one comes", () => {
  const content = new Uint8Array(5000);
  const transfer = new Transfer(source(content), negotiate(options({ timeout: "2", blksize: "1000" }), content.length, 1448));
  transfer.start();
  const waits = (): number[] =>
    Array.from({ length: 5 }, () => {
      const { wait } = transfer;
      transfer.timeout();
      return wait;
    });
  assert.deepEqual(waits(), [2_000, 4_000, 8_000, 16_000, 16_000]);
  assert.deepEqual(transfer.receive(ack(1)), [], "no block went out yet");
  assert.deepEqual(transfer.receive({ op: "oack", options: options({}) }), []);
  assert.equal(transfer.receive(ack(0)).length, 1);
  assert.deepEqual(waits(), [2_000, 4_000, 8_000, 16_000, 16_000]);
  transfer.receive(ack(1));
  assert.deepEqual([transfer.wait, transfer.sent], [2_000, 1000]);
  for (const block of [2, 3, 4, 5, 6]) transfer.receive(ack(block));
  assert.deepEqual([transfer.end, transfer.sent], [{ how: "sent" }, 5000]);
});

test("a client that breaks off without a word is told by its code", () => {
  const transfer = new Transfer(source(new Uint8Array(10)), negotiate(options({}), 10, 1448));
  transfer.start();
  transfer.receive({ op: "error", code: 3, text: "" });
  assert.deepEqual(transfer.end, { how: "aborted", why: "error 3" });
});

test("a client that says nothing is given up after six repetitions", () => {
  const transfer = new Transfer(source(new Uint8Array(10)), negotiate(options({}), 10, 1448));
  transfer.start();
  for (let i = 0; i < 6; i++) assert.equal(unpack(transfer.timeout()[0] as Uint8Array).op, "data");
  assert.equal(unpack(transfer.timeout()[0] as Uint8Array).op, "error");
  assert.equal(transfer.end?.how, "timeout");
});

test("packets survive their round trip, and no bytes make the decoder throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (raw) => void decodeTftp(raw)));
  for (const packet of [
    ack(65535),
    { op: "data", block: 1, data: Uint8Array.of(1, 2) },
    { op: "error", code: 1, text: "no such file" },
    { op: "read", file: "a/b.efi", mode: "octet", options: options({ tsize: "0" }) },
  ] as const)
    assert.deepEqual(unpack(encodeTftp(packet)), packet);
});

test("the first answer to each recorded client, byte for byte", () => {
  const text = (...parts: (string | number)[]): string =>
    Buffer.concat(parts.map((part) => (typeof part === "number" ? Buffer.from([0, part]) : Buffer.from(`${part}\0`)))).toString("hex");
  const answer = (sample: string): string => {
    const request = unpack(bytes(sample));
    assert.ok(request.op === "read" && request.mode === "octet");
    const [first] = new Transfer(source(new Uint8Array(997_000)), negotiate(request.options, 997_000, 1448)).start();
    return Buffer.from(first ?? []).toString("hex");
  };
  const OACK = 6;
  assert.equal(answer(SAMPLES.ovmfSize), text(OACK, "blksize", "1228", "tsize", "997000", "windowsize", "4"));
  assert.equal(answer(SAMPLES.ovmfData), text(OACK, "blksize", "1228", "windowsize", "4"));
  assert.equal(answer(SAMPLES.ipxe), text(OACK, "blksize", "1432", "tsize", "997000"));
  for (const shim of [SAMPLES.shimSecondStage, SAMPLES.shimNoSlash])
    assert.equal(answer(shim), text(OACK, "blksize", "512", "windowsize", "4"));
});

/** UDP payloads as captured. */
const SAMPLES = {
  ovmfSize: "0001736e706f6e6c792e656669006f63746574007473697a65003000626c6b73697a6500313232380077696e646f7773697a65003400",
  ovmfData: "0001736e706f6e6c792e656669006f6374657400626c6b73697a6500313232380077696e646f7773697a65003400",
  ipxe: "0001736e706f6e6c792e656669006f6374657400626c6b73697a650031343332007473697a65003000",
  shimSecondStage:
    "00012f64656269616e2d696e7374616c6c65722f616d6436342f677275627836342e656669006f6374657400626c6b73697a65003531320077696e646f7773697a65003400",
  shimNoSlash:
    "00012f64656269616e2d696e7374616c6c65722f616d6436347265766f636174696f6e735f736b752e656669006f6374657400626c6b73697a65003531320077696e646f7773697a65003400",
};
