import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { createServer } from "node:tls";
import type { AdvertiseConfig, Appliance, Link } from "@netboot6/config";
import type { Found } from "@netboot6/ra";
import { checkPortsInUse, checkUpstreams, judgeRouting } from "./host-checks.ts";

const link: Link = { name: "eth1", index: 2, mac: "02:1a:b0:00:00:01", mtu: 1500, linkLocal: "fe80::1" };

/** What is found where `advertise` has this router lifetime, or is false or `observe`. */
function judge(advertise: number | "auto" | "observe" | false, forwarding: boolean, found: Found): string[] {
  const settings = advertise === false ? null : advertise === "observe" ? advertise : ({ routerLifetime: advertise } as AdvertiseConfig);
  const findings = judgeRouting({ link, advertise: settings, path: ["networks", 1], forwarding }, found);
  return findings.map(({ id, path, severity }) => `${severity} ${id} ${path.join(".")}`);
}

test("a link without a router is warned of, whatever the reason for which this host is none, and where the reason stands", () => {
  for (const forwarding of [false, true]) {
    assert.deepEqual(judge(false, forwarding, false), ["warning no-router networks.1.advertise"]);
    assert.deepEqual(judge("observe", forwarding, false), ["warning no-router networks.1.advertise"]);
    assert.deepEqual(judge(0, forwarding, false), ["warning no-router networks.1.advertise.routerLifetime"]);
    for (const advertise of [false, "observe", 0] as const) assert.deepEqual(judge(advertise, forwarding, true), []);
  }
  assert.deepEqual(judge("auto", false, false), ["warning no-router networks.1"]);
  assert.deepEqual(judge("auto", false, true), []);
});

test("it is said where nobody can tell whether there is a router", () => {
  const found = { why: "Operation not permitted" };
  assert.deepEqual(judge("auto", false, found), ["warning router-unknown networks.1"]);
  const [finding] = judgeRouting({ link, advertise: "observe", path: ["networks", 0], forwarding: false }, found);
  assert.match(`${finding?.what} ${finding?.mend}`, /eth1.*Operation not permitted.*root.*10 s/);
});

test("a router lifetime above 0 on a host that does not forward is warned of; a router that forwards is none to warn of", () => {
  for (const found of [true, false]) {
    assert.deepEqual(judge(1800, false, found), ["warning router-that-does-not-forward networks.1.advertise.routerLifetime"]);
    assert.deepEqual(judge(1800, true, found), []);
    assert.deepEqual(judge("auto", true, found), []);
  }
});

test("the warnings name the cost", () => {
  const [none] = judgeRouting({ link, advertise: null, path: [], forwarding: false }, false);
  assert.match(none?.what ?? "", /no router answers on eth1.*nothing beyond the link.*UEFI HTTP boot waits about 10 s/);
  const advertise = { routerLifetime: 1800 } as AdvertiseConfig;
  const [dead] = judgeRouting({ link, advertise, path: [], forwarding: false }, false);
  assert.match(dead?.what ?? "", /does not forward IPv6: nothing beyond the link answers/);
});

/** A program that listens on a TCP port of ::1, with these words behind its own. */
async function listener(t: TestContext, ...words: string[]): Promise<{ port: number; pid: number | undefined }> {
  const program = "const s = require('net').createServer().listen(0, '::1', () => console.log(s.address().port))";
  const child = spawn(process.execPath, ["-e", program, ...words], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill());
  return { port: Number(String(await once(child.stdout, "data"))), pid: child.pid };
}

test("a port is in use where another program has it on an address that is wanted; not by a netboot6, nor by UDP's of the same number", async (t) => {
  const { port, pid } = await listener(t);
  const found = (settings: object) =>
    checkPortsInUse({ networks: [], http: null, dns: null, tftp: null, console: null, ...settings } as unknown as Appliance);
  const on = (host: string, number = port) => found({ console: { host, port: number } });
  const what = `TCP port ${port} of [::1] is in use by node (pid ${pid}), and the console needs it`;
  for (const host of ["::1", "::"])
    assert.deepEqual(on(host), [
      { id: "port-in-use", severity: "warning", path: ["console", "listen"], what, mend: "Stop it, or turn the console off." },
    ]);
  assert.deepEqual(on("2001:db8::1"), []);
  assert.deepEqual(found({ tftp: { port, listen: ["::1"] } }), []);
  const ours = await listener(t, process.argv[1] as string);
  assert.deepEqual(on("::1", ours.port), []);
});

/** A resolver on ::1 that answers every question with this code, and no connection. */
async function resolver(t: TestContext, code: number): Promise<number> {
  const socket = createSocket("udp6");
  socket.on("message", (query: Buffer, { port, address }: RemoteInfo) => {
    const answer = Buffer.from(query);
    answer.writeUInt16BE(0x8180 | code, 2);
    socket.send(answer, port, address);
  });
  socket.bind(0, "::1");
  await once(socket, "listening");
  t.after(() => socket.close());
  return (socket.address() as AddressInfo).port;
}

test("an upstream is silent that refuses or is not there; one that answers, whatever it says, is not", async (t) => {
  const [NO_ERROR, SERVER_FAILURE, REFUSED] = [0, 2, 5];
  const upstream = (port: number, tlsName: string | null = null) => ({ address: "::1", port, tlsName });
  const refusing = await resolver(t, REFUSED);
  const answering = await resolver(t, NO_ERROR);
  const upstreams = [
    upstream(answering),
    upstream(await resolver(t, SERVER_FAILURE)),
    upstream(refusing),
    upstream(answering, "dns.example"), // nobody speaks TLS there
  ];
  const found = await checkUpstreams({ dns: { upstreams } } as unknown as Appliance);
  assert.deepEqual(
    found.map(({ id, path, what }) => [id, path.join("."), what]),
    [
      ["upstream-silent", "dns.upstreams.2", `[::1]:${refusing}: it refuses to answer this host`],
      ["upstream-silent", "dns.upstreams.3", `tls://[::1]:${answering}#dns.example: no resolver runs there`],
    ],
  );
  assert.deepEqual(await checkUpstreams({ dns: null } as Appliance), []);
});

test("a resolver that speaks TLS is greeted by the name that its certificate must carry, or by none where that is its address", async (t) => {
  const asked: string[] = [];
  const server = createServer({
    SNICallback: (name, done) => {
      asked.push(name);
      done(new Error("no certificate"));
    },
  });
  await new Promise<void>((resolve) => server.listen(0, "::1", resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const upstreams = ["dns.example", "::1"].map((tlsName) => ({ address: "::1", port, tlsName }));
  const found = await checkUpstreams({ dns: { upstreams } } as unknown as Appliance);
  assert.deepEqual([asked, found.length], [["dns.example"], 2]);
});
