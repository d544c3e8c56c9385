/** Faults that show in time alone, part of verdicts.test.ts: the appliance's clock is its own, and is moved on. */
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { BootEvent } from "@netboot6/events";
import { Clock, type Namespace, type ProvisioningVlan, SimulatedRack } from "@netboot6/lab";
import { makeVlan, startAppliance, startRadvd } from "./setup.ts";
import { assets, MACHINE, passes, script, startInTime, startResolver, stored, until, verdict } from "./verdicts-setup.ts";

const ZEROS = Buffer.alloc(40_000_000);
const WHOLE = { "debian12/linux": "kernel", "debian12/initrd.gz": "initrd" };
const MACHINES = `machines:
${[1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `  - { name: n${n}, mac: "${MACHINE(n).mac}" }\n`).join("")}`;
const duid = (n: number): string => `00030001${MACHINE(n).mac.replaceAll(":", "")}`;
const goesOn = ({ type }: BootEvent): boolean => /^(http|tftp)\.progress$/.test(type);
const heldUp =
  (by: string) =>
  (event: BootEvent): boolean =>
    "heldUpBy" in event && event.heldUpBy === by;

/** A machine's card, and how what runs on it fetches a file. */
function host(vlan: ProvisioningVlan, n: number, bridge = "br0") {
  const { namespace, up } = vlan.client(`host${n}`, { mac: MACHINE(n).mac, bridge });
  namespace.sysctl({ "ipv4/tcp_rmem": "4096 65536 131072" }); // its kernel takes no more than that for a program that reads slowly
  up();
  const fetch = async (userAgent: string, ...args: string[]): Promise<void> => {
    const url = `http://[${vlan.address}]${args.pop()}`;
    const again = ["--retry", "10", "--retry-all-errors", "--retry-delay", "1"]; // until it has an address
    const { code, stderr } = await namespace.exec(["curl", "-sSf", "-o", "/dev/null", ...again, "-A", userAgent, ...args, url]);
    assert.equal(code, 0, `${url}: ${stderr}`);
  };
  return { namespace, fetch };
}

/** A router that says M=0 O=0. */
function advertise(vlan: ProvisioningVlan, router: Namespace, on: string, prefix: string): void {
  startRadvd(vlan, router, on, `MinRtrAdvInterval 3; MaxRtrAdvInterval 4; prefix ${prefix}/64 {};`);
}

