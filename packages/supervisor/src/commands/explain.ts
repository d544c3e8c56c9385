/** `netboot6 explain`: what a machine would get, and why. */
import { readFileSync } from "node:fs";
import type { RouterAdvertisement } from "@netboot6/codec";
import { readHost, resolveNetworks } from "@netboot6/config";
import { type AskedFor, type Explained, explainTo, QuestionError } from "../explain/ask.ts";
import { type Captured, readCapture } from "../explain/capture.ts";
import { Registry } from "../registry.ts";
import { readConfiguration } from "./configuration.ts";

export interface ExplainOptions extends AskedFor {
  readonly config: string;
  readonly json?: true;
  readonly pcap?: string;
}

/** Exit codes: 0 it would be answered; 1 it would not; 2 wrong use or a bad configuration. */
export async function explain(options: ExplainOptions): Promise<number> {
  const appliance = await readConfiguration(options.config);
  if (!appliance) return 2;
  try {
    const captured = options.pcap === undefined ? null : captureOf(options.pcap);
    if (!captured && options.mac === undefined && options.uuid === undefined) throw new QuestionError("give --mac, --uuid or --pcap");
    const { networks, waiting } = resolveNetworks(appliance, readHost());
    for (const line of waiting) console.error(`netboot6: missing: ${line}`);
    const registry = readRegistry(appliance, networks);
    if (!registry) return 1;
    const explained = await explainTo(options, { appliance, networks, registry }, captured);
    if (options.json) console.log(JSON.stringify(explained));
    else print(explained);
    return explained.explanations.every(({ answer }) => answer !== null) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof QuestionError)) throw error;
    console.error(`netboot6: ${error.message}`);
    return 2;
  }
}

/** Null where the store cannot be read. */
function readRegistry(...of: Parameters<typeof Registry.inMemory>): Registry | null {
  try {
    return Registry.inMemory(...of);
  } catch (error) {
    console.error(`netboot6: ${(error as Error).message}`);
    return null;
  }
}

function captureOf(file: string): Captured[] {
  let messages: Captured[];
  try {
    messages = readCapture(readFileSync(file));
  } catch (error) {
    throw new QuestionError(`${file}: ${(error as Error).message}`);
  }
  if (messages.length === 0) throw new QuestionError(`${file}: no DHCPv6 message to a server is in it`);
  return messages;
}

const row = (name: string, value: string, indent = 2): void => console.log(`${" ".repeat(indent)}${name.padEnd(16 - indent)} ${value}`);

function print({ network, explanations, advertisement, served }: Explained): void {
  for (const { message, machine, answer, why, options, rules } of explanations) {
    console.log(`${message} of ${machine ?? "a machine that nothing tells"} on network ${network}`);
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
  for (const { prefix, length, lifetime } of ra.routes) row("route", `${prefix}/${length}, ${lifetime} s`);
  for (const { prefix } of ra.pref64) row("PREF64", `${prefix.address}/${prefix.length}`);
  if (ra.mtu !== null) row("MTU", String(ra.mtu));
}
