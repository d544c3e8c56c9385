/** The message that a machine like this would send: what firmware, iPXE and systems put into theirs (docs/clients.md). */
import {
  type Address,
  encodeIa,
  encodeMessage,
  encodeTexts,
  encodeU16List,
  encodeVendorClass,
  eui64Address,
  LINK_LOCAL_PREFIX,
  type Mac,
  MessageType,
  macBytes,
  type Option,
  OptionCode,
  swapUuid,
} from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import type { Captured } from "./capture.ts";

export interface Question {
  readonly mac: Mac | null;
  readonly uuid: string | null;
  /** IANA's number; null: a system. */
  readonly arch: number | null;
  readonly userClass: string | null;
  /** The relay's source address; null: the machine is on the network's own link, or the network says how it is relayed. */
  readonly relay: Address | null;
}

/** The architectures whose firmware speaks HTTP (RFC 5970 §3.3 and IANA's registry). */
const HTTP_ARCHS = new Set([15, 16, 17, 18, 19, 20, 23, 24, 26, 28, 30, 38, 40]);
const ENTERPRISE_INTEL = 343;
const IPXE = "iPXE";

/** Null where neither MAC nor UUID tells a machine. */
export function messageOf(question: Question, network: Network): Captured {
  const { mac, uuid, arch, userClass, relay } = question;
  const requested = [
    OptionCode.bootfileUrl,
    OptionCode.bootfileParam,
    OptionCode.dnsServers,
    OptionCode.domainSearch,
    OptionCode.ntpServer,
  ];
  const options: Option[] = [
    { code: OptionCode.clientId, data: duidOf(question) },
    { code: OptionCode.iaNa, data: encodeIa({ iaid: 1, t1: 0, t2: 0, options: [] }) },
    { code: OptionCode.optionRequest, data: encodeU16List(requested) },
    { code: OptionCode.elapsedTime, data: new Uint8Array(2) },
  ];
  if (arch !== null) {
    const number = String(arch).padStart(5, "0");
    const vendor = `${HTTP_ARCHS.has(arch) ? "HTTP" : "PXE"}Client:Arch:${number}:UNDI:003000`;
    options.push({ code: OptionCode.clientArchitecture, data: encodeU16List([arch]) });
    options.push({ code: OptionCode.vendorClass, data: encodeVendorClass({ enterprise: ENTERPRISE_INTEL, classes: [vendor] }) });
  }
  if (userClass !== null) options.push({ code: OptionCode.userClass, data: encodeTexts([userClass]) });
  const bytes = encodeMessage({ type: MessageType.solicit, transactionId: 0x6e6236, options });
  const peer = mac === null ? eui64Address(LINK_LOCAL_PREFIX, "02:00:00:00:00:00") : eui64Address(LINK_LOCAL_PREFIX, mac);
  if (relay === null && !network.relayed)
    return { bytes, source: mac === null && uuid !== null ? "fe80::1234" : peer, sourcePort: 546, destination: "ff02::1:2" };
  const forward: Option[] = [{ code: OptionCode.relayMessage, data: bytes }];
  if (mac !== null) forward.push({ code: OptionCode.clientLinkLayerAddress, data: Uint8Array.of(0, 1, ...macBytes(mac)) });
  const linkAddress = network.linkAddresses?.[0] ?? network.prefix.address;
  return {
    bytes: encodeMessage({ type: MessageType.relayForward, hopCount: 0, linkAddress, peerAddress: peer, options: forward }),
    source: relay ?? network.relays?.[0]?.address ?? linkAddress,
    sourcePort: 547,
    destination: network.address,
  };
}

/** DUID-UUID as the sender writes it: firmware as SMBIOS keeps it, others in text order (docs/clients.md). Else DUID-LL. */
function duidOf({ uuid, mac, arch, userClass }: Question): Uint8Array {
  if (uuid === null) return Uint8Array.of(0, 3, 0, 1, ...macBytes(mac ?? "02:00:00:00:00:00"));
  const bytes = Uint8Array.from(Buffer.from(uuid.replaceAll("-", ""), "hex"));
  return Uint8Array.of(0, 4, ...(arch !== null && userClass !== IPXE ? swapUuid(bytes) : bytes));
}
