/** The routes: what they give is what their schemas say; changes; what is wrong is told as RFC 9457 says. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { EventBus, Timelines } from "@netboot6/events";
import { z } from "zod";
import {
  assetsView,
  type DnsView,
  dnsView,
  explanationView,
  leaseView,
  type MachineView,
  machineView,
  networkView,
  problemView,
  statusView,
  timelineView,
} from "./schemas.ts";
import { ADDRESS, boot, MAC, TOKEN, testConsole } from "./test-console.ts";

const HEADERS = { host: "[::1]:8067" };
const WRITES = { ...HEADERS, authorization: `Bearer ${TOKEN}` };
const ID = "m-525400000001";
type Console = Awaited<ReturnType<typeof testConsole>>;

const get = async (console: Console, path: string): Promise<unknown> => {
  const answer = await console.app.inject({ url: path.startsWith("/api") ? path : `/api/v1${path}`, headers: HEADERS });
  assert.equal(answer.statusCode, 200, `${path}: ${answer.body}`);
  return answer.json();
};

test("every route gives what its schema says, no more and no less", async () => {
  const console = await testConsole();
  const { bus } = console;
  boot(bus);
  bus.emit({
    type: "ra.heard",
    interface: "prov0",
    network: "prov",
    router: "fe80::9",
    managed: false,
    other: false,
    lifetime: 1800,
    state: "advertises",
    why: "M=0",
    differences: ["M=0"],
  });
  bus.emit({ type: "dhcpv6.dropped", message: "Solicit", why: "no", relay: "2001:db8::fe", network: "prov" });
  bus.emit({ type: "service.ready", service: "http", listens: ["[::1]:80"] });
  const schemas = {
    "/machines": z.array(machineView).length(2),
    [`/machines/${ID}`]: machineView,
    [`/machines/${ID}/timeline`]: timelineView,
    "/machines/m-525400000002/timeline": timelineView,
    "/leases": z.array(leaseView).length(2),
    "/networks": z.array(
      networkView.extend({ relays: networkView.shape.relays.unwrap().length(1), routers: z.array(z.unknown()).length(1) }),
    ),
    "/assets": assetsView,
    "/status": statusView,
    "/dns": dnsView,
    [`/explain?mac=${MAC}`]: explanationView,
  };
  for (const [path, schema] of Object.entries(schemas)) {
    const parsed = schema.safeParse(await get(console, path));
    assert.ok(parsed.success, `${path}: ${parsed.error?.message}`);
  }
});

test("DNS answers are summed by where they came from, over time, and who was not served is named", async () => {
  const console = await testConsole();
  const { bus } = console;
  const client = "2001:db8:0:1::5";
  const answered = { type: "dns.answered", name: "deb.example", qtype: "AAAA", seconds: 0.01, client, machine: ID } as const;
  bus.emit({ ...answered, rcode: "NOERROR", from: "upstream" });
  bus.emit({ type: "dns.counted", rcode: "NOERROR", from: "cache", count: 40, client, machine: ID });
  bus.emit({ ...answered, rcode: "SERVFAIL", from: "failed" });
  bus.emit({ type: "dns.counted", rcode: "REFUSED", from: "refused", count: 3, client: "2001:db8:9::1" });
  bus.emit({ type: "wire.dropped", service: "dns", why: "faster than dns.rateLimit", count: 7, client });
  for (const state of ["down", "gone"] as const) bus.emit({ type: "dns.upstream", upstream: "none", state, why: "as resolv.conf says" });
  bus.emit({ type: "dns.upstream", upstream: "2001:db8::53", state: "down", why: "no answer within 800 ms" });
  const { upstreams, answers, intervals, unserved } = (await get(console, "/dns")) as DnsView;
  assert.deepEqual(
    upstreams.map(({ upstream, up, why }) => [upstream, up, why]),
    [["2001:db8::53", false, "no answer within 800 ms"]],
  );
  assert.deepEqual(answers, { cache: 40, upstream: 1, local: 0, stale: 0, refused: 3, failed: 1 });
  assert.equal(
    intervals.reduce((sum, { cache, upstream, refused, failed }) => sum + cache + upstream + refused + failed, 0),
    45,
  );
  assert.deepEqual(
    unserved.map((each) => [each.client, each.machine, each.count, each.why]),
    [
      [client, ID, 8, "faster than dns.rateLimit"],
      ["2001:db8:9::1", null, 3, "REFUSED: dns.allow names its address not, or nobody is asked that"],
    ],
  );
});

test("explain gives what a machine would get, secrets blanked; a question that is none is told so", async () => {
  const console = await testConsole();
  assert.match(JSON.stringify(await get(console, `/explain?mac=${MAC}`)), /kernel linux password=\*\*\*/);
  const wrong = await console.app.inject({ url: "/api/v1/explain?mac=nonsense", headers: HEADERS });
  assert.equal(wrong.statusCode, 422);
  assert.match(wrong.json().detail, /nonsense is not understood/);
});

