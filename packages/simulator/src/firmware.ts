/** EDK2's UEFI HTTP boot over IPv6 (HttpBootDhcp6.c, HttpBootClient.c), as OVMF was seen to do it. */
import { randomBytes } from "node:crypto";
import {
  type Address,
  type ClientServerMessage,
  decodeVendorClass,
  encodeU16List,
  encodeVendorClass,
  findOption,
  MessageType,
  type Option,
  OptionCode,
  swapUuid,
} from "@netboot6/codec";
import { bootfileUrl, isReply, leasedAddress } from "./dhcpv6-client.ts";
import { HttpClient } from "./http-client.ts";
import { BootFailure, type Host } from "./machine.ts";

export interface LoadedProgram {
  readonly url: string;
  /** The firmware's address, which iPXE goes on using for its first request though it was released. */
  readonly address: Address;
}

/** Seconds between repetitions. */
const SOLICIT_RETRIES = [4.8, 9, 17, 33];
const REQUEST_RETRIES = [2, 3, 5, 9, 17, 33];
const SOLICITATION_INTERVAL = 4;
const MAX_SOLICITATIONS = 3;
const ADDRESS_DAD_SECONDS = 2.3;
const WAIT_FOR_OTHER_OFFERS = 4.4;
const HEAD_TIMEOUT = 5;
const MAX_ANSWER_BYTES = 1472;

export const uuidBytes = (uuid: string): Uint8Array => Uint8Array.from(Buffer.from(uuid.replaceAll("-", ""), "hex"));
const duidUuid = (bytes: Uint8Array): Uint8Array => Uint8Array.of(0, 4, ...bytes);

export async function bootFirmware(host: Host): Promise<LoadedProgram> {
  const { spec, dhcpv6, report } = host;
  const clientId: Option = { code: OptionCode.clientId, data: duidUuid(swapUuid(uuidBytes(spec.uuid))) };
  const elapsed: Option = { code: OptionCode.elapsedTime, data: Uint8Array.of(0, 0) };
  const iaid = randomBytes(4);
  const ask: Option[] = [
    {
      code: OptionCode.optionRequest,
      data: encodeU16List([OptionCode.bootfileUrl, OptionCode.bootfileParam, OptionCode.dnsServers, OptionCode.vendorClass]),
    },
    { code: OptionCode.networkInterfaceId, data: Uint8Array.of(1, 3, 0) },
    { code: OptionCode.clientArchitecture, data: encodeU16List([16]) },
    { code: OptionCode.vendorClass, data: encodeVendorClass({ enterprise: 343, classes: ["HTTPClient:Arch:00016:UNDI:003000"] }) },
  ];
  const emptyIa: Option = { code: OptionCode.iaNa, data: Uint8Array.of(...iaid, 255, 255, 255, 255, 255, 255, 255, 255) };

  report("firmware");
  const routers = solicitRouters(host);
  const offer = await dhcpv6.exchange(
    MessageType.solicit,
    [clientId, elapsed, emptyIa, ...ask],
    (answer) => answer.type === MessageType.advertise && encodedLength(answer) <= MAX_ANSWER_BYTES,
    SOLICIT_RETRIES,
  );
  if (!offer) throw new BootFailure("PXE-E16: No valid offer received");
  if (findOption(offer.options, OptionCode.preference)?.[0] !== 255) await host.pause(WAIT_FOR_OTHER_OFFERS);
  checkOffer(offer);
  const serverId: Option = { code: OptionCode.serverId, data: copyOf(offer, OptionCode.serverId) };
  const offeredIa: Option = { code: OptionCode.iaNa, data: copyOf(offer, OptionCode.iaNa) };
  const reply = await dhcpv6.exchange(MessageType.request, [clientId, elapsed, serverId, offeredIa, ...ask], isReply, REQUEST_RETRIES);
  const address = reply && leasedAddress(reply);
  if (!reply || !address) throw new BootFailure("no address: the Request was not answered with one");
  checkOffer(reply);
  const url = bootfileUrl(reply) ?? "";
  report("leased", address);
  await host.link.addAddress(address);
  const router = await routers;
  if (router?.other && !router.managed)
    await dhcpv6.exchange(
      MessageType.informationRequest,
      [clientId, elapsed, { code: OptionCode.optionRequest, data: encodeU16List([OptionCode.dnsServers]) }],
      isReply,
      [1, 2],
    );
  await host.pause(ADDRESS_DAD_SECONDS);

  const http = new HttpClient(address, "UefiHttpBoot/1.0", HEAD_TIMEOUT);
  try {
    const head = await http.fetch("HEAD", url);
    if (head.status !== 200) throw new BootFailure(`Error: Server response ${head.status} for ${url}`);
    const length = head.headers["content-length"];
    if (length === undefined) throw new BootFailure(`no Content-Length for ${url}`);
    if (!/\.efi$/i.test(new URL(url).pathname) && head.headers["content-type"] !== "application/efi")
      throw new BootFailure(`${url} is neither *.efi nor application/efi`);
    const body = await http.fetch("GET", url);
    if (body.status !== 200 || body.bytes !== Number(length)) throw new BootFailure(`${url}: ${body.bytes} bytes of ${length}`);
    report("program", url);
  } finally {
    http.close(true);
  }
  dhcpv6.tell(MessageType.release, [clientId, serverId, elapsed, offeredIa]);
  return { url, address };
}

/** "Error: Remote boot cancelled": the offer is not one of HTTP boot. */
function checkOffer(offer: ClientServerMessage): void {
  const vendor = decodeVendorClass(findOption(offer.options, OptionCode.vendorClass) ?? new Uint8Array());
  if (!vendor.ok || !vendor.value.classes[0]?.startsWith("HTTPClient"))
    throw new BootFailure("Error: Remote boot cancelled (no HTTPClient in the offer)");
  if (!/^https?:\/\//.test(bootfileUrl(offer) ?? "")) throw new BootFailure("Error: Remote boot cancelled (no http URL in the offer)");
  // HttpBootDhcp6.c reads the URL up to a NUL: the high byte of the next option's code.
  const at = offer.options.findIndex((option) => option.code === OptionCode.bootfileUrl);
  if ((offer.options[at + 1]?.code ?? 256) > 255) throw new BootFailure("the URL runs on into what follows it");
}

/** From `::`, beginning 1 s after the first Solicit. */
async function solicitRouters(host: Host): ReturnType<Host["link"]["hear"]> {
  await host.pause(1);
  for (let i = 0; i < MAX_SOLICITATIONS; i++) {
    host.link.solicit("::", null);
    const heard = await host.link.hear(SOLICITATION_INTERVAL * 1000);
    if (heard) return heard;
  }
  return null;
}

const copyOf = (message: ClientServerMessage, code: number): Uint8Array =>
  Uint8Array.from(findOption(message.options, code) ?? new Uint8Array());
const encodedLength = (message: ClientServerMessage): number => message.options.reduce((sum, option) => sum + 4 + option.data.length, 4);
