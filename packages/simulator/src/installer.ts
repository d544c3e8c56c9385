/** Debian's installer, as far as the network sees it: addresses, options, names, its answers file, and what that tells it to fetch. */
import { Resolver } from "node:dns/promises";
import { decodeAddresses, encodeU16List, findOption, MessageType, macBytes, OptionCode } from "@netboot6/codec";
import { isReply } from "./dhcpv6-client.ts";
import { HttpClient } from "./http-client.ts";
import type { StartedKernel } from "./ipxe.ts";
import { BootFailure, type Host } from "./machine.ts";

const KERNEL_SECONDS = 20;
const NETCFG_SECONDS = 10;
const HTTP_TIMEOUT = 30;
/** DHCPv6's epoch, RFC 9915 §11.2 */
const EPOCH_2000_S = 946_684_800;

export async function runInstaller(host: Host, { cmdline, address }: StartedKernel): Promise<void> {
  const { link, linkLocal, spec, dhcpv6, report } = host;
  await host.pause(KERNEL_SECONDS);
  report("installer");
  link.solicit(linkLocal, spec.mac);
  let router = await link.hear(400);
  if (!router) {
    link.solicit(linkLocal, spec.mac);
    router = await link.hear(4000);
  }
  if (!router) throw new BootFailure("installer: no router was heard");
  const time = Buffer.alloc(4);
  time.writeUInt32BE(Math.floor(Date.now() / 1000) - EPOCH_2000_S);
  const duid = Uint8Array.of(0, 1, 0, 1, ...time, ...macBytes(spec.mac));
  const reply = await dhcpv6.exchange(
    MessageType.informationRequest,
    [
      { code: OptionCode.clientId, data: duid },
      { code: OptionCode.elapsedTime, data: Uint8Array.of(0, 0) },
      { code: OptionCode.optionRequest, data: encodeU16List([OptionCode.dnsServers, OptionCode.domainSearch]) },
    ],
    isReply,
    [1, 2, 4],
  );
  if (!reply) throw new BootFailure("installer: DHCPv6 gave no answer");
  const servers = decodeAddresses(findOption(reply.options, OptionCode.dnsServers) ?? new Uint8Array());
  if (servers.ok && servers.value.length > 0) {
    const resolver = new Resolver({ timeout: 2000, tries: 1 });
    resolver.setServers(servers.value.map((server) => `[${server}]`));
    resolver.setLocalAddress("0.0.0.0", address);
    await resolver.reverse(address).catch(() => {}); // it asks for its own name, and takes a refusal
  }
  await host.pause(NETCFG_SECONDS);
  const answers = /(?:^|\s)(?:preseed\/)?url=(\S+)/.exec(cmdline)?.[1];
  if (answers === undefined) throw new BootFailure("installer: no preseed/url on the kernel's command line");
  const http = new HttpClient(address, "debian-installer", HTTP_TIMEOUT);
  try {
    const file = await http.fetch("GET", answers, true);
    if (file.status !== 200) throw new BootFailure(`installer: ${answers}: ${file.status}`);
    report("answers", answers);
    for (const [, url] of file.text.matchAll(/^d-i preseed\/(?:early|late)_command[\s\S]*?(http:\/\/\S+)\s*$/gm)) {
      const answer = await http.fetch("GET", url as string);
      if (answer.status !== 200) throw new BootFailure(`installer: ${url}: ${answer.status}`);
    }
    report("done");
  } finally {
    http.close(false);
  }
}
