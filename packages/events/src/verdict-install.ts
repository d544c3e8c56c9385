/** Verdicts on a machine that has what it asked for and went silent, and on what its profile makes of it. */
import type { StageName } from "./stages.ts";
import type { BootEvent } from "./types.ts";
import { type Case, loaderOf, newest, type Rule, seconds } from "./verdict.ts";

/** iPXE waits 15 s for DHCPv4 before it gives up (docs/clients.md), and starts within a few seconds. */
const DHCPV4_SECONDS = 6;
const IPXE_SECONDS = 45;
/** From its script to the kernel it names; from the initrd to the installer's first packet; from there to its answers file. */
const KERNEL_SECONDS = 30;
const START_SECONDS = 180;
const ANSWERS_SECONDS = 180;
const INSTALL_SECONDS = 3600;
/** An installer that made its DUID (RFC 9915 §11.2) just now tells its clock by it. */
const DUID_LLT = "00010001";
const EPOCH_2000_S = 946_684_800;
const DAY_MS = 86_400_000;
const CLOCK_SECONDS = 60;
const STRANGER_SECONDS = 20;
/** So many times as long as its peers take, and at least half a minute. */
const PEERS = 4;
const LEAST_SECONDS = 30;

const silentAt = ({ stage, silent }: Case, name: StageName, least: number): boolean =>
  stage?.name === name && stage.failed === false && silent >= least;

/** A stage came through, and then nothing for so long. */
const thenSilent =
  (stages: readonly StageName[], least: number, text: (since: string) => string, mend: string): Rule =>
  (is) =>
    stages.some((stage) => silentAt(is, stage, least)) ? { text: text(seconds(is.silent)), mend } : null;

export const INSTALL_RULES: Readonly<Record<string, Rule>> = {
  "profile-waits": ({ boot, stage }) => {
    const rendered = stage?.name === "script" ? newest(boot, "machine.rendered") : null;
    return rendered?.event.profileKind === "wait"
      ? {
          text: `its profile ${rendered.event.profile} keeps it waiting (${rendered.event.why}).`,
          mend: "Give it a profile: `profile` of its entry under machines, or `defaultProfile`.",
        }
      : null;
  },
  "ipxe-waits-for-dhcpv4": (is) =>
    silentAt(is, "program", DHCPV4_SECONDS) && is.silent < IPXE_SECONDS && loaderOf(is.boot) === "iPXE"
      ? {
          text: `iPXE is in and says nothing for ${seconds(is.silent)}: without an autoexec.ipxe it waits 15 s for DHCPv4.`,
          mend: "Use an iPXE that asks for autoexec.ipxe beside it, as Debian 13's does (`netboot6 assets add ipxe`).",
        }
      : null,
  "ipxe-silent": thenSilent(
    ["program"],
    IPXE_SECONDS,
    (since) => `the boot program is in since ${since}, and nothing was heard of it.`,
    "Secure Boot refused it, it is not for this architecture, or it is an iPXE without IPv6: look at the machine's screen.",
  ),
  "script-not-asked-for": thenSilent(
    ["ipxe"],
    KERNEL_SECONDS,
    (since) => `iPXE has its address since ${since} and has not asked for its script.`,
    "Look at its screen: it shows the URL and an error.",
  ),
  "kernel-not-asked-for": (is) => {
    const rendered = silentAt(is, "script", KERNEL_SECONDS) ? newest(is.boot, "machine.rendered") : null;
    return rendered && rendered.event.profileKind !== "disk"
      ? {
          text: `${loaderOf(is.boot)} has the script of profile ${rendered.event.profile} since ${seconds(is.silent)} and has asked for nothing in it.`,
          mend: "Look at its screen: a command of the script failed, or a URL in it cannot be reached.",
        }
      : null;
  },
  "lease-expired": ({ boot, stage, silent }) => {
    // Firmware releases its lease before it runs the boot program, and what that runs may form its own address.
    const leases = ({ valid, message }: Extract<BootEvent, { type: "dhcpv6.answered" }>) => valid !== undefined || message === "Release";
    const last = silent >= LEAST_SECONDS ? newest(boot, "dhcpv6.answered", leases) : null;
    if (last?.event.valid === undefined || stage === null || stage.name === "firmware") return null;
    const over = (boot.heardAt - last.event.at) / 1000 + silent - last.event.valid;
    return over > 0
      ? {
          text: `its lease of ${last.event.addresses.join(", ")} ended ${seconds(over)} ago, and it did not ask again.`,
          mend: "It is off, or what it runs does not renew: make dhcp.lifetimes longer than an installation.",
        }
      : null;
  },
  "answers-by-stranger": ({ stage, silent, world, network }) => {
    if (stage === null || !["kernel", "initrd", "installer"].includes(stage.name) || silent < STRANGER_SECONDS) return null;
    const stranger = world.stranger(network);
    return stranger && stranger.at >= (stage.endedAt ?? stage.startedAt)
      ? {
          text: `${stranger.client} asked for ${stranger.path}, and is no known machine's address: the installer may be this machine's, under an address of its own choice.`,
          mend: "Let it keep the address that it is leased or forms from its MAC (no privacy extensions), or put ?mac= into the URL.",
        }
      : null;
  },
  "clock-wrong": ({ boot, stage, silent }) => {
    const last =
      (stage?.name === "installer" || stage?.name === "answers") && silent >= CLOCK_SECONDS
        ? newest(boot, "dhcpv6.answered", ({ clientKind, duid }) => clientKind === "system" && duid.startsWith(DUID_LLT))
        : null;
    // An installed system shows its DUID too, as old as its disk: before this boot's installer was up.
    const installer = boot.stages.find(({ name }) => name === "installer");
    if (!last || !installer || last.event.at < installer.startedAt) return null;
    const clock = (Number.parseInt(last.event.duid.slice(8, 16), 16) + EPOCH_2000_S) * 1000;
    return Math.abs(clock - last.event.at) > DAY_MS
      ? {
          text: `its clock says ${new Date(clock).toISOString().slice(0, 10)}: certificates and signed packages are not valid then.`,
          mend: "Set the clock in its firmware's setup; a battery may be empty.",
        }
      : null;
  },
  "installer-silent": thenSilent(
    ["kernel", "initrd"],
    START_SECONDS,
    (since) => `kernel and initrd are in since ${since}, and the installer was not heard.`,
    "Look at its console: a kernel that does not fit its initrd, too little memory, or no driver for its network card.",
  ),
  "answers-not-asked-for": thenSilent(
    ["installer"],
    ANSWERS_SECONDS,
    (since) => `the installer is up since ${since} and has not asked for its answers file.`,
    "Name the file on the kernel's command line (preseed/url=, inst.ks=, …); an installer that asks questions waits at its screen.",
  ),
  "not-reported-done": thenSilent(
    ["answers"],
    INSTALL_SECONDS,
    (since) => `the installer has its answers file since ${since} and did not report.`,
    "Let its late command fetch {{ done }}; or it failed: look at its console.",
  ),
  "slower-than-its-peers": ({ stage, silent, world }) => {
    const usual = stage === null ? null : world.usualSeconds(stage.name);
    return stage !== null && usual !== null && silent >= Math.max(LEAST_SECONDS, PEERS * usual) && stage.name !== "answers"
      ? {
          text: `silent at ${stage.name} for ${seconds(silent)}; other machines take ${seconds(usual)} there.`,
          mend: "Look at its screen.",
        }
      : null;
  },
};
