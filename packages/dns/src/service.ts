/** The DNS forwarder: sockets, the host's resolv.conf and the clock around `DnsServer`. */
import { readFileSync, unwatchFile, watchFile } from "node:fs";
import type { Address } from "@netboot6/codec";
import { accessList, type DnsConfig, listenAddresses, type Network, type Upstream, upstreamText } from "@netboot6/config";
import type { Link, Running } from "@netboot6/events";
import { Cache } from "./cache.ts";
import { DatagramListener } from "./datagram-listener.ts";
import { Dns64 } from "./dns64.ts";
import { realSurroundings } from "./exchange.ts";
import { Layer, type LocalName, LocalNames } from "./local.ts";
import { readResolvConf } from "./resolv-conf.ts";
import { DnsServer, type Policy } from "./server.ts";
import { StreamListener } from "./stream-listener.ts";

export interface DnsSettings {
  readonly dns: DnsConfig;
  readonly networks: readonly Network[];
  /** The names of machines and those that clients claim, as they are now; changes come as news. */
  readonly names: readonly LocalName[];
  /** Where the host names its resolvers. */
  readonly resolvConf?: string;
}

const RESOLV_CONF = "/etc/resolv.conf";
const RESOLV_CONF_WATCH_MS = 5_000;

export async function startDns(settings: DnsSettings, link: Link): Promise<Running<DnsSettings>> {
  const listeners = new Map<string, { close(): void }>();
  let named = new Map<string, LocalName>();
  const around = realSurroundings();
  let current = settings;
  let hadNone = false;
  const server = new DnsServer(policyOf(settings, null), around, link.emit);

  const listen = async (address: Address, port: number): Promise<{ close(): void }> => {
    const options = (overTcp: boolean) => ({
      address,
      port,
      receive: (bytes: Buffer, client: string, reply: (bytes: Buffer) => void) => server.receive(bytes, client, overTcp, reply),
      drop: (why: string) => server.drop(why),
      zone: (index: number) => current.networks.find(({ link }) => link?.index === index)?.link?.name ?? String(index),
    });
    const both = [new DatagramListener(options(false)), new StreamListener(options(true))];
    const close = (): void => {
      for (const each of both) each.close();
    };
    await Promise.all(both.map((each) => each.listen())).catch((error: Error) => {
      close();
      throw new Error(`cannot listen on [${address}]:${port}: ${error.message}`);
    });
    return { close };
  };

  /** New sockets first: where one cannot be had, all is as it was. */
  const follow = async ({ dns, networks }: DnsSettings): Promise<void> => {
    const wanted = new Map(listenAddresses(dns.listen, networks).map((address) => [`[${address}]:${dns.port}`, address]));
    const added = new Map<string, { close(): void }>();
    try {
      for (const [key, address] of wanted) if (!listeners.has(key)) added.set(key, await listen(address, dns.port));
    } catch (error) {
      for (const listener of added.values()) listener.close();
      throw error;
    }
    for (const [key, listener] of listeners)
      if (!wanted.has(key)) {
        listener.close();
        listeners.delete(key);
      }
    for (const [key, listener] of added) listeners.set(key, listener);
  };

  const takeNames = ({ names }: DnsSettings): void => {
    named = new Map(names.map((each) => [each.name, each]));
  };
  const adopt = (next: DnsSettings): void => {
    const before = current;
    current = next;
    const policy = policyOf(next, { settings: before, policy: server.policy });
    policy.names.replace(Layer.machines, [...named.values()]);
    server.follow(policy);
    const { upstreams, without } = server.policy;
    const none = upstreams.length === 0;
    if (none) link.emit({ type: "dns.upstream", upstream: "none", state: "down", why: without });
    else if (hadNone)
      link.emit({ type: "dns.upstream", upstream: "none", state: "gone", why: `${upstreams.map(upstreamText).join(", ")} is asked` });
    hadNone = none;
  };
  const resolvConf = (): string => current.resolvConf ?? RESOLV_CONF;
  const reread = (): void => {
    if (current.dns.upstreams === null) adopt(current);
  };
  const watched = resolvConf();

  await follow(settings);
  takeNames(settings);
  adopt(settings);
  watchFile(watched, { interval: RESOLV_CONF_WATCH_MS, persistent: false }, reread);
  return {
    get listens() {
      return [...listeners.keys()];
    },
    async reload(next) {
      await follow(next);
      takeNames(next);
      adopt(next);
    },
    tell(news: readonly LocalName[]) {
      for (const each of news) {
        named.set(each.name, each);
        if (each.addresses.length === 0) named.delete(each.name);
        server.policy.names.set(Layer.machines, each);
      }
    },
    async stop() {
      unwatchFile(watched, reread);
      for (const listener of listeners.values()) listener.close();
      listeners.clear();
      around.close();
    },
  };
}

/** What is kept outlives a change that does not touch it. */
function policyOf(settings: DnsSettings, before: { readonly settings: DnsSettings; readonly policy: Policy } | null): Policy {
  const { dns, networks } = settings;
  const { upstreams, without } = upstreamsOf(settings);
  const dns64 = dns.dns64 && new Dns64(dns.dns64);
  const same = before && sources(settings, upstreams) === sources(before.settings, before.policy.upstreams);
  return {
    allowed: accessList(dns.allow, networks),
    rateLimit: dns.rateLimit,
    names: same ? before.policy.names : localNames(settings, dns64),
    dns64,
    cache: same ? before.policy.cache : new Cache(dns.cache),
    upstreams,
    without,
  };
}

function localNames({ dns }: DnsSettings, dns64: Dns64 | null): LocalNames {
  const local = new LocalNames(dns64);
  for (const [name, addresses] of Object.entries(dns.records)) local.set(Layer.records, { name, addresses });
  return local;
}

const sources = ({ dns }: DnsSettings, upstreams: readonly Upstream[]): string =>
  JSON.stringify([dns.records, dns.cache, dns.dns64?.address, dns.dns64?.length, upstreams]);

function upstreamsOf({ dns, networks, resolvConf = RESOLV_CONF }: DnsSettings): Pick<Policy, "upstreams" | "without"> {
  if (dns.upstreams) return { upstreams: dns.upstreams, without: "" };
  const here = listenAddresses(dns.listen, networks);
  try {
    // A resolver there is asked at port 53.
    const ours = (address: string): boolean => dns.port === 53 && here.includes(address);
    const upstreams = readResolvConf(readFileSync(resolvConf, "utf8"), ours);
    return { upstreams, without: `${resolvConf} names no resolver but this one: give dns.upstreams` };
  } catch (error) {
    return { upstreams: [], without: `no dns.upstreams, and ${(error as Error).message}` };
  }
}
