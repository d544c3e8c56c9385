/** What the tests of DHCP clients share: a host of theirs whose changes to this host's files go to scratch copies. */
import type { ChildProcess } from "node:child_process";
import type { Client, ExecResult } from "@netboot6/lab";

const SCRATCH = ["/run", "/var/lib/dhcp", "/var/lib/dhcpcd", "/var/lib/systemd"];
const PREPARE = `
mount --make-rprivate /
for d in ${SCRATCH.join(" ")}; do [ ! -d $d ] || mount -t tmpfs t $d; done
touch /run/resolv.conf; mount --bind /run/resolv.conf /etc/resolv.conf
mkdir -p /run/systemd/netif /run/systemd/network /run/dbus /run/udev /run/dhcpcd
chown -R systemd-network:systemd-network /run/systemd/netif
mount -o remount,ro,bind /sys 2>/dev/null || mount -o remount,ro /sys`;

/** A program that goes on while the test does other things. */
export interface Program {
  /** All that it wrote. */
  said(): string;
  /** Waits until what it wrote since `from` matches; throws where it does not within `timeout` seconds. */
  says(pattern: RegExp, timeout: number, from?: number): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Waits until it ends by itself, `timeout` seconds at most. */
  ends(timeout: number): Promise<void>;
}

/** A host of the VLAN with files of its own under /run and where clients keep their leases, and a name of its own. */
export class ClientHost {
  readonly client: Client;
  readonly #holder: ChildProcess;

  constructor(client: Client, hostname = "localhost") {
    this.client = client;
    // What keeps the namespaces of its files and its name; the commands below enter them.
    const script = `${PREPARE}\nhostname ${hostname}\ntouch /run/ready\nexec sleep infinity`;
    this.#holder = client.namespace.spawn(["unshare", "-m", "-u", "sh", "-ec", script], { stdio: "ignore" });
  }

  #enter(script: string): string[] {
    const enter = `nsenter -t ${this.#holder.pid} -m -u`;
    // Asked from outside each time: who enters before the holder has its own namespaces stays in this host's.
    const wait = `for i in $(seq 200); do ${enter} test -e /run/ready && exec ${enter} sh -ec "$1"; sleep 0.05; done`;
    return ["sh", "-c", `${wait}; echo "the client's host did not come up" >&2; exit 1`, "-", script];
  }

  /** Runs a script to its end. */
  run(script: string, timeout = 20): Promise<ExecResult> {
    return this.client.namespace.exec(this.#enter(script), { timeout });
  }

  /** The output of a script that must end well. */
  async output(script: string, timeout = 20): Promise<string> {
    const { code, stdout, stderr } = await this.run(script, timeout);
    if (code !== 0) throw new Error(`${script}: exit code ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Starts a program in the foreground. */
  start(command: string): Program {
    const child = this.client.namespace.spawn(this.#enter(`exec ${command}`), { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    const hearers = new Set<() => void>();
    const wake = (): void => {
      for (const hearer of hearers) hearer();
    };
    const read = (data: Buffer): void => {
      said += data.toString("latin1");
      wake();
    };
    child.stdout?.on("data", read);
    child.stderr?.on("data", read);
    let ended = false;
    child.once("close", () => {
      ended = true;
      wake();
    });
    const until = (come: () => boolean, what: string, timeout: number): Promise<void> =>
      new Promise((resolve, reject) => {
        const settle = (error?: Error): void => {
          clearTimeout(timer);
          hearers.delete(look);
          if (error) reject(error);
          else resolve();
        };
        const look = (): void => {
          if (come()) settle();
          else if (ended) settle(new Error(`${command} ended before ${what}:\n${said}`));
        };
        const timer = setTimeout(() => settle(new Error(`${command}: no ${what} within ${timeout} s:\n${said}`)), timeout * 1000);
        hearers.add(look);
        look();
      });
    return {
      said: () => said,
      says: (pattern, timeout, from = 0) => until(() => pattern.test(said.slice(from)), String(pattern), timeout),
      signal: (signal) => child.kill(signal),
      ends: (timeout) => until(() => ended, "end", timeout),
    };
  }

  /** Sets the link up and waits until its link-local address can be used. */
  async up(): Promise<void> {
    this.client.up();
    await this.output(
      "for i in $(seq 100); do ip -6 addr show dev eth0 scope link -tentative | grep -q fe80 && exit; sleep 0.1; done; exit 1",
    );
  }

  /** Its first usable address that begins with `prefix`; "" where it has none within `seconds`. */
  async address(prefix: string, seconds = 5, on = "eth0"): Promise<string> {
    const look = `ip -6 -o addr show dev ${on} scope global -tentative | sed -n 's/.*inet6 \\(${prefix}[^/ ]*\\).*/\\1/p' | head -1`;
    const wait = `for i in $(seq ${seconds * 10}); do a=$(${look}); [ -z "$a" ] || break; sleep 0.1; done; echo $a`;
    return (await this.output(wait, seconds + 20)).trim();
  }
}
