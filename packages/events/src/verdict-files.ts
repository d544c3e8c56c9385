/** Verdicts on what a machine was served, or was not. */
import { LOOP_SECONDS, loopOf, programLoopOf } from "./boot-loop.ts";
import { formatBytes } from "./describe.ts";
import type { BootRecord, StageRecord } from "./records.ts";
import { isOptional, isScript, type StageName, stageOrder } from "./stages.ts";
import type { BootEvent, HeldUpBy } from "./types.ts";
import { type Case, loaderOf, newest, type Rule, seconds } from "./verdict.ts";

type Download = Extract<BootEvent, { type: "http.finished" | "tftp.finished" }>;

/** A download that does not move for so long has stalled: TFTP clients ask again after 1 to 5 s, TCP after less. */
const STALLED_SECONDS = 15;
/** Firmware that likes what it heard of a file fetches it at once. */
const SIZED_SECONDS = 8;
const downloadOf = ({ stage }: Case): Download | null =>
  stage !== null && (stage.last.type === "http.finished" || stage.last.type === "tftp.finished") ? stage.last : null;

const isMissing = ({ why }: Download): boolean => why?.startsWith("no such file") ?? false;
const isForbidden = (event: Download): boolean =>
  event.type === "http.finished" ? event.status === 403 : event.status === "refused" && /http\.allow/.test(event.why ?? "");
const isBeingWritten = ({ why }: Download): boolean => why?.endsWith(" is being written") ?? false;
const isNotReady = (event: Download): boolean =>
  isBeingWritten(event) || /^the main thread did not answer |^too many transfers$/.test(event.why ?? "");
/** A template: a script then goes out all the same, as one that prints the error. Any other file's error says where: `preseed/a.cfg:2:7: …`. */
const isBroken = ({ path, why, ...event }: Download): boolean =>
  event.type === "http.finished"
    ? event.status === 500 || (event.status === 200 && isScript(path))
    : event.status === "sent" || (event.status === "refused" && /^\S+:\d+:\d+: /.test(why ?? ""));
/** By us: a TFTP transfer also fails where the client ends it, as UEFI does that only asks for the size. */
const isRefused = (event: Download, { failed }: StageRecord): boolean =>
  failed && (event.type === "http.finished" || event.status === "refused" || event.status === "sent" || isBeingWritten(event));

type UnderWay = Extract<BootEvent, { type: "http.started" | "http.progress" | "tftp.started" | "tftp.progress" }>;
const isUnderWay = (event: Extract<BootEvent, { size: number }>): event is UnderWay => /\.(started|progress)$/.test(event.type);

const STANDS: Readonly<Record<HeldUpBy | "unknown", readonly [why: string, mend: string]>> = {
  disk: [
    ": this host's disk gives no more of it",
    "Look at the disk that http.root is on (its load, `dmesg`), or at the server that it comes from.",
  ],
  machine: [": the machine answers, and takes no more", "Look at its screen: it is out of memory, or stands still."],
  network: [
    ": nothing comes back from it",
    "The network between lost it, or it was switched off: look at its link, the switch's counters and its screen.",
  ],
  unknown: ["", "The machine or the network between takes no more: look at its screen, its link and the switch's counters."],
};

const WHO: Readonly<Partial<Record<StageName, string>>> = { program: "firmware", installer: "the installer", answers: "the installer" };

/** What the stage asked for and was refused. */
function refused(is: Case, ...stages: readonly StageName[]): Download | null {
  const event = downloadOf(is);
  return event && is.stage && isRefused(event, is.stage) && stages.includes(is.stage.name) ? event : null;
}

const times = (count: number): string => (count > 1 ? ` ${count} times` : "");
const asked = ({ boot, stage }: Case, { path }: Download): string =>
  `${WHO[stage?.name ?? "script"] ?? loaderOf(boot)} asked for ${path}${times(stage?.files.find((file) => file.path === path)?.asked ?? 1)}`;
/** With `Did you mean …?` out of the reason before it, where it is there. */
const meant = (why: string | undefined, mend: string): string => [...(/Did you mean .*\?/.exec(why ?? "") ?? []), mend].join(" ");