test("machines that stand still: what is told of them when", { timeout: 180_000 }, async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, {
    ...WHOLE,
    "debian12/large": ZEROS,
    "ipxe/large.efi": ZEROS,
    "preseed/debian.cfg": "d-i debian-installer/locale string en_US\n", // no late command that would report
  });
  startResolver(vlan, "mirror.example. AAAA 2001:db8:ffff::80");
  const inTime = await startInTime(
    t,
    vlan,
    `networks: [{ interface: prov0 }]
dns: { upstreams: ["2001:db8:0:1::53"] }
profiles:
  debian: { kernel: debian12/linux, initrd: [debian12/initrd.gz], cmdline: "preseed/url={{ http }}/preseed/debian.cfg" }
  silent: { kernel: debian12/linux, initrd: [debian12/initrd.gz] }
defaultProfile: debian
${MACHINES.replace("name: n3,", "name: n3, profile: silent,")}`,
  );
  const { appliance, clock } = inTime;
  const old = new Clock(join(vlan.dir, "old-clock"), (Date.UTC(2000, 0, 2) - Date.now()) / 1000);

  /** All the way, or as far as it can. Its kernel takes 2 s to start. */
  const boots = async (n: number, before: readonly string[] = []): Promise<void> => {
    const one = new SimulatedRack(vlan, { machines: [MACHINE(n)], pace: 0.1, before });
    await one.exit;
    await one.stop();
  };
  const noScript = async (): Promise<void> => {
    const { namespace, fetch } = host(vlan, 1);
    await script(namespace, "firmware-http", duid(1), "solicit", "request");
    await fetch("UefiHttpBoot/1.0", "/ipxe/x86_64/ipxe.efi");
    await fetch("iPXE/1.21", "/ipxe/x86_64/autoexec.ipxe");
  };
  const noMirror = async (): Promise<Namespace> => {
    await boots(4);
    const { namespace, fetch } = host(vlan, 4);
    await fetch("Wget", "/preseed/debian.cfg");
    return namespace;
  };
  const leased = async (): Promise<void> => {
    const { namespace, fetch } = host(vlan, 6);
    await script(namespace, "ipxe", duid(6), "solicit", "request");
    for (const path of ["/boot.ipxe", "/debian12/linux"]) await fetch("iPXE/1.21", path);
  };
  const [, , , namespace] = await Promise.all([
    noScript(),
    until(vlan, 2, "initrd", 0.1),
    boots(3),
    noMirror(),
    boots(5, old.before),
    leased(),
  ]);
  const lookUp = async (): Promise<void> => {
    const { stdout } = await namespace.exec(["dig", "+short", `@${vlan.address}`, "AAAA", "mirror.example"]);
    assert.equal(stdout, "2001:db8:ffff::80\n");
  };
  /** By the machine, which is stopped; or by the network. */
  const stalls = async (n: number, by: "machine" | "network", ...urls: string[]): Promise<void> => {
    const { namespace: on, fetch } = host(vlan, n);
    await fetch("iPXE/1.21", "/boot.ipxe");
    const curl = on.spawn(["curl", "-s", "-o", "/dev/null", "-A", "iPXE/1.21", ...urls], { stdio: "ignore" });
    await stored(vlan, n, goesOn);
    if (by === "machine") curl.kill("SIGSTOP");
    else on.ip("link set eth0 down");
  };
  await Promise.all([
    lookUp(),
    lookUp(),
    stalls(7, "network", "--limit-rate", "5M", `http://[${vlan.address}]/debian12/large`),
    stalls(8, "machine", `tftp://[${vlan.address}]/ipxe/large.efi`),
    stalls(9, "machine", "--limit-rate", "5M", `http://[${vlan.address}]/debian12/large`),
  ]);
  await stored(vlan, 7, heldUp("network"));
  await stored(vlan, 9, heldUp("machine"));
  await passes(t, inTime, [
    [
      20,
      {
        n7: [
          "download-stalled",
          /\/debian12\/large stands at \d+\.\d MB of 40\.0 MB for \d+ s: nothing comes back from it\. .*the switch's counters/,
        ],
        n9: ["download-stalled", /\/debian12\/large stands at \d+\.\d MB of 40\.0 MB for \d+ s: the machine answers, and takes no more\./],
        n8: ["download-stalled", /\/ipxe\/large\.efi stands at \d+\.\d MB of 40\.0 MB for \d+ s/],
      },
    ],
  ]);
  await lookUp();
  clock.set(40);
  await lookUp();
  await passes(t, inTime, [
    [
      41,
      {
        n1: ["script-not-asked-for", /iPXE has its address since \d+ s and has not asked for its script\. Look at its screen/],
        n2: ["slower-than-its-peers", /silent at initrd for \d+ s; other machines take \d s there\. Look at its screen/],
        n4: [
          "mirror-unreachable",
          /looked mirror\.example up 4 times in \d+ s: that has an address and is not reached\. Give the link a way out/,
        ],
      },
    ],
    [75, { n5: ["clock-wrong", /its clock says 2000-01-02: certificates .* not valid then\. Set the clock/] }],
    [
      200,
      {
        n2: ["installer-silent", /kernel and initrd are in since [34] min, and the installer was not heard\. Look at its console/],
        n3: ["answers-not-asked-for", /the installer is up since [34] min and has not asked for its answers file\. Name the file/],
      },
    ],
    [3700, { n4: ["not-reported-done", /has its answers file since 6\d min and did not report\. Let its late command fetch/] }],
    [
      4400,
      { n6: ["lease-expired", /its lease of 2001:db8:0:1:\S+ ended \d+ \S+ ago, and it did not ask again.*make dhcp\.lifetimes longer/] },
    ],
  ]);
  // Its firmware gave its lease back, and its installer forms its own address.
  assert.match(await verdict(appliance, "n4", "not-reported-done"), /since 7\d min/);
  assert.equal(
    appliance.lines.find(({ event }) => event === "service.failed"),
    undefined,
    "a clock that steps stops no service",
  );
});

