/** What a machine would get, and why: the services' own decisions on a copy of what the store has. Sends nothing, stores nothing. */
import { BootFiles, chooseRule, explainRules, type RuleVerdict, rulesInForce } from "@netboot6/boot";
import {
  type Address,
  decodeMessage,
  findOption,
  isRelayMessage,
  type Message,
  OptionCode,
  type RouterAdvertisement,
  readClientFacts,
} from "@netboot6/codec";
import type { Appliance, Network } from "@netboot6/config";
import { handle, type ServerState } from "@netboot6/dhcpv6";
import type { EventBody } from "@netboot6/events";
import { buildAdvertisement, forwards } from "@netboot6/ra";
import type { Registry } from "../registry.ts";
import type { Captured } from "./capture.ts";
import { optionsInWords } from "./options.ts";

export interface Explanation {
  readonly message: string;
  readonly machine: string | null;
  /** Null: no answer leaves, and `why` says the reason. */
  readonly answer: string | null;
  readonly why: readonly string[];
  /** What it would be leased. */
  readonly addresses: readonly string[];
  readonly options: readonly (readonly [name: string, value: string])[];
  readonly rules: readonly RuleVerdict[];
}

export interface Served {
  readonly profile: string;
  readonly why: string;
  readonly script: string;
}

type Told = Extract<EventBody, { type: "dhcpv6.answered" | "dhcpv6.dropped" }>;

export class Explainer {
  readonly #appliance: Appliance;
  readonly #networks: readonly Network[];
  readonly #registry: Registry;

  /** `registry`: a copy, which the questions change. */
  constructor(appliance: Appliance, networks: readonly Network[], registry: Registry) {
    this.#appliance = appliance;
    this.#networks = networks;
    this.#registry = registry;
  }

  /** `on`: the interface that the message would come in on; null: by a relay. */
  explain(captured: Captured, on: string | null): Explanation {
    const state: ServerState = {
      appliance: this.#appliance,
      networks: this.#networks,
      rules: rulesInForce(this.#appliance),
      machines: this.#registry.machines,
      leases: this.#registry.leases,
      serverDuid: this.#registry.serverDuid,
      programLoop: (machine) => this.#registry.programLoop(machine),
    };
    const outcome = handle(state, { ...captured, interface: on }, Date.now());
    const told = outcome.events.find((event): event is Told => event.type === "dhcpv6.answered" || event.type === "dhcpv6.dropped");
    const machine = told?.machine ?? null;
    const sent = outcome.send ? clientMessage(outcome.send.bytes) : null;
    return {
      message: told?.message ?? "",
      machine,
      answer: told?.type === "dhcpv6.answered" ? told.answer : null,
      why: told === undefined ? [] : typeof told.why === "string" ? [told.why] : told.why,
      addresses: told?.type === "dhcpv6.answered" ? told.addresses : [],
      options: sent === null ? [] : optionsInWords(sent.options),
      rules: this.#rules(captured, told),
    };
  }

  #rules({ bytes }: Captured, told: Told | undefined): RuleVerdict[] {
    const message = clientMessage(bytes);
    const facts = message && !isRelayMessage(message) ? readClientFacts(message) : null;
    if (!facts?.ok || told === undefined) return [];
    const uuid = told.machine === undefined ? null : (this.#registry.machines.byId(told.machine)?.uuid ?? null);
    const { bootProgram } = this.#registry.profileFor(told.machine ?? "", told.network ?? null).profile;
    const asker = { facts: facts.value, mac: told.mac ?? null, uuid, network: told.network ?? "", bootProgram };
    return chooseRule([], asker).kind === "system" ? [] : explainRules(rulesInForce(this.#appliance), asker);
  }

  advertisement(network: Network): RouterAdvertisement | null {
    const { advertise, link } = network;
    if (!link || advertise === null || advertise === "observe") return null;
    const { dns, domain } = this.#appliance;
    return buildAdvertisement({ settings: advertise, network, forwarding: forwards(link.name), dnsOn: dns !== null, domain });
  }

  /** The script that the machine's boot program is served at that address; null where no files are. */
  async script(machine: string, address: Address): Promise<Served | null> {
    const files = this.#appliance.http ?? this.#appliance.tftp;
    const known = this.#registry.machines.byId(machine);
    if (!files || !known) return null;
    const grub = this.#registry.profileFor(machine, null).profile.bootProgram !== "ipxe";
    let told = { profileName: "", why: "" };
    const found = await new BootFiles(files, async (question) => {
      const answer = await this.#registry.answer(question, () => {});
      told = answer as typeof told;
      return answer;
    }).find(grub ? "/grub/grub.cfg" : "/boot.ipxe", address, known.macs[0] === undefined ? {} : { mac: known.macs[0] });
    const script = found.kind === "text" || found.kind === "broken" ? found.body.toString() : found.kind === "missing" ? found.why : "";
    return { profile: told.profileName, why: told.why, script };
  }
}

/** The client's message out of its relays. */
function clientMessage(bytes: Uint8Array): Message | null {
  const decoded = decodeMessage(bytes);
  if (!decoded.ok) return null;
  if (!isRelayMessage(decoded.value)) return decoded.value;
  const inner = findOption(decoded.value.options, OptionCode.relayMessage);
  return inner ? clientMessage(inner) : null;
}
