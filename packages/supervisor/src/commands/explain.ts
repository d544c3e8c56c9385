/** `netboot6 explain`: what a machine would get, and why. */
import { readFileSync } from "node:fs";
import { canonicalAddress, type Mac, parseMac, type RouterAdvertisement } from "@netboot6/codec";
import { archNumber, type Network, readHost, resolveNetworks } from "@netboot6/config";
import { type Captured, readCapture } from "../explain/capture.ts";
import { Explainer, type Explanation, type Served } from "../explain/explain.ts";
import { messageOf } from "../explain/question.ts";
import { readConfiguration } from "./configuration.ts";

export interface ExplainOptions {
  readonly config: string;
  readonly json?: true;
  readonly mac?: string;
  readonly uuid?: string;
  readonly arch?: string;
  readonly userClass?: string;
  readonly relay?: string;
  readonly network?: string;
  readonly pcap?: string;
}

class UseError extends Error {}

/** Exit codes: 0 it would be answered; 1 it would not; 2 wrong use or a bad configuration. */
export async function explain(options: ExplainOptions): Promise<number> {
  const appliance = await readConfiguration(options.config);
  if (!appliance) return 2;
  try {
    const captured = options.pcap === undefined ? null : captureOf(options.pcap);
    const question = captured ? null : questionOf(options);
    const { networks, waiting } = resolveNetworks(appliance, readHost());
    for (const line of waiting) console.error(`netboot6: missing: ${line}`);
    const network = networkOf(options, networks);
    const messages = question ? [messageOf(question, network)] : (captured ?? []);
    const explainer = new Explainer(appliance, networks);
    const on = network.relayed || options.relay !== undefined ? null : (network.link?.name ?? null);
    const explanations = messages.map((message) => explainer.explain(message, on));
    const newest = explanations.findLast(({ addresses }) => addresses.length > 0);
    const served = newest?.machine ? await explainer.script(newest.machine, newest.addresses[0] as string) : null;
    const advertisement = explainer.advertisement(network);
    if (options.json) console.log(JSON.stringify({ network: network.name, explanations, advertisement, served }));
    else print(network, explanations, advertisement, served);
    return explanations.every(({ answer }) => answer !== null) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof UseError)) throw error;
    console.error(`netboot6: ${error.message}`);
    return 2;
  }
}

function networkOf({ network: name, relay }: ExplainOptions, networks: readonly Network[]): Network {
  const fits =
    name === undefined ? networks.find(({ relayed }) => relayed === (relay !== undefined)) : networks.find((each) => each.name === name);
  if (!fits)
    throw new UseError(
      name === undefined ? `no ${relay === undefined ? "on-link" : "relayed"} network is there` : `no network is called ${name}`,
    );
  return fits;
}

function questionOf({ mac, uuid, arch, userClass, relay }: ExplainOptions): Parameters<typeof messageOf>[0] {
  if (mac === undefined && uuid === undefined) throw new UseError("give --mac, --uuid or --pcap");
  const read = <T>(option: string, text: string | undefined, value: (text: string) => T | null): T | null => {
    const result = text === undefined ? null : value(text);
    if (text !== undefined && result === null) throw new UseError(`${option} ${text} is not understood`);
    return result;
  };
  const uuidText = (text: string): string | null => (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text.toLowerCase() : null);
  return {
    mac: read<Mac>("--mac", mac, parseMac),
    uuid: read("--uuid", uuid, uuidText),
    arch: read("--arch", arch, (text) => (/^\d{1,5}$/.test(text) ? Number(text) : archNumber(text))),
    userClass: userClass ?? null,
    relay: read("--relay", relay, canonicalAddress),
  };
}

function captureOf(file: string): Captured[] {
  let messages: Captured[];
  try {
    messages = readCapture(readFileSync(file));
  } catch (error) {
    throw new UseError(`${file}: ${(error as Error).message}`);
  }
  if (messages.length === 0) throw new UseError(`${file}: no DHCPv6 message to a server is in it`);
  return messages;
}

const row = (name: string, value: string, indent = 2): void => console.log(`${" ".repeat(indent)}${name.padEnd(16 - indent)} ${value}`);

function print(
  network: Network,
  explanations: readonly Explanation[],
  advertisement: RouterAdvertisement | null,
  served: Served | null,
): void {
  for (const { message, machine, answer, why, options, rules } of explanations) {
    console.log(`${message} of ${machine ?? "a machine that nothing tells"} on network ${network.name}`);
    console.log(answer === null ? "is not answered:" : `is answered with ${answer}:`);
    for (const line of why) console.log(`  because         ${line}`);
    for (const [name, value] of options) row(name, value);
    if (rules.length > 0) console.log("boot rules:");
    for (const { rule, matches, url, whyNot } of rules) row(`${rule}`, `${matches}: ${whyNot === null ? `yes, ${url}` : `no, ${whyNot}`}`);
    console.log("");
  }
  if (advertisement) printAdvertisement(advertisement);
  if (!served) return;
  console.log(`\nboot.ipxe of profile ${served.profile} (${served.why}):`);
  for (const line of served.script.trimEnd().split("\n")) console.log(`  ${line}`);
}

function printAdvertisement(ra: RouterAdvertisement): void {
  console.log("router advertisement that it hears from us:");
  row("flags", `M=${ra.managed ? 1 : 0} O=${ra.other ? 1 : 0}`);
  row("router lifetime", `${ra.routerLifetime} s`);
  for (const { prefix, length, onLink, autonomous } of ra.prefixes)
    row("prefix", `${prefix}/${length} L=${onLink ? 1 : 0} A=${autonomous ? 1 : 0}`);
  for (const { addresses } of ra.rdnss) row("RDNSS", addresses.join(", "));
  for (const { domains } of ra.dnssl) row("DNSSL", domains.join(", "));
}
