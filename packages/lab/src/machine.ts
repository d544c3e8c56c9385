import type { ChildProcess } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { createWriteStream, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { type NetworkBoot, signatureLists, withNetworkBoot } from "./uefi-variables.ts";
import type { ProvisioningVlan } from "./vlan.ts";

export type Firmware =
  /** OVMF, HTTP boot over IPv6 (architecture 16). */
  | "uefi-http"
  /** OVMF, PXE over IPv6 (architecture 7, TFTP). */
  | "uefi-pxe"
  /** SeaBIOS that starts iPXE, as from a ROM (architecture 0). */
  | "bios-ipxe";

export interface MachineOptions {
  /** Names its files in the VLAN's directory. */
  readonly name: string;
  readonly firmware: Firmware;
  readonly mac: string;
  readonly uuid?: string;
  /** MiB, 1024 by default. */
  readonly memory?: number;
  /** `br0` by default. */
  readonly bridge?: string;
  /** A raw disk image, see `bootableDisk`. */
  readonly disk?: string;
  /** UEFI with Secure Boot on and Microsoft's keys enrolled. */
  readonly secureBoot?: boolean;
  /** A certificate in PEM that UEFI firmware trusts for HTTPS boot. */
  readonly trusts?: string;
  /** `x86_64` by default. ARM64 is UEFI alone, with Secure Boot on: architecture 11 or 19. */
  readonly cpu?: "x86_64" | "arm64";
  /** `ipxe.lkrn`, for `bios-ipxe`. */
  readonly ipxe?: string;
  /** A script that it runs in place of its autoboot. */
  readonly ipxeScript?: string;
  /** A reset restarts the machine; by default it powers it off. */
  readonly restart?: boolean;
  /** Hears each line of the serial console. */
  readonly onLine?: (line: ConsoleLine) => void;
}

export interface ConsoleLine {
  /** Since power-on. */
  readonly seconds: number;
  readonly text: string;
}

/** Code and variables. */
const UEFI = {
  x86_64: ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"],
  "x86_64 secure": ["/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"],
  arm64: ["/usr/share/AAVMF/AAVMF_CODE.ms.fd", "/usr/share/AAVMF/AAVMF_VARS.ms.fd"],
} as const;
const BOOT: Record<Exclude<Firmware, "bios-ipxe">, NetworkBoot> = { "uefi-http": "http6", "uefi-pxe": "pxe6" };
const NIC_SLOT = 1;
/**
 * OVMF starts a boot option with its link-local address still tentative, and HTTP boot then fails at once; waiting in the boot menu
 * lets DAD end. Whole seconds only. Measured on idle cores: 1 s boots 2 times of 6, 2 s 20 of 20, 3 s 6 of 6. Beside another
 * machine on the same two cores 2 s was once too short.
 */
const MENU_WAIT_MS = 4000;
const POWER_OFF_LIMIT_MS = 5_000;

/** A QEMU machine on a tap of its own. Powered on by its making; gone with the VLAN at the latest. */
export class Machine {
  readonly name: string;
  readonly tap: string;
  readonly log: string;
  /** All that its serial console said. */
  readonly lines: ConsoleLine[] = [];
  /** When QEMU has ended; false where nobody powered it off. */
  readonly off: Promise<boolean>;
  readonly #qemu: ChildProcess;
  readonly #poweredOn = performance.now();
  readonly #waiting = new Set<() => void>();
  #pending = "";
  #errors = "";
  #state: "on" | "powered off" | "ended" = "on";

  constructor(vlan: ProvisioningVlan, options: MachineOptions) {
    this.name = options.name;
    this.tap = vlan.tap(options.bridge);
    this.log = join(vlan.dir, `${options.name}.console.log`);
    const log = createWriteStream(this.log);
    this.#qemu = vlan.switch.spawn(qemuCommand(vlan.dir, this.tap, options), { stdio: ["ignore", "pipe", "pipe"] });
    this.#qemu.stdout?.setEncoding("latin1").on("data", (chunk: string) => {
      const lines = (this.#pending + chunk).split(LINE_END);
      this.#pending = lines.pop() ?? "";
      for (const line of lines) {
        const text = plain(line);
        if (text === "") continue;
        const entry = { seconds: this.seconds, text };
        this.lines.push(entry);
        log.write(`${entry.seconds.toFixed(2).padStart(8)} ${text}\n`);
        options.onLine?.(entry);
      }
      this.#wake();
    });
    this.#qemu.stderr?.on("data", (data) => {
      this.#errors += data;
    });
    this.off = new Promise((resolve) => {
      this.#qemu.once("close", () => {
        const asked = this.#state === "powered off";
        this.#state = "ended";
        log.end();
        this.#wake();
        resolve(asked);
      });
    });
  }

  /** Since power-on. */
  get seconds(): number {
    return (performance.now() - this.#poweredOn) / 1000;
  }

  /** The first console line, of all since power-on, that matches; throws when there is none within `timeout` seconds of now. */
  async waitFor(pattern: RegExp, timeout: number): Promise<ConsoleLine> {
    let seen = 0;
    let overdue = false;
    const find = (): ConsoleLine | undefined => {
      while (seen < this.lines.length) {
        const line = this.lines[seen++] as ConsoleLine;
        if (pattern.test(line.text)) return line;
      }
      const text = plain(this.#pending);
      return pattern.test(text) ? { seconds: this.seconds, text } : undefined;
    };
    const timer = setTimeout(() => {
      overdue = true;
      this.#wake();
    }, timeout * 1000);
    try {
      for (;;) {
        const found = find();
        if (found) return found;
        const why = overdue ? `within ${timeout} s` : this.#state === "ended" ? `before it was off ${this.#errors.trim()}` : null;
        if (why) throw new Error(`${this.name}: no ${pattern} on the console ${why}; last lines:\n${this.#tail()}`);
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** As pulling the plug. */
  async powerOff(): Promise<void> {
    if (this.#state !== "on") return;
    this.#state = "powered off";
    this.#qemu.kill();
    const timer = setTimeout(() => this.#qemu.kill("SIGKILL"), POWER_OFF_LIMIT_MS);
    await this.off;
    clearTimeout(timer);
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  #tail(): string {
    return [...this.lines.slice(-8).map((line) => line.text), plain(this.#pending)].join("\n");
  }
}

function qemuCommand(dir: string, tap: string, options: MachineOptions): string[] {
  const { cpu = "x86_64", secureBoot = false } = options;
  const smm = secureBoot ? ",smm=on" : "";
  const argv =
    cpu === "arm64"
      ? ["qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a57"]
      : ["qemu-system-x86_64", "-machine", `q35,graphics=off${smm}`, "-cpu", "max"];
  argv.push("-accel", "tcg,thread=multi");
  argv.push("-m", String(options.memory ?? 1024), "-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio");
  // An empty romfile: without the NIC's own iPXE, only the firmware's network stack is there.
  argv.push("-netdev", `tap,id=lan,ifname=${tap},script=no,downscript=no`);
  argv.push("-device", `virtio-net-pci,netdev=lan,mac=${options.mac},addr=${NIC_SLOT},romfile=`);
  if (options.uuid) argv.push("-uuid", options.uuid);
  if (options.disk) argv.push("-drive", `file=${options.disk},format=raw,if=virtio`);
  if (!options.restart) argv.push("-no-reboot");
  if (options.firmware === "bios-ipxe") {
    if (!options.ipxe) throw new TypeError("a bios-ipxe machine needs ipxe.lkrn");
    return [...argv, "-kernel", options.ipxe, ...(options.ipxeScript ? ["-initrd", options.ipxeScript] : [])];
  }
  const variables = join(dir, `${options.name}.variables.fd`);
  const [code, blank] = UEFI[secureBoot && cpu === "x86_64" ? "x86_64 secure" : cpu];
  writeFileSync(variables, withNetworkBoot(readFileSync(blank), BOOT[options.firmware], options.mac, NIC_SLOT));
  if (secureBoot && cpu === "x86_64") argv.push("-global", "driver=cfi.pflash01,property=secure,value=on");
  if (options.trusts) {
    const authorities = join(dir, `${options.name}.authorities`);
    writeFileSync(authorities, signatureLists([new X509Certificate(readFileSync(options.trusts)).raw]));
    argv.push("-fw_cfg", `name=etc/edk2/https/cacerts,file=${authorities}`);
  }
  return [
    ...argv,
    ...["-drive", `if=pflash,format=raw,unit=0,readonly=on,file=${code}`],
    ...["-drive", `if=pflash,format=raw,unit=1,file=${variables}`],
    ...["-boot", `menu=on,splash-time=${MENU_WAIT_MS}`],
    ...["-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n"],
  ];
}

const ESC = "\u001b";
/** A line feed, a cursor moved elsewhere or a cleared screen. */
const LINE_END = new RegExp(`\n|${ESC}\\[\\d+;\\d+H|${ESC}\\[2J`);

/** What a line shows in the end: a carriage return lets progress be overwritten. */
function plain(line: string): string {
  const shown = stripVTControlCharacters(line)
    .split("\r")
    .findLast((part) => part.trim() !== "");
  return (shown ?? "").replace(/\p{Cc}/gu, "").trimEnd();
}