test("a machine that is not served is there with its verdict for as long as it asks, and cannot be changed", async () => {
  const console = await testConsole({ token: TOKEN });
  const id = "m-525400000009";
  const why = "the relay's link-address 2001:db8:7::1 belongs to no network";
  console.bus.emit({ type: "dhcpv6.dropped", message: "Solicit", why, client: "fe80::9", machine: id, mac: "52:54:00:00:00:09" });
  const all = (await get(console, "/machines?verdict=not-served")) as MachineView[];
  assert.deepEqual(
    all.map(({ id: name, served, verdict }) => [name, served, verdict?.text]),
    [[id, false, `its Solicit is not answered: ${why}.`]],
  );
  const found = async (verdict: string): Promise<string[]> =>
    ((await get(console, `/machines?verdict=${verdict}`)) as MachineView[]).map(({ id: name }) => name);
  assert.deepEqual(await found("any"), [id]);
  assert.deepEqual(await found("none"), [ID, "m-525400000002"]);
  assert.deepEqual(await found("boot-loop"), []);
  assert.equal(((await get(console, `/machines/${id}`)) as MachineView).served, false);
  const refused = await console.app.inject({ method: "POST", url: `/api/v1/machines/${id}/boot-again`, headers: WRITES });
  assert.equal(refused.statusCode, 404);
});

test("what a link costs its machines is shown with its network for as long as it does", async () => {
  const console = await testConsole();
  const warnings = async (): Promise<unknown> =>
    ((await get(console, "/networks")) as { warnings: { rule: string; why: string }[] }[])[0]?.warnings.map(({ rule, why }) => [rule, why]);
  const of = { interface: "prov0", network: "prov", rule: "no-router" } as const;
  console.bus.emit({ type: "ra.warned", ...of, why: "10 s for every UEFI HTTP boot" });
  assert.deepEqual(await warnings(), [["no-router", "10 s for every UEFI HTTP boot"]]);
  console.bus.emit({ type: "ra.mended", ...of });
  assert.deepEqual(await warnings(), []);
});

test("machines are filtered by network, stage and verdict, and searched by all that they are known by", async () => {
  const console = await testConsole();
  boot(console.bus);
  await console.registry.chooseProfile(ID, "rescue");
  console.registry.machines.identify({ relayMac: MAC, duid: "0001aabb" }, 3000);
  console.bus.emit({ type: "ra.solicited", interface: "prov0", client: "2001:db8:0:1::5", machine: ID });
  const found = async (query: string): Promise<string[]> =>
    ((await get(console, `/machines?${query}`)) as MachineView[]).map(({ id }) => id);
  const other = "m-525400000002";
  assert.deepEqual(await found(""), [ID, other]);
  assert.deepEqual(await found("network=prov"), [ID]);
  assert.deepEqual(await found("network=other"), []);
  assert.deepEqual(await found("stage=script"), [ID]);
  assert.deepEqual(await found("stage=kernel"), []);
  assert.deepEqual(await found("verdict=any"), []);
  assert.deepEqual(await found("verdict=none"), [ID, other]);
  for (const search of ["0000001", MAC.slice(9), ADDRESS, ADDRESS.toUpperCase(), "2001:db8:0:1::5", "0001AABB", "rescue", "prov"])
    assert.deepEqual(await found(`search=${encodeURIComponent(search)}`), [ID], search);
});