test("a file that this host's disk does not give, or that is empty, is not blamed on the machine", { timeout: 60_000 }, async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, { "debian12/linux": Buffer.alloc(5_000_000), "debian12/empty": "" });
  const inTime = await startInTime(
    t,
    vlan,
    `networks: [{ interface: prov0 }]\nprofiles: { debian: { kernel: debian12/linux } }\n${MACHINES}`,
  );
  const { namespace, fetch } = host(vlan, 1);
  await fetch("iPXE/1.21", "/boot.ipxe");
  const other = host(vlan, 2);
  for (const path of ["/boot.ipxe", "/debian12/empty"]) await other.fetch("iPXE/1.21", path);
  assert.match(
    await verdict(inTime.appliance, "n2", "file-empty"),
    /asked for \/debian12\/empty, and that file is empty.*put it there whole/,
  );
  const file = join(vlan.dir, "boot-assets/debian12/linux");
  const slow = ["--trace=pread64", "-P", file, "--inject=pread64:delay_enter=40000000"];
  const disk = vlan.server.spawn(["strace", "-f", ...slow, "-o", "/dev/null", "-p", String(inTime.appliance.pid)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  await new Promise((resolve) => disk.stderr?.once("data", resolve)); // attached
  namespace.spawn(["curl", "-s", "-o", "/dev/null", "-A", "iPXE/1.21", `http://[${vlan.address}]/debian12/linux`], { stdio: "ignore" });
  await stored(vlan, 1, heldUp("disk"));
  await passes(t, inTime, [
    [
      20,
      {
        n1: [
          "download-stalled",
          /\/debian12\/linux stands at 0 B of 5\.0 MB for \d+ s: this host's disk gives no more of it\. Look at the disk/,
        ],
      },
    ],
  ]);
  disk.kill("SIGINT");
});

test("what netboot6 itself cuts off or holds back is not blamed on the machine", { timeout: 90_000 }, async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, { "debian12/linux": ZEROS, "debian12/growing": "" });
  const configuration = `networks: [{ interface: prov0 }]\nprofiles: { debian: { kernel: debian12/linux } }\n${MACHINES}`;
  const asks = async (n: number, file: string, ...how: string[]): Promise<void> => {
    const { namespace, fetch } = host(vlan, n);
    await fetch("iPXE/1.21", "/boot.ipxe");
    const url = `http://[${vlan.address}]/debian12/${file}`;
    namespace.spawn(["curl", "-s", "-o", "/dev/null", ...how, "-A", "iPXE/1.21", url], { stdio: "ignore" });
  };
  const slowly = ["--limit-rate", "1M"];
  const first = await startAppliance(t, vlan, { configuration });
  const growing = join(vlan.dir, "boot-assets/debian12/growing");
  const copy = setInterval(() => appendFileSync(growing, "more"), 100);
  t.after(() => clearInterval(copy));
  await Promise.all([asks(1, "linux", ...slowly), asks(2, "growing")]);
  assert.match(
    await verdict(first, "n2", "not-ready"),
    /\/debian12\/growing and did not get it: it is being written, .* Wait for that .* boot another client again/,
  );
  clearInterval(copy);
  await stored(vlan, 1, goesOn);
  assert.equal(await first.stop(), 0);

  const second = await startAppliance(t, vlan, { configuration, name: "second" });
  const cut = (why: string): RegExp =>
    new RegExp(`/debian12/linux was cut off by this side at \\d+\\.\\d MB of 40\\.0 MB: ${why}\\. .*boot the machine again`);
  assert.match(await verdict(second, "n1", "cut-off-by-netboot6"), cut("netboot6 stopped"));
  await asks(3, "linux", ...slowly);
  await stored(vlan, 3, goesOn);
  process.kill(second.pid, "SIGKILL");
  await second.exit;

  const third = await startAppliance(t, vlan, { configuration, name: "third" });
  assert.match(await verdict(third, "n3", "cut-off-by-netboot6"), cut("netboot6 was started again"));
});

