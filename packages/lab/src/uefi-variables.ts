/**
 * Writes boot options into the variable store of OVMF (`OVMF_VARS*.fd`), so that a machine netboots from its NIC first.
 *
 * Layout, outside in: a firmware volume header (PI specification 1.8, volume 3 §3.2.1), a variable store header and variables
 * (EDK2, MdeModulePkg/Include/Guid/VariableFormat.h), in one of them an EFI_LOAD_OPTION (UEFI 2.10 §3.1.3), in that a
 * device path (§10.3). All numbers are little-endian.
 */

export interface UefiVariable {
  readonly name: string;
  readonly data: Buffer;
}

export type NetworkBoot = "http6" | "pxe6";

const FV_SIGNATURE = { offset: 40, text: "_FVH" };
const FV_HEADER_LENGTH_OFFSET = 48;

const STORE_GUID = guid("aaf32c78-947b-439a-a180-2e144ec37792"); // gEfiAuthenticatedVariableGuid
const STORE_SIZE_OFFSET = 16;
const STORE_HEADER_LENGTH = 28;

/** AUTHENTICATED_VARIABLE_HEADER: fields that are 0 here (counter, timestamp, key index) are left out. */
const VARIABLE = { startId: 0, state: 2, attributes: 4, nameSize: 36, dataSize: 40, vendor: 44, length: 60 };
const START_ID = 0x55aa;
const STATE_ADDED = 0x3f;
const NON_VOLATILE_BOOT_RUNTIME = 0x7;
const GLOBAL_VARIABLE = guid("8be4df61-93ca-11d2-aa0d-00e098032b8c"); // EFI_GLOBAL_VARIABLE

const X509_GUID = guid("a5c059a1-94e4-4aa7-87b5-ab155c2bf072"); // EFI_CERT_X509_GUID

const LOAD_OPTION_ACTIVE = 1;
/** Type and subtype of the device path nodes used here. */
const NODE = { pci: [1, 1], acpi: [2, 1], mac: [3, 0x0b], ipv6: [3, 0x0d], uri: [3, 0x18], end: [0x7f, 0xff] } as const;
const PCI_ROOT_HID = 0x0a0341d0; // EISA id PNP0A03
const ETHERNET = 1;

/** The option's number, out of the way of those that the firmware makes itself. */
const OPTION_NUMBER = 0x0090;

/** The store's variables in the order they were written, deleted ones left out. */
export function readVariables(volume: Buffer): UefiVariable[] {
  const variables: UefiVariable[] = [];
  for (let at = storeStart(volume); isVariable(volume, at); at = nextVariable(volume, at)) {
    if (volume[at + VARIABLE.state] !== STATE_ADDED) continue;
    const name = at + VARIABLE.length;
    const data = name + volume.readUInt32LE(at + VARIABLE.nameSize);
    variables.push({
      name: volume.toString("utf16le", name, data - 2),
      data: Buffer.from(volume.subarray(data, data + volume.readUInt32LE(at + VARIABLE.dataSize))),
    });
  }
  return variables;
}

/** A copy of the store with these global variables added. They must not be there already. */
export function addVariables(volume: Buffer, variables: readonly UefiVariable[]): Buffer {
  const copy = Buffer.from(volume);
  let at = storeStart(copy);
  const end = at - STORE_HEADER_LENGTH + copy.readUInt32LE(at - STORE_HEADER_LENGTH + STORE_SIZE_OFFSET);
  while (isVariable(copy, at)) at = nextVariable(copy, at);
  for (const { name, data } of variables) {
    const nameBytes = Buffer.from(`${name}\0`, "utf16le");
    const header = Buffer.alloc(VARIABLE.length);
    header.writeUInt16LE(START_ID, VARIABLE.startId);
    header.writeUInt8(STATE_ADDED, VARIABLE.state);
    header.writeUInt32LE(NON_VOLATILE_BOOT_RUNTIME, VARIABLE.attributes);
    header.writeUInt32LE(nameBytes.length, VARIABLE.nameSize);
    header.writeUInt32LE(data.length, VARIABLE.dataSize);
    GLOBAL_VARIABLE.copy(header, VARIABLE.vendor);
    const whole = Buffer.concat([header, nameBytes, data]);
    if (at + whole.length > end) throw new RangeError(`no room for the UEFI variable ${name}`);
    whole.copy(copy, at);
    at = align(at + whole.length);
  }
  return copy;
}

