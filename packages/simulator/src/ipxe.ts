/** iPXE for UEFI: its network configuration (ndp.c, dhcpv6.c) and as much of its script language as boot scripts use. */
import { type Address, encodeTexts, encodeU16List, encodeVendorClass, MessageType, type Option, OptionCode } from "@netboot6/codec";
import { bootfileUrl, isReply, leasedAddress } from "./dhcpv6-client.ts";
import { type LoadedProgram, uuidBytes } from "./firmware.ts";
import { HttpClient } from "./http-client.ts";
import { slaacAddress } from "./link.ts";
import { BootFailure, type Host } from "./machine.ts";

export interface StartedKernel {
  readonly cmdline: string;
  readonly address: Address;
}

const USER_AGENT = "iPXE/1.21.1+ (simulated)";
const RETRIES = [0.25, 0.5, 1, 2, 4, 8.4];
/** iPXE's autoboot asks DHCPv4 as well, and waits for it. */
const DHCPV4_SECONDS = 15;
const BANNER_SECONDS = 2;
const HTTP_TIMEOUT = 60;
const MAX_STEPS = 10_000;
const MAX_SLEEPS = 100;

export async function runIpxe(host: Host, program: LoadedProgram): Promise<StartedKernel> {
  host.report("ipxe");
  await host.pause(0.3);
  const ipxe = new Ipxe(host, program.address);
  try {
    // Debian 13's asks beside its own URL before all else, over the firmware's address; twice where it is not there.
    const autoexec = new URL("autoexec.ipxe", program.url).href;
    for (let i = 0; i < 2; i++) {
      const script = await ipxe.load(autoexec);
      if (script !== null) return await ipxe.run(script, autoexec);
    }
    return await ipxe.autoboot();
  } finally {
    ipxe.close();
  }
}

/** Where a script ends: with another program, or with its kernel started. */
class Ipxe {
  readonly #host: Host;
  #address: Address;
  #http: HttpClient;
  #filename: string | null = null;
  #kernel: string | null = null;
  /** Fetched and not run yet, by their names. */
  readonly #images = new Map<string, { readonly script: string; readonly url: string }>();
  #steps = 0;
  #sleeps = 0;

  constructor(host: Host, address: Address) {
    this.#host = host;
    this.#address = address;
    this.#http = new HttpClient(address, USER_AGENT, HTTP_TIMEOUT);
  }

  close(): void {
    this.#http.close(false);
  }

  async load(url: string): Promise<string | null> {
    const answer = await this.#http.fetch("GET", url, true).catch(() => null);
    return answer?.status === 200 ? answer.text : null;
  }

  /** Its banner, then DHCPv4 and IPv6 beside each other: it goes on when both are done. */
  async autoboot(): Promise<StartedKernel> {
    await this.#host.pause(BANNER_SECONDS + DHCPV4_SECONDS);
    if (!(await this.configure())) throw new BootFailure("iPXE: Connection timed out");
    const url = this.#filename;
    if (url === null) throw new BootFailure("iPXE: Nothing to boot: No such file or directory");
    const script = await this.load(url);
    if (script === null) throw new BootFailure(`iPXE: ${url}: No such file`);
    return this.run(script, url);
  }

  /** `ifconf --configurator ipv6`: obeys the first advertisement it hears. */
  async configure(): Promise<boolean> {
    const { link, linkLocal, spec, dhcpv6 } = this.#host;
    let router: Awaited<ReturnType<typeof link.hear>> = null;
    for (const wait of RETRIES) {
      link.solicit(linkLocal, spec.mac);
      router = await link.hear(wait * 1000);
      if (router) break;
    }
    if (!router) return false;
    const { managed, other } = router;
    const own = slaacAddress(router, spec.mac);
    const common: Option[] = [
      {
        code: OptionCode.optionRequest,
        data: encodeU16List([OptionCode.dnsServers, OptionCode.domainSearch, OptionCode.bootfileUrl, OptionCode.bootfileParam]),
      },
      { code: OptionCode.vendorClass, data: encodeVendorClass({ enterprise: 343, classes: ["PXEClient:Arch:00007:UNDI:003010"] }) },
      { code: OptionCode.clientArchitecture, data: encodeU16List([7]) },
      { code: OptionCode.networkInterfaceId, data: Uint8Array.of(1, 3, 10) },
      { code: OptionCode.userClass, data: encodeTexts(["iPXE"]) },
      { code: OptionCode.elapsedTime, data: Uint8Array.of(0, 0) },
    ];
    const clientId: Option = { code: OptionCode.clientId, data: Uint8Array.of(0, 4, ...uuidBytes(spec.uuid)) };
    let address = own;
    if (managed) {
      const ia: Option = {
        code: OptionCode.iaNa,
        data: Uint8Array.of(0xf7, 0x87, ...uuidBytes(spec.uuid).subarray(14), 0, 0, 0, 0, 0, 0, 0, 0),
      };
      const offer = await dhcpv6.exchange(
        MessageType.solicit,
        [clientId, ia, ...common],
        (answer) => answer.type === MessageType.advertise && leasedAddress(answer) !== null,
        RETRIES,
      );
      const server = offer?.options.find((option) => option.code === OptionCode.serverId);
      const offered = offer?.options.find((option) => option.code === OptionCode.iaNa);
      if (!server || !offered) return false;
      const reply = await dhcpv6.exchange(MessageType.request, [clientId, server, offered, ...common], isReply, RETRIES);
      if (!reply) return false;
      address = leasedAddress(reply);
      this.#filename = bootfileUrl(reply);
    } else if (other) {
      const reply = await dhcpv6.exchange(MessageType.informationRequest, [clientId, ...common], isReply, RETRIES);
      if (!reply) return false;
      this.#filename = bootfileUrl(reply);
    }
    if (address === null) return false;
    await this.#host.link.addAddress(address);
    if (address !== this.#address) {
      this.#http.close(false);
      this.#http = new HttpClient(address, USER_AGENT, HTTP_TIMEOUT);
      this.#address = address;
    }
    return true;
  }

