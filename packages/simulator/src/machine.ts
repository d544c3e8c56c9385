/**
 * One simulated machine: EDK2's HTTP boot, then iPXE, then Debian's installer, with what each sends and in which order as
 * captured from real ones (packages/dhcpv6/samples, docs/clients.md). What firmware refuses, it refuses.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Address, Mac } from "@netboot6/codec";
import { Dhcpv6Client } from "./dhcpv6-client.ts";
import { bootFirmware } from "./firmware.ts";
import { runInstaller } from "./installer.ts";
import { runIpxe } from "./ipxe.ts";
import { type IpCommands, linkLocalOf, MachineLink } from "./link.ts";

export interface MachineSpec {
  readonly name: string;
  readonly mac: Mac;
  /** Text form. */
  readonly uuid: string;
}

/** What happens to it, for who runs it. */
export type Report = (step: string, detail?: string) => void;

/** A machine's means: what each of its stages is given. */
export interface Host {
  readonly spec: MachineSpec;
  readonly link: MachineLink;
  readonly linkLocal: Address;
  readonly dhcpv6: Dhcpv6Client;
  readonly report: Report;
  /** The waits of real machines that no packet needs (DAD, self test, the kernel's start) take so many times as long; 0: none. */
  readonly pace: number;
  pause(seconds: number): Promise<void>;
}

/** Why a machine stopped booting, as its screen would say. */
export class BootFailure extends Error {
  override readonly name = "BootFailure";
}

export interface BootResult {
  readonly spec: MachineSpec;
  /** Null: it came all the way. */
  readonly failure: string | null;
  readonly seconds: number;
  readonly dhcpv6Resent: number;
}

export interface BootOptions {
  /** The rack's interface, and the name of the machine's own on it. */
  readonly rackInterface: string;
  readonly interface: string;
  readonly commands: IpCommands;
  readonly pace: number;
  readonly report: Report;
}

export async function bootMachine(spec: MachineSpec, options: BootOptions): Promise<BootResult> {
  const started = performance.now();
  const linkLocal = linkLocalOf(spec.mac);
  let link: MachineLink | null = null;
  let dhcpv6: Dhcpv6Client | null = null;
  let failure: string | null = null;
  try {
    link = await MachineLink.open(options.rackInterface, options.interface, spec.mac, options.commands);
    dhcpv6 = await Dhcpv6Client.open(linkLocal, link.interface);
    const host: Host = {
      spec,
      link,
      linkLocal,
      dhcpv6,
      report: options.report,
      pace: options.pace,
      pause: (seconds) => sleep(seconds * 1000 * options.pace).then(() => {}),
    };
    const program = await bootFirmware(host);
    const kernel = await runIpxe(host, program);
    await runInstaller(host, kernel);
  } catch (error) {
    failure = (error as Error).message;
    options.report("failed", failure);
  }
  dhcpv6?.close();
  link?.close();
  return { spec, failure, seconds: (performance.now() - started) / 1000, dhcpv6Resent: dhcpv6?.resent ?? 0 };
}