test("a machine is found by its MAC and its UUID too, in whatever case", async () => {
  const console = await testConsole();
  const uuid = "11223344-5566-7788-99aa-bbccddeeff00";
  console.registry.machines.identify({ relayMac: MAC, duid: `0004${uuid.replaceAll("-", "")}`, uuidOrder: "text" }, 3000);
  for (const name of [MAC, MAC.toUpperCase(), uuid, uuid.toUpperCase()])
    assert.equal(((await get(console, `/machines/${encodeURIComponent(name)}`)) as MachineView).id, ID, name);
  assert.deepEqual(
    ((await get(console, `/machines?search=${uuid.slice(9, 23).toUpperCase()}`)) as MachineView[]).map(({ id }) => id),
    [ID],
  );
});

test("the list of all shows what an operator changed at once", async () => {
  const console = await testConsole({ token: TOKEN });
  const profiles = async (): Promise<string[]> => ((await get(console, "/machines")) as MachineView[]).map(({ boots }) => boots.profile);
  assert.deepEqual(await profiles(), ["debian", "debian"]);
  await console.app.inject({ method: "PUT", url: `/api/v1/machines/${ID}/profile`, headers: WRITES, payload: { profile: "rescue" } });
  assert.deepEqual(await profiles(), ["rescue", "debian"]);
});

test("a machine's address is the one that it was heard from last, though its lease is released; else its lease", async () => {
  const console = await testConsole();
  const address = async (): Promise<unknown> => ((await get(console, `/machines/${ID}`)) as MachineView).address;
  assert.equal(await address(), ADDRESS);
  await console.registry.releaseLease(ADDRESS);
  assert.equal(await address(), null);
  console.bus.emit({ type: "http.started", id: 9, path: "/x", size: 1, userAgent: "", client: "2001:db8:0:1::5", machine: ID });
  boot(console.bus); // from link-local
  assert.equal(await address(), "2001:db8:0:1::5");
});

test("after a restart a machine is where a boot that was stored heard it last, though its lease is released", async () => {
  const before = new Timelines();
  const bus = new EventBus(() => ({}));
  bus.subscribe(before.read);
  boot(bus);
  const asker = { client: "2001:db8:0:1::5", machine: ID, network: "prov" };
  bus.emit({ type: "http.progress", id: 9, path: "/linux", sent: 4, size: 9, ...asker });
  bus.emit({ type: "operator.acted", what: "let it boot its profile again", machine: ID });
  const stored = before.takeUnstored(10).flatMap(([, each]) => (each ? [each] : []));
  const heard = stored[0]?.boot.stages.at(-1)?.last.at;

  const console = await testConsole();
  await console.registry.releaseLease(ADDRESS);
  console.timelines.restore(JSON.parse(JSON.stringify(stored)));
  const { address, network, lastSeen } = (await get(console, `/machines/${ID}`)) as MachineView;
  assert.deepEqual([address, network, lastSeen], ["2001:db8:0:1::5", "prov", heard]);
});

test("leases come by address, with their state of now, and by network, machine and state", async () => {
  const console = await testConsole();
  const found = async (query = ""): Promise<string[]> =>
    ((await get(console, `/leases?${query}`)) as z.infer<typeof leaseView>[]).map(({ address, state }) => `${address} ${state}`);
  assert.deepEqual(await found(), ["2001:db8:0:1::20 expired", `${ADDRESS} bound`]);
  assert.deepEqual(await found("state=bound"), [`${ADDRESS} bound`]);
  assert.deepEqual(await found("machine=m-525400000002"), ["2001:db8:0:1::20 expired"]);
  assert.deepEqual(await found("network=none"), []);
});

test("an operator's changes hold, and are told in the stream and in the machine's timeline", async () => {
  const console = await testConsole({ token: TOKEN });
  boot(console.bus);
  const url = `/api/v1/machines/${ID}`;
  const chosen = await console.app.inject({ method: "PUT", url: `${url}/profile`, headers: WRITES, payload: { profile: "rescue" } });
  assert.equal(chosen.json().boots.profile, "rescue");
  const back = await console.app.inject({ method: "PUT", url: `${url}/profile`, headers: WRITES, payload: { profile: null } });
  assert.equal(back.json().profile, null);
  const again = await console.app.inject({ method: "POST", url: `${url}/boot-again`, headers: WRITES });
  assert.equal(again.statusCode, 200);
  const { boots } = (await get(console, `/machines/${ID}/timeline`)) as z.infer<typeof timelineView>;
  assert.deepEqual(
    boots
      .at(-1)
      ?.entries.filter(({ type }) => type === "operator.acted")
      .map(({ text }) => text),
    [
      "an operator chose profile rescue for it",
      "an operator let its profile follow from the configuration again",
      "an operator let it boot its profile again",
    ],
  );
  const released = await console.app.inject({ method: "DELETE", url: `/api/v1/leases/${encodeURIComponent(ADDRESS)}`, headers: WRITES });
  assert.equal(released.statusCode, 204);
  assert.equal((await console.app.inject({ method: "DELETE", url, headers: WRITES })).statusCode, 204);
  assert.equal(console.registry.machines.byId(ID), undefined);
  const told = console.readings.ring.all().slice(-2);
  assert.deepEqual(
    told.map((event) => event.type),
    ["lease.released", "operator.acted"],
  );
});

