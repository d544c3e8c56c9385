/**
 * A DHCPv6 client that says what it is told to, faults included: `scripted-client.ts KIND DUID STEP...`, in a namespace whose eth0 is
 * its card. KIND: firmware-http, firmware-pxe, ipxe. STEP: solicit, request, request-elsewhere (of another server), decline.
 */
import { createSocket } from "node:dgram";
import { networkInterfaces } from "node:os";
import {
  ALL_RELAY_AGENTS_AND_SERVERS,
  type ClientServerMessage,
  decodeMessage,
  encodeMessage,
  encodeTexts,
  encodeU16List,
  encodeVendorClass,
  findOption,
  isRelayMessage,
  MessageType,
  type Option,
  OptionCode,
} from "@netboot6/codec";

const [kind, duid = "", ...steps] = process.argv.slice(2);
const [arch, speaks] = kind === "firmware-http" ? [16, "HTTPClient:Arch:00016:UNDI:003000"] : [7, "PXEClient:Arch:00007:UNDI:003000"];
const identity: readonly Option[] = [
  { code: OptionCode.clientId, data: Buffer.from(duid, "hex") },
  { code: OptionCode.optionRequest, data: encodeU16List([OptionCode.bootfileUrl, OptionCode.dnsServers]) },
  { code: OptionCode.clientArchitecture, data: encodeU16List([arch]) },
  { code: OptionCode.vendorClass, data: encodeVendorClass({ enterprise: 343, classes: [speaks] }) },
  ...(kind === "ipxe" ? [{ code: OptionCode.userClass, data: encodeTexts(["iPXE"]) }] : []),
];
const asked: Option = { code: OptionCode.iaNa, data: Buffer.concat([Buffer.from([0, 0, 0, 7]), Buffer.alloc(8)]) };
const elsewhere: Option = { code: OptionCode.serverId, data: Buffer.from("00030001020000000099", "hex") };

const linkLocal = networkInterfaces().eth0?.find(({ address }) => address.startsWith("fe80"))?.address;
const socket = createSocket("udp6");
await new Promise<void>((resolve) => socket.bind({ address: `${linkLocal}%eth0`, port: 546 }, resolve));
let last = null as ClientServerMessage | null;

for (const [index, step] of steps.entries()) {
  const answer = last;
  const given = (code: number): Option => ({ code, data: (answer && findOption(answer.options, code)) ?? new Uint8Array() });
  const [type, options] = {
    solicit: [MessageType.solicit, [asked]],
    request: [MessageType.request, [given(OptionCode.serverId), given(OptionCode.iaNa)]],
    "request-elsewhere": [MessageType.request, [elsewhere, given(OptionCode.iaNa)]],
    decline: [MessageType.decline, [given(OptionCode.serverId), given(OptionCode.iaNa)]],
  }[step] as [number, Option[]];
  const bytes = encodeMessage({ type, transactionId: 0x100 + index, options: [...identity, ...options] });
  socket.send(bytes, 547, `${ALL_RELAY_AGENTS_AND_SERVERS}%eth0`);
  await new Promise<void>((resolve) => {
    const overdue = setTimeout(resolve, 1000);
    socket.once("message", (received) => {
      const decoded = decodeMessage(received);
      if (decoded.ok && !isRelayMessage(decoded.value)) last = decoded.value;
      clearTimeout(overdue);
      resolve();
    });
  });
}
process.exit(0);
