import assert from "node:assert/strict";
import { test } from "node:test";
import { addVariables, readVariables, withNetworkBoot } from "./uefi-variables.ts";

const HEADER = 72;

/** A volume with an erased store, as OVMF_VARS_4M.fd begins. */
function emptyStore(size = 0x1000): Buffer {
  const volume = Buffer.alloc(size, 0xff);
  volume.fill(0, 0, HEADER + 28);
  volume.write("_FVH", 40, "latin1");
  volume.writeUInt16LE(HEADER, 48);
  volume.write("782cf3aa7b949a43a1802e144ec37792", HEADER, "hex");
  volume.writeUInt32LE(size - HEADER, HEADER + 16);
  return volume;
}

test("variables are read back as they were written, beside those that were there", () => {
  const written = [
    { name: "Boot0001", data: Buffer.from([1, 2, 3]) },
    { name: "Lang", data: Buffer.from("eng") },
    { name: "Empty", data: Buffer.alloc(0) },
  ];
  const first = addVariables(emptyStore(), written.slice(0, 1));
  assert.deepEqual(readVariables(addVariables(first, written.slice(1))), written);
  assert.deepEqual(readVariables(first), written.slice(0, 1));
});

test("a network boot option is the one that EDK2 makes for the same NIC", () => {
  const [option, next] = readVariables(withNetworkBoot(emptyStore(), "http6", "52:54:00:0b:00:01", 1));
  assert.deepEqual(next, { name: "BootNext", data: Buffer.from([0x90, 0]) });
  assert.equal(option?.name, "Boot0090");
  const description = Buffer.from("UEFI HTTPv6 52:54:00:0b:00:01\0", "utf16le").toString("hex");
  const path = [
    "02010c00d041030a00000000", // PciRoot(0)
    "010106000001", // Pci(1,0)
    `030b25005254000b0001${"00".repeat(26)}01`, // MAC(52:54:00:0b:00:01, Ethernet)
    `030d3c00${"00".repeat(39)}40${"00".repeat(16)}`, // IPv6(::, prefix length 64)
    "03180400", // Uri()
    "7fff0400",
  ].join("");
  assert.equal(option.data.toString("hex"), `01000000${Buffer.from([path.length / 2, 0]).toString("hex")}${description}${path}`);
  const [pxe] = readVariables(withNetworkBoot(emptyStore(), "pxe6", "52:54:00:0b:00:01", 1));
  assert.ok(!pxe?.data.includes("03180400", 0, "hex"));
});

test("what does not fit, or is no variable store, is refused", () => {
  assert.throws(() => addVariables(emptyStore(0x100), [{ name: "Boot0090", data: Buffer.alloc(200) }]), /no room/);
  assert.throws(() => readVariables(Buffer.alloc(0x1000)), /not a UEFI variable store/);
});