/** The store with a network boot option for the NIC in PCI slot `slot`, to be taken once at the next start, before the firmware's own order. */
export function withNetworkBoot(volume: Buffer, boot: NetworkBoot, mac: string, slot: number): Buffer {
  const number = Buffer.alloc(2);
  number.writeUInt16LE(OPTION_NUMBER);
  return addVariables(volume, [
    { name: `Boot${OPTION_NUMBER.toString(16).toUpperCase().padStart(4, "0")}`, data: loadOption(boot, mac, slot) },
    { name: "BootNext", data: number },
  ]);
}

/** These certificates (DER) as OVMF takes them for HTTPS boot: one EFI_SIGNATURE_LIST each (UEFI 2.10 §32.4.1). */
export function signatureLists(certificates: readonly Buffer[]): Buffer {
  return Buffer.concat(
    certificates.map((der) => {
      const head = Buffer.alloc(44); // type, sizes of list, header and signature, and whose it is: nobody's
      X509_GUID.copy(head);
      head.writeUInt32LE(head.length + der.length, 16);
      head.writeUInt32LE(16 + der.length, 24);
      return Buffer.concat([head, der]);
    }),
  );
}

function loadOption(boot: NetworkBoot, mac: string, slot: number): Buffer {
  const acpi = Buffer.alloc(8);
  acpi.writeUInt32LE(PCI_ROOT_HID); // then the UID, 0
  const nic = Buffer.alloc(33);
  Buffer.from(mac.replaceAll(":", ""), "hex").copy(nic);
  nic.writeUInt8(ETHERNET, 32);
  // Local and remote address, ports, protocol, origin, prefix length, gateway: all 0, found out while booting. EDK2 itself writes 64.
  const ipv6 = Buffer.alloc(56);
  ipv6.writeUInt8(64, 39);
  const path = Buffer.concat([
    node(NODE.acpi, acpi),
    node(NODE.pci, Buffer.of(0, slot)),
    node(NODE.mac, nic),
    node(NODE.ipv6, ipv6),
    // An empty URI means HTTP boot with the URL that DHCPv6 gives.
    ...(boot === "http6" ? [node(NODE.uri)] : []),
    node(NODE.end),
  ]);
  const head = Buffer.alloc(6);
  head.writeUInt32LE(LOAD_OPTION_ACTIVE);
  head.writeUInt16LE(path.length, 4);
  return Buffer.concat([head, Buffer.from(`${boot === "http6" ? "UEFI HTTPv6" : "UEFI PXEv6"} ${mac}\0`, "utf16le"), path]);
}

function node([type, subtype]: readonly [number, number], data: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.of(type, subtype, 0, 0);
  head.writeUInt16LE(head.length + data.length, 2);
  return Buffer.concat([head, data]);
}

/** Where the first variable is, or would be. */
function storeStart(volume: Buffer): number {
  const { offset, text } = FV_SIGNATURE;
  const store = volume.toString("latin1", offset, offset + text.length) === text ? volume.readUInt16LE(FV_HEADER_LENGTH_OFFSET) : -1;
  if (store < 0 || !volume.subarray(store, store + STORE_GUID.length).equals(STORE_GUID)) {
    throw new TypeError("not a UEFI variable store with authenticated variables");
  }
  return store + STORE_HEADER_LENGTH;
}

const isVariable = (volume: Buffer, at: number): boolean => at + VARIABLE.length <= volume.length && volume.readUInt16LE(at) === START_ID;

function nextVariable(volume: Buffer, at: number): number {
  return align(at + VARIABLE.length + volume.readUInt32LE(at + VARIABLE.nameSize) + volume.readUInt32LE(at + VARIABLE.dataSize));
}

const align = (offset: number): number => (offset + 3) & ~3;

/** An EFI_GUID: its first three fields are little-endian. */
function guid(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll("-", ""), "hex");
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}