test("what is wrong is told as problem+json, with the status that fits", async () => {
  const console = await testConsole({ token: TOKEN });
  const put = (payload: unknown, headers: object = {}) => ({
    method: "PUT",
    url: `/api/v1/machines/${ID}/profile`,
    headers: { ...WRITES, ...headers },
    payload: typeof payload === "string" ? payload : JSON.stringify(payload),
  });
  const json = { "content-type": "application/json" };
  const wrong: [number, object][] = [
    [404, { url: "/api/v1/nothing" }],
    [404, { url: "/api/v1/machines/none" }],
    [404, { url: "/api/v1/machines/none/timeline" }],
    [404, { method: "DELETE", url: "/api/v1/leases/2001:db8::77", headers: WRITES }],
    [404, { method: "DELETE", url: "/api/v1/machines/none", headers: WRITES }],
    [404, { method: "POST", url: "/api/v1/machines/none/boot-again", headers: WRITES }],
    [404, { ...put({ profile: "rescue" }, json), url: "/api/v1/machines/none/profile" }],
    [409, { method: "DELETE", url: "/api/v1/machines/m-525400000002", headers: WRITES }],
    [401, { method: "POST", url: `/api/v1/machines/${ID}/boot-again` }],
    [400, { url: "/api/v1/machines?stage=nonsense" }],
    [400, { url: "/api/v1/machines?colour=red" }],
    [400, put({}, json)],
    [400, put({ profile: "rescue", more: 1 }, json)],
    [400, put("{", json)],
    [415, put("profile=rescue", { "content-type": "text/plain" })],
    [415, put("profile=rescue", { "content-type": "application/x-www-form-urlencoded" })],
    [422, put({ profile: "resque" }, json)],
    [422, put({ profile: "" }, json)],
    [400, put({ profile: 1 }, json)],
    [400, { url: "/api/v1/events?last=many" }],
    [422, { url: "/api/v1/events?type=dhcpv6&type=dhcp" }],
    [413, put({ profile: "x".repeat(100_000) }, json)],
    [503, { url: "/readyz" }],
  ];
  for (const [status, request] of wrong) {
    const answer = await console.app.inject({ headers: HEADERS, ...request });
    const what = `${JSON.stringify(request).slice(0, 100)}: ${answer.body}`;
    assert.equal(answer.statusCode, status, what);
    assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/, what);
    assert.ok(problemView.safeParse(answer.json()).success, what);
    assert.equal(answer.json().status, status);
  }
});