  async run(script: string, url: string): Promise<StartedKernel> {
    if (!script.startsWith("#!ipxe")) throw new BootFailure(`iPXE: ${url}: Exec format error`);
    const lines = script.split("\n").map((line) => line.trim());
    let failed = false;
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i] as string;
      if (line === "" || line.startsWith("#") || line.startsWith(":")) continue;
      if (++this.#steps > MAX_STEPS) throw new BootFailure(`iPXE: ${url} does not end`);
      // `a && b || c`: from left to right, as iPXE does
      let ok = true;
      for (const { join, words } of commands(line)) {
        if ((join === "&&" && !ok) || (join === "||" && ok)) continue;
        if (words.length === 0) {
          ok = true;
          continue;
        }
        const result = await this.#command(words, url);
        if (typeof result === "object") return result;
        if (typeof result === "string") {
          const at = lines.indexOf(`:${result}`);
          if (at < 0) throw new BootFailure(`iPXE: ${url}: no label ${result}`);
          i = at;
          ok = true;
          break;
        }
        ok = result;
      }
      failed = !ok;
      if (failed) throw new BootFailure(`iPXE: ${url}: ${line}: failed`);
    }
    throw new BootFailure(`iPXE: ${url} ended without booting anything`);
  }

  /** True or false: how it went; a text: the label to go to; a kernel: it was started. */
  async #command(words: readonly string[], url: string): Promise<boolean | string | StartedKernel> {
    const [name, ...args] = words.map((word) => this.#expand(word));
    switch (name) {
      case "echo":
      case "set":
      case "sanboot":
        return name !== "sanboot";
      case "ifconf":
        return this.configure();
      case "autoboot":
        return this.autoboot();
      case "iseq":
        return args[0] === args[1];
      case "goto":
        return args[0] ?? "";
      case "sleep":
        if (++this.#sleeps > MAX_SLEEPS) throw new BootFailure(`iPXE: ${url}: still waiting after ${MAX_SLEEPS} sleeps`);
        await this.#host.pause(Number(args[0]));
        return true;
      case "exit":
        throw new BootFailure(`iPXE left with exit ${args[0] ?? 0}: the next boot option`);
      case "chain": {
        const target = args.find((arg) => !arg.startsWith("--")) ?? "";
        const script = await this.load(new URL(target, url).href);
        if (script === null) return false;
        this.#host.report("script", target);
        return this.run(script, target);
      }
      case "imgfetch": {
        const target = args.find((arg, i) => !arg.startsWith("--") && args[i - 1] !== "--name") ?? "";
        const script = await this.load(new URL(target, url).href);
        if (script === null) return false;
        this.#images.set(args[args.indexOf("--name") + 1] ?? target, { script, url: target });
        return true;
      }
      case "imgexec": {
        const image = this.#images.get(args.find((arg) => !arg.startsWith("--")) ?? "");
        if (!image) return false;
        this.#host.report("script", image.url);
        return this.run(image.script, image.url);
      }
      case "kernel":
      case "initrd": {
        const target = args.find((arg, i) => !arg.startsWith("--") && args[i - 1] !== "--name") ?? "";
        const answer = await this.#http.fetch("GET", new URL(target, url).href).catch(() => null);
        if (answer?.status !== 200 || answer.bytes !== Number(answer.headers["content-length"])) return false;
        this.#host.report(name, `${answer.bytes} bytes`);
        if (name === "kernel") this.#kernel = args.slice(args.indexOf(target) + 1).join(" ");
        return true;
      }
      case "boot":
        return this.#kernel === null ? false : { cmdline: this.#kernel, address: this.#address };
      default:
        throw new BootFailure(`iPXE: ${name}: command not found`);
    }
  }

  #expand(word: string): string {
    const values: Readonly<Record<string, string>> = {
      platform: "efi",
      buildarch: "x86_64",
      "net0/mac": this.#host.spec.mac,
      uuid: this.#host.spec.uuid,
    };
    return word.replace(/\$\{([^}]*)\}/g, (_, name: string) => values[name] ?? "");
  }
}

function commands(line: string): { join: "" | "&&" | "||"; words: string[] }[] {
  const all: { join: "" | "&&" | "||"; words: string[] }[] = [{ join: "", words: [] }];
  for (const word of line.split(/\s+/)) {
    if (word === "&&" || word === "||") all.push({ join: word, words: [] });
    else all.at(-1)?.words.push(word);
  }
  return all;
}
