/** `netboot6 explain --pcap`: real firmware's and iPXE's own messages, captured by tcpdump, and what each would be answered. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { NETBOOT6, type ProvisioningVlan } from "@netboot6/lab";
import { makeVlan } from "./setup.ts";

const SAMPLES = new URL("../packages/dhcpv6/samples/", import.meta.url);
const UUID = "11223344-5566-7788-99aa-bbccddeeff00";
const CONFIGURATION = `domain: rack.example
networks:
  - interface: prov0
    advertise: { routes: [{ prefix: "2001:db8:100::/40" }] }
profiles: { linux: { kernel: linux, cmdline: "root=/dev/vda host={{ machine.name }}" } }
machines: [{ name: node-01, uuid: ${UUID} }]
`;

/** Sends the samples from a host on the VLAN, and captures them on the server's interface as an operator would. */
async function capture(vlan: ProvisioningVlan, samples: readonly string[]): Promise<string> {
  const file = join(vlan.dir, "boot.pcap");
  const tcpdump = vlan.server.spawn(
    ["tcpdump", "--immediate-mode", "-c", String(samples.length), "-Z", "root", "-i", "prov0", "-w", file, "udp port 547"],
    {
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  await new Promise<void>((resolve) => tcpdump.stderr?.on("data", (data) => String(data).includes("listening") && resolve()));
  const client = vlan.client("firmware", { mac: "52:54:00:0e:00:01" });
  client.up();
  const messages = samples.map((sample) => readFileSync(new URL(`${sample}.hex`, SAMPLES), "utf8").trim());
  const send = `const socket = require("dgram").createSocket("udp6");
socket.bind(546, async () => {
  for (const hex of ${JSON.stringify(messages)}) await new Promise((sent) => socket.send(Buffer.from(hex, "hex"), 547, "ff02::1:2%eth0", sent));
  socket.close();
});`;
  const { code, stderr } = await client.namespace.exec([process.execPath, "-e", send]);
  assert.equal(code, 0, stderr);
  if (tcpdump.exitCode === null) await once(tcpdump, "exit", { signal: AbortSignal.timeout(5000) });
  return file;
}

function configure(t: TestContext): { vlan: ProvisioningVlan; file: string } {
  const vlan = makeVlan(t);
  mkdirSync(join(vlan.dir, "boot-assets/ipxe/x86_64"), { recursive: true });
  for (const file of ["ipxe/x86_64/ipxe.efi", "linux"]) writeFileSync(join(vlan.dir, "boot-assets", file), "x");
  const file = join(vlan.dir, "appliance.yaml");
  writeFileSync(file, CONFIGURATION);
  return { vlan, file };
}

test("a capture of a boot is explained: the options, the rules, the advertisement and the script", async (t) => {
  const { vlan, file } = configure(t);
  const pcap = await capture(vlan, ["ovmf-http6/01-solicit", "ipxe-efi-debian2019/01-solicit"]);
  const explain = (...more: string[]) => vlan.server.exec([NETBOOT6, "explain", "--config", file, "--pcap", pcap, ...more]);
  const { code, stdout, stderr } = await explain();
  assert.equal(code, 0, stdout + stderr);
  const [firmware = "", ipxe = ""] = stdout.split(/^(?=Solicit of )/m);
  assert.match(firmware, /^Solicit of node-01 on network prov0\nis answered with Advertise:\n {2}because/);
  assert.match(firmware, new RegExp(`because +.*UUID ${UUID}`));
  assert.match(firmware, /^ {2}bootfile-url +http:\/\/\[2001:db8:0:1::1\]\/ipxe\/x86_64\/ipxe\.efi$/m);
  assert.match(firmware, /^ {2}ia-na +IAID \d+, T1 \d+ s, T2 \d+ s; 2001:db8:0:1:\S+, preferred \d+ s, valid \d+ s$/m);
  assert.match(firmware, /^ {2}dns-servers +2001:db8:0:1::1$/m);
  assert.match(
    firmware,
    /^boot rules:\n {2}1 +.*iPXE.*: no, its userClass is none\n(.*\n)* {2}\d +.*: yes, \{\{ http \}\}\/ipxe\/x86_64\/ipxe\.efi\n {2}3 +.*: no, its arch is 16$/m,
  );
  assert.match(ipxe, /^ {2}bootfile-url +http:\/\/\[2001:db8:0:1::1\]\/boot\.ipxe$/m);
  assert.match(ipxe, /^boot rules:\n {2}1 +.*iPXE.*: yes, /m);
  assert.match(ipxe, /^router advertisement that it hears from us:\n {2}flags +M=0 O=1\n {2}router lifetime \d+ s$/m);
  assert.match(ipxe, /^ {2}prefix +2001:db8:0:1::\/64 L=1 A=1$/m);
  assert.match(ipxe, /^ {2}RDNSS +2001:db8:0:1::1$/m);
  assert.match(ipxe, /^ {2}DNSSL +rack\.example$/m);
  assert.match(ipxe, /^ {2}route +2001:db8:100::\/40, \d+ s$/m);
  assert.match(ipxe, /^boot\.ipxe of profile linux \(.*\):\n {2}#!ipxe\n(.*\n)* {2}kernel \S+\/linux root=\/dev\/vda host=node-01/m);

  const told = JSON.parse((await explain("--json")).stdout) as {
    explanations: { machine: string; answer: string; rules: { whyNot: string | null }[] }[];
  };
  assert.deepEqual(
    told.explanations.map(({ machine, answer, rules }) => [machine, answer, rules.filter(({ whyNot }) => whyNot === null).length]),
    [
      ["node-01", "Advertise", 1],
      ["node-01", "Advertise", 1],
    ],
  );
});

test("a message that is not answered is 1, and a file that is no capture 2", async (t) => {
  const { vlan, file } = configure(t);
  // A Request that names the server of the site where it was captured.
  const pcap = await capture(vlan, ["ovmf-http6/03-request"]);
  const unanswered = await vlan.server.exec([NETBOOT6, "explain", "--config", file, "--pcap", pcap]);
  assert.equal(unanswered.code, 1, unanswered.stdout);
  assert.match(unanswered.stdout, /^Request of .*\nis not answered:\n {2}because +.*server/m);
  const none = await vlan.server.exec([NETBOOT6, "explain", "--config", file, "--pcap", file]);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /appliance\.yaml: it is neither pcap nor pcapng/);
});