const fileMissing =
  (mend: string, ...stages: readonly StageName[]): Rule =>
  (is) => {
    const event = refused(is, ...stages);
    if (!event || !isMissing(event)) return null;
    return { text: `${asked(is, event)}: ${event.why?.replace(/\. Did you mean .*/, "")}.`, mend: meant(event.why, mend) };
  };

export const FILE_RULES: Readonly<Record<string, Rule>> = {
  "template-error": ({ boot }) => {
    const last = lastDownload(boot);
    return last?.why !== undefined && isBroken(last) && !isMissing(last)
      ? {
          text: `${last.path} could not be rendered: ${last.why}.`,
          mend: "Mend the template where the message says, or the value that the machine has under `vars`.",
        }
      : null;
  },
  "not-allowed": (is) => {
    const event = downloadOf(is);
    if (!event || !isForbidden(event)) return null;
    return { text: `${asked(is, event)} and was refused: ${event.why}.`, mend: "Add its prefix to http.allow." };
  },
  "certificate-refused": ({ boot: { entries } }) => {
    const failed = entries.findLastIndex(({ event }) => event.type === "http.tlsFailed");
    const { event } = entries[failed] ?? {};
    if (event?.type !== "http.tlsFailed" || entries.slice(failed).some(({ event: { type } }) => /^(http|tftp)\.finished$/.test(type)))
      return null;
    return {
      text: `it asked by HTTPS, and there was no session: ${event.why}.`,
      mend: "Enrol the authority of http.tls.cert in its firmware; `netboot6 check` says whether the certificate is for its name and valid.",
    };
  },
  "program-missing": fileMissing(
    "Put the boot program there (`netboot6 assets add ipxe`, or `shim-grub`), or correct boot.rules.",
    "program",
    "firmware",
  ),
  "script-missing": fileMissing(
    "Put the script there, correct `script` of its profile, or delete the rule that names it: /boot.ipxe is made without one.",
    "script",
  ),
  "kernel-missing": fileMissing("Put the kernel there, or correct `kernel` of its profile.", "kernel"),
  "initrd-missing": fileMissing("Put the initrd there, or correct `initrd` of its profile.", "initrd"),
  "answers-missing": fileMissing("Put the answers file there, or correct the URL on the kernel's command line.", "installer", "answers"),
  "not-ready": (is) => {
    const event = refused(is, "program", "ipxe", "script", "kernel", "initrd", "installer", "answers");
    if (!event || !isNotReady(event)) return null;
    const [text, mend] = isBeingWritten(event)
      ? [
          "it is being written, and given out once it is whole",
          "Wait for that (a file that is copied under another name and then renamed is whole at once).",
        ]
      : ["netboot6 was too busy", "If it comes again, look at this host's load (CPU, disk)."];
    return {
      text: `${asked(is, event)} and did not get it: ${text} (${event.why}).`,
      mend: `${mend} iPXE asks again by itself; boot another client again.`,
    };
  },
  "cut-off-by-netboot6": ({ stage, world }) => {
    const last = stage?.last;
    if (!last || !("size" in last)) return null;
    const why = isUnderWay(last) ? world.brokeOff(last.type.startsWith("http") ? "http" : "tftp", last.at) : last.why;
    if (why == null || !(isUnderWay(last) || /^netboot6 /.test(why))) return null;
    return {
      text: `${last.path} was cut off by this side at ${formatBytes("sent" in last ? last.sent : 0)} of ${formatBytes(last.size)}: ${why}.`,
      mend: "Once netboot6 answers again (`netboot6 status`), boot the machine again if it does not ask by itself.",
    };
  },
  "file-unreadable": (is) => {
    const event = refused(is, "program", "script", "kernel", "initrd", "installer", "answers");
    if (!event || event.why === undefined) return null;
    return { text: `${asked(is, event)} and it could not be read: ${event.why}.`, mend: "Look at the file's rights and at the disk." };
  },
  "file-empty": ({ boot, stage }) => {
    if (stage === null || stageOrder(stage.name) > stageOrder("initrd")) return null;
    const event = boot.entries.map(({ event }) => event).findLast(isEmptyFile);
    return event === undefined || lastDownload(boot, event.path) !== event
      ? null
      : {
          text: `it asked for ${event.path}, and that file is empty.`,
          mend: "A download of it failed, or a disk was full: put it there whole.",
        };
  },
  "program-not-efi": ({ boot, stage, silent }) => {
    const last = stage?.name === "firmware" && silent >= SIZED_SECONDS ? boot.entries.at(-1)?.event : undefined;
    return last?.type === "http.finished" && last.method === "HEAD" && last.status === 200 && !/\.(efi|iso|img)$/i.test(last.path)
      ? {
          text: `firmware asked for the size of ${last.path} and did not fetch it: its name does not end in .efi.`,
          mend: "Name the file so, or correct boot.rules.",
        }
      : null;
  },
  "program-refused": (is) => {
    const loop = loopOf(is.boots, is.boot.heardAt);
    if (is.stage?.name !== "program" || is.stage.failed || loop?.stage !== "program") return null;
    const { boots } = loop;
    return {
      text: `firmware fetched ${pathOf(is)} ${boots.length} times in ${seconds((is.boot.heardAt - (boots[0]?.startedAt ?? 0)) / 1000)} and did not run it.`,
      mend: "Secure Boot refuses what is not signed, and firmware runs only programs of its own architecture: turn Secure Boot off, or give it a signed program of its architecture (`bootProgram: shim-grub`).",
    };
  },
  "boot-loop": (is) => {
    const last = is.stage?.name === "script" ? newest(is.boot, "machine.rendered")?.event : undefined;
    if (last?.stopped !== undefined) {
      const mend = programLoopOf(is.boot, 0, last.at)
        ? "A boot rule gives iPXE itself again: put the rule with `userClass: iPXE` before it."
        : "Look at its screen at that stage: it resets there.";
      return {
        text: `its script stops it: ${last.stopped}.`,
        mend: `${mend} It goes on in a few minutes, or at once by \`netboot6 machine NAME boot-again\`.`,
      };
    }
    const loop = is.stage && loopOf(is.boots, is.boot.heardAt);
    if (!loop) return null;
    return {
      text: `it began ${loop.boots.length} boots within ${seconds(LOOP_SECONDS)} and came no further than ${loop.stage}.`,
      mend: "Look at its screen at that stage: it resets there.",
    };
  },
  "download-stalled": ({ stage, silent }) => {
    const last = stage?.last;
    if (silent < STALLED_SECONDS || !last || !("size" in last) || !isUnderWay(last)) return null;
    const stands = `${last.path} stands at ${formatBytes("sent" in last ? last.sent : 0)} of ${formatBytes(last.size)} for ${seconds(silent)}`;
    const [why, mend] = STANDS["heldUpBy" in last && last.heldUpBy ? last.heldUpBy : "unknown"];
    return { text: `${stands}${why}.`, mend };
  },
  "download-broken-off": (is) => {
    const event = downloadOf(is);
    if (!event || is.stage === null || event.sent >= event.size || isRefused(event, is.stage) || is.silent < STALLED_SECONDS) return null;
    return {
      text: `${pathOf(is)} was broken off at ${formatBytes(event.sent)} of ${formatBytes(event.size)}, and not asked for again.`,
      mend: "The machine closed the connection, or answered no more: look at its screen (memory, reset).",
    };
  },
};

const pathOf = ({ stage }: Case): string => (stage && "path" in stage.last ? stage.last.path : "the file");

const isDownload = (event: BootEvent): event is Download => event.type === "http.finished" || event.type === "tftp.finished";
const isEmptyFile = (event: BootEvent): event is Download =>
  isDownload(event) &&
  event.size === 0 &&
  event.why === undefined &&
  (event.status === 200 || event.status === "sent") &&
  !isOptional(event.path);

/** The last one, or the last one of that file. */
const lastDownload = ({ entries }: BootRecord, path?: string): Download | undefined =>
  entries.map(({ event }) => event).findLast((event) => isDownload(event) && (path === undefined || event.path === path)) as
    | Download
    | undefined;