test("what does not come as far as a route is told as problem+json too", async (t) => {
  const { app } = await testConsole({ token: TOKEN });
  const { port } = new URL(await app.listen({ host: "::1", port: 0 }));
  t.after(() => app.close());
  const head = `Host: [::1]:${port}\r\nConnection: close\r\n`;
  const wrong: [number, string][] = [
    [400, `GET /api/v1/machines/%zz HTTP/1.1\r\n${head}\r\n`],
    [414, `GET /api/v1/machines/${"x".repeat(2000)} HTTP/1.1\r\n${head}\r\n`],
    [431, `GET /api/v1/machines HTTP/1.1\r\n${head}X-Long: ${"x".repeat(20_000)}\r\n\r\n`],
    [400, "\x16\x03\x01 this is TLS\r\n\r\n"],
    [400, `NONSENSE /api/v1/machines HTTP/1.1\r\n${head}\r\n`],
    [400, `POST /api/v1/machines HTTP/1.1\r\n${head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
    [421, "GET /api/v1/machines HTTP/1.1\r\nConnection: close\r\n\r\n"],
    [404, `GET /api/v1/nothing HTTP/1.1\r\n${head}Expect: a-miracle\r\n\r\n`],
  ];
  for (const [status, request] of wrong) {
    const socket = connect(Number(port), "::1");
    socket.write(request);
    const answer = (await text(socket)).toString();
    const [headers = "", body = ""] = answer.split("\r\n\r\n");
    assert.match(headers, new RegExp(`^HTTP/1\\.1 ${status} `), `${request.slice(0, 60)}: ${answer}`);
    assert.match(headers, /^content-type: application\/problem\+json/im, answer);
    assert.match(headers, /^x-content-type-options: nosniff/im, answer);
    const told = problemView.parse(JSON.parse(body));
    assert.deepEqual([told.status, told.type], [status, "about:blank"]);
    assert.match(headers, new RegExp(`^content-length: ${Buffer.byteLength(body)}\r?$`, "im"));
  }
});

test("every answer forbids other sites' scripts, frames and guesses of its type", async () => {
  const console = await testConsole();
  for (const url of ["/healthz", "/metrics", "/api/v1/machines", "/none"]) {
    const { headers } = await console.app.inject({ url, headers: HEADERS });
    assert.match(String(headers["content-security-policy"]), /default-src 'none'.*script-src 'self'.*frame-ancestors 'none'/, url);
    assert.doesNotMatch(String(headers["content-security-policy"]), /unsafe|upgrade/);
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(headers["strict-transport-security"], undefined);
  }
});

test("/config shows no secret", async () => {
  const console = await testConsole({ token: TOKEN });
  const text = JSON.stringify(await get(console, "/config"));
  assert.doesNotMatch(text, /geheim|random word/);
  assert.match(text, /\/dev\/vda.*2001:db8:0:1::\/64|2001:db8:0:1::\/64.*\/dev\/vda/);
});

test("/readyz says which service does not answer; it is ready once all of the configuration do", async () => {
  const console = await testConsole();
  const { bus, app } = console;
  const ready = async () => (await app.inject({ url: "/readyz", headers: HEADERS })).json();
  bus.emit({ type: "service.ready", service: "http", listens: [] });
  assert.equal((await ready()).status, 503, "it starts");
  bus.emit({ type: "service.ready", service: "dns", listens: [] });
  bus.emit({ type: "appliance.ready", services: ["http", "dns"], seconds: 1 });
  assert.equal((await ready()).ready, true);
  bus.emit({ type: "service.failed", service: "dns", why: "its thread ended", retry: 1 });
  assert.equal((await ready()).detail, "dns: its thread ended");
  bus.emit({ type: "appliance.reloaded", changed: ["http"] });
  assert.equal((await ready()).ready, true, "dns is off now");
  assert.equal((await app.inject({ url: "/healthz", headers: HEADERS })).statusCode, 200);
});

test("the OpenAPI description has every route, its parameters and its answers", async () => {
  const console = await testConsole();
  const { openapi, paths } = (await get(console, "/openapi.json")) as {
    openapi: string;
    paths: Record<string, Record<string, { summary?: string; parameters?: { name: string }[]; responses: Record<string, unknown> }>>;
  };
  assert.equal(openapi, "3.1.0");
  const routes = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`));
  assert.deepEqual(routes.toSorted(), [
    "delete /api/v1/leases/{address}",
    "delete /api/v1/machines/{id}",
    "get /api/v1/assets",
    "get /api/v1/config",
    "get /api/v1/dns",
    "get /api/v1/events",
    "get /api/v1/explain",
    "get /api/v1/leases",
    "get /api/v1/machines",
    "get /api/v1/machines/{id}",
    "get /api/v1/machines/{id}/timeline",
    "get /api/v1/networks",
    "get /api/v1/stages",
    "get /api/v1/status",
    "get /healthz",
    "get /metrics",
    "get /readyz",
    "post /api/v1/machines/{id}/boot-again",
    "put /api/v1/machines/{id}/profile",
  ]);
  const machines = paths["/api/v1/machines"]?.get;
  assert.deepEqual(machines?.parameters?.map(({ name }) => name).toSorted(), ["network", "search", "stage", "verdict"]);
  assert.deepEqual(Object.keys(machines?.responses ?? {}).toSorted(), ["200", "4XX"]);
  for (const path of ["/readyz", "/api/v1/events"])
    assert.deepEqual(Object.keys(paths[path]?.get?.responses ?? {}).toSorted(), ["200", "4XX", "503"]);
});