test("behind a relay: iPXE that waits for DHCPv4, and an installer with an address of its own choice", { timeout: 90_000 }, async (t) => {
  const vlan = makeVlan(t);
  const link = vlan.relay();
  await assets(vlan, { ...WHOLE, "preseed/debian.cfg": "d-i debian-installer/locale string en_US\n" });
  const inTime = await startInTime(
    t,
    vlan,
    `networks:
  - interface: prov0
  - { name: rack-2, relayed: true, prefix: ${link.prefix}/64 }
profiles: { debian: { kernel: debian12/linux, initrd: [debian12/initrd.gz] } }
${MACHINES}`,
  );
  advertise(vlan, link.router, "eth1", link.prefix);
  link.router.spawn(["dhcrelay", "-6", "-d", "--no-pid", "-l", "eth1", "-u", `${vlan.address}%eth0`], { stdio: "ignore" });
  const [ipxe, installer] = [host(vlan, 1, link.bridge), host(vlan, 2, link.bridge)];
  for (const path of ["/boot.ipxe", "/debian12/linux", "/debian12/initrd.gz"]) await installer.fetch("iPXE/1.21", path);
  await script(ipxe.namespace, "firmware-http", duid(1), "solicit", "request");
  await ipxe.fetch("UefiHttpBoot/1.0", "/ipxe/x86_64/ipxe.efi");
  installer.namespace.ip("addr add 2001:db8:0:2::77/64 dev eth0 nodad");
  await installer.fetch("Wget", "--interface", "2001:db8:0:2::77", "/preseed/debian.cfg");
  await passes(t, inTime, [
    [
      12,
      {
        n1: [
          "ipxe-waits-for-dhcpv4",
          /iPXE is in and says nothing for \d+ s: .*waits 15 s for DHCPv4\. Use an iPXE that asks for autoexec/,
        ],
      },
    ],
    [
      25,
      {
        n2: [
          "answers-by-stranger",
          /2001:db8:0:2::77 asked for \/preseed\/debian\.cfg, and is no known machine's address.*\?mac= into the URL/,
        ],
      },
    ],
  ]);
});

test("another router that says M=0 O=0: the machine that hears it alone goes no further", async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, {});
  const inTime = await startInTime(t, vlan, `networks: [{ interface: prov0, advertise: observe }]\n${MACHINES}`);
  const router = vlan.client("router");
  router.namespace.sysctl({ "ipv6/conf/all/forwarding": 1 });
  router.up();
  advertise(vlan, router.namespace, "eth0", vlan.prefix);
  await inTime.appliance.waitFor((line) => line.event === "ra.heard", 15);
  // An iPXE that asks for no autoexec.ipxe: it obeys that router, and is not heard again.
  await solicits(vlan, 1);
  await passes(t, inTime, [
    [
      35,
      {
        n1: [
          "rival-router",
          /iPXE asked for routers and then for nothing: router fe80::\S+ advertises M=0 O=0, and iPXE that hears it first does not ask for a boot file.*Turn that router's advertisements off/,
        ],
      },
    ],
  ]);
});

test("advertisements that a switch drops: the machine asks for a router again and again", async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, {});
  const inTime = await startInTime(t, vlan, `networks: [{ interface: prov0 }]\n${MACHINES}`);
  await solicits(vlan, 6); // as often as iPXE does where no advertisement comes (docs/clients.md)
  await passes(t, inTime, [
    [
      10,
      {
        n1: [
          "advertisements-lost",
          /asked for a router [6-9] times, was answered each time, and goes no further.*RA guard on a switch drops them: trust the port/,
        ],
      },
    ],
  ]);
});

/** A machine whose iPXE is up solicits routers so often, whatever it hears, and does nothing else. */
async function solicits(vlan: ProvisioningVlan, times: number): Promise<void> {
  await until(vlan, 1, "ipxe");
  const { namespace, up } = vlan.client("ipxe", { mac: MACHINE(1).mac });
  namespace.sysctl({ "ipv6/conf/eth0/accept_ra": 0 });
  up();
  await namespace.exec(["sh", "-c", "until ip -6 addr show dev eth0 scope link -tentative | grep -q fe80; do sleep 0.1; done"], {
    timeout: 10,
  });
  for (let n = 0; n < times; n++) await namespace.exec(["rdisc6", "-1", "-r", "1", "-w", "500", "eth0"]);
}
