/** A question of an operator, read and answered: what a machine would get, and why. */
import { type Address, canonicalAddress, type Mac, parseMac, type RouterAdvertisement } from "@netboot6/codec";
import { type Appliance, archNumber, type Network } from "@netboot6/config";
import type { Registry } from "../registry.ts";
import type { Captured } from "./capture.ts";
import { Explainer, type Explanation, type Served } from "./explain.ts";
import { messageOf, type Question } from "./question.ts";

/** As it was written. */
export interface AskedFor {
  readonly mac?: string | undefined;
  readonly uuid?: string | undefined;
  readonly arch?: string | undefined;
  readonly userClass?: string | undefined;
  readonly relay?: string | undefined;
  readonly network?: string | undefined;
}

export interface Explained {
  readonly network: string;
  readonly explanations: readonly Explanation[];
  readonly advertisement: RouterAdvertisement | null;
  readonly served: Served | null;
}

/** What was asked cannot be answered as it stands; the message says why. */
export class QuestionError extends Error {
  override readonly name = "QuestionError";
}

export interface Place {
  readonly appliance: Appliance;
  readonly networks: readonly Network[];
  /** A copy: what is asked changes nothing. */
  readonly registry: Registry;
}

/** `captured`: the machine's own messages; null: one such as a machine like this sends. Throws QuestionError. */
export async function explainTo(
  asked: AskedFor,
  { appliance, networks, registry }: Place,
  captured: readonly Captured[] | null,
): Promise<Explained> {
  const question = captured ? null : questionOf(asked);
  const network = networkOf(asked, networks);
  const messages = question ? [messageOf(question, network)] : (captured ?? []);
  const explainer = new Explainer(appliance, networks, registry);
  const on = network.relayed || asked.relay !== undefined ? null : (network.link?.name ?? null);
  const explanations = messages.map((message) => explainer.explain(message, on));
  const newest = explanations.findLast(({ addresses }) => addresses.length > 0);
  const served = newest?.machine ? await explainer.script(newest.machine, newest.addresses[0] as Address) : null;
  return { network: network.name, explanations, advertisement: explainer.advertisement(network), served };
}

function networkOf({ network: name, relay }: AskedFor, networks: readonly Network[]): Network {
  const fits =
    name === undefined ? networks.find(({ relayed }) => relayed === (relay !== undefined)) : networks.find((each) => each.name === name);
  if (fits) return fits;
  const there = networks.map((each) => each.name).join(", ");
  throw new QuestionError(
    name === undefined
      ? `no ${relay === undefined ? "on-link" : "relayed"} network is there`
      : `no network is called ${name}; there are: ${there || "none"}`,
  );
}

function questionOf({ mac, uuid, arch, userClass, relay }: AskedFor): Question {
  if (mac === undefined && uuid === undefined) throw new QuestionError("neither a MAC nor a UUID tells the machine");
  const read = <T>(what: string, text: string | undefined, value: (text: string) => T | null): T | null => {
    const result = text === undefined ? null : value(text);
    if (text !== undefined && result === null) throw new QuestionError(`${what} ${text} is not understood`);
    return result;
  };
  const uuidText = (text: string): string | null => (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text.toLowerCase() : null);
  const archOf = (text: string): number | null => {
    const arch = /^\d{1,5}$/.test(text) ? Number(text) : archNumber(text.toLowerCase());
    return arch !== null && arch <= 0xffff ? arch : null;
  };
  return {
    mac: read<Mac>("MAC", mac, parseMac),
    uuid: read("UUID", uuid, uuidText),
    arch: read("architecture", arch, archOf),
    userClass: userClass ?? null,
    relay: read("relay", relay, canonicalAddress),
  };
}
