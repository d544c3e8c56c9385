/** The API, the metrics and the command line of a running appliance: all read one stream, so their numbers agree. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { formatBytes } from "@netboot6/events";
import { type Appliance, type LogLine, NETBOOT6, type ProvisioningVlan, SimulatedRack } from "@netboot6/lab";
import { bootAssets, INSTALLER, makeVlan, startAppliance } from "./setup.ts";

const MACHINES = 20;
const NAMES = Array.from({ length: MACHINES }, (_, i) => `node-${String(i + 1).padStart(2, "0")}`);
const mac = (i: number): string => `52:54:00:0d:00:${(i + 1).toString(16).padStart(2, "0")}`;
/** Its profile names a kernel that is not there. */
const STUCK = "node-21";
/** The file of a stage that has one. */
const FILES: Readonly<Record<string, string>> = {
  program: "/ipxe/x86_64/ipxe.efi",
  kernel: "/debian-12/linux",
  initrd: "/debian-12/initrd.gz",
};
const uuid = (i: number): string => `11223344-5566-7788-99aa-bbccddef00${(i + 1).toString(16).padStart(2, "0")}`;

interface Said {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const command = (vlan: ProvisioningVlan, { file }: Appliance, ...args: string[]): Promise<Said> =>
  vlan.server.exec([NETBOOT6, ...args, "--config", file]);

/** The sum of the series of that name, and with those labels. */
const sum = (metrics: string, series: string): number =>
  metrics
    .split("\n")
    .filter((line) => line.startsWith(series) && /^[ {,}]/.test(line.slice(series.length)))
    .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" "))), 0);

interface Stage {
  readonly name: string;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly sent: number;
  readonly size: number;
  readonly attempts: number;
  readonly failed: string | null;
}
interface Timeline {
  readonly boots: readonly { readonly startedAt: number; readonly stages: readonly Stage[] }[];
  readonly verdict: { readonly rule: string } | null;
}

const at = ({ time }: LogLine): number => Date.parse(String(time));
const isFile = (path: string) => (line: LogLine) => line.event === "http.finished" && line.path === path && line.method === "GET";

/** What the log says of a stage: when it began and ended, how often was asked, what went out. */
function stageInLog(lines: readonly LogLine[], name: string): Omit<Stage, "name" | "failed"> {
  if (name === "firmware") {
    const answers = lines.filter(({ event, clientKind }) => event === "dhcpv6.answered" && String(clientKind).startsWith(name));
    const replied = answers.find(({ answer }) => answer === "Reply");
    const ended = replied ? at(replied) : null;
    return { startedAt: at(answers[0] as LogLine), endedAt: ended, sent: 0, size: 0, attempts: answers.length };
  }
  const path = FILES[name] as string;
  const started = lines.find((line) => line.event === "http.started" && line.path === path) as LogLine;
  const all = lines.filter(isFile(path));
  const whole = all.filter(({ status }) => status === 200);
  return {
    startedAt: at(started),
    endedAt: whole[0] ? at(whole[0]) : null,
    sent: Number(whole[0]?.sent ?? 0),
    size: Number(whole[0]?.size ?? 0),
    attempts: all.length,
  };
}

test("a rack of 20, and one that stands still: timelines, API, metrics, command line and log tell the same numbers", async (t) => {
  const root = await bootAssets();
  const vlan = makeVlan(t);
  const all = [...NAMES, STUCK];
  const machines = all.map((name, i) => `  - { name: ${name}, mac: "${mac(i)}"${name === STUCK ? ", profile: rescue" : ""} }\n`).join("");
  const appliance = await startAppliance(t, vlan, {
    configuration: `networks: [{ interface: prov0 }]
http: { root: ${root} }
log: { level: debug }
console: { token: a-long-random-word }
${INSTALLER}  rescue: { kernel: rescue/vmlinuz }
defaultProfile: debian-12
machines:
${machines}`,
  });
  const rack = new SimulatedRack(vlan, { machines: all.map((name, i) => ({ name, mac: mac(i), uuid: uuid(i) })), spread: 2 });
  await appliance.waitFor((line) => line.event === "machine.stuck" && line.machine === STUCK, 60);
  for (const name of NAMES) await appliance.waitFor((line) => line.event === "machine.done" && line.machine === name, 60);
  await rack.stop();
  // Workers tell what they did in batches.
  await new Promise((resolve) => setTimeout(resolve, 500));

  const logged = (event: string) => appliance.lines.filter((line) => line.event === event);
  const curl = async (path: string): Promise<string> =>
    (await vlan.server.exec(["curl", "-sS", "--fail-with-body", `http://[::1]:8067${path}`])).stdout;
  const metrics = await curl("/metrics");
  type Listed = { id: string; stage: string | null; addresses: string[]; network: string; lastSeen: number }[];
  const api = await appliance.get<Listed>("/machines");
  const listed = await command(vlan, appliance, "machines", "--json");
  const leases = await appliance.get<{ machine: string; state: string }[]>("/leases");

  const done = api.filter(({ stage }) => stage === "done");
  assert.deepEqual(done.map(({ id }) => id).toSorted(), NAMES);
  assert.equal(logged("machine.done").length, MACHINES);
  assert.equal(sum(metrics, 'netboot6_machines{stage="done"'), MACHINES);
  assert.equal(sum(metrics, "netboot6_installations_done_total"), MACHINES);
  assert.equal(sum(metrics, "netboot6_boot_seconds_count"), MACHINES);
  assert.equal(listed.code, 1, listed.stderr);
  assert.deepEqual(
    (JSON.parse(listed.stdout) as Listed).map(({ id, stage }) => `${id} ${stage}`),
    all.map((id) => `${id} ${id === STUCK ? "kernel" : "done"}`),
  );

  // Each stage: its times, tries and bytes in the log, in the timeline and in what the command prints.
  const stages: { name: string; seconds: number | null }[] = [];
  const boots: number[] = [];
  for (const id of all) {
    const timeline = await appliance.get<Timeline>(`/machines/${id}/timeline`);
    const [boot, ...others] = timeline.boots;
    assert.ok(boot && others.length === 0, id);
    const own = appliance.lines.filter(({ machine }) => machine === id);
    for (const { name, failed, ...told } of boot.stages.filter((stage) => ["firmware", ...Object.keys(FILES)].includes(stage.name))) {
      if (id === STUCK && name === "kernel") continue;
      const { startedAt, endedAt, sent, size, attempts } = told;
      assert.deepEqual({ startedAt, endedAt, sent, size, attempts }, stageInLog(own, name), `${id} ${name}`);
      assert.equal(failed, null, `${id} ${name}`);
    }
    const done = own.find(({ event }) => event === "machine.done");
    assert.equal(boot.stages.find(({ name }) => name === "done")?.startedAt ?? null, done ? at(done) : null, id);
    boot.stages.forEach(({ name, startedAt }, i) => {
      const next = boot.stages[i + 1];
      // A worker's clock tells when a file was begun, the main thread's when its events arrived: by some milliseconds it may be before.
      stages.push({ name, seconds: next ? Math.max(0, next.startedAt - startedAt) / 1000 : null });
    });
    const [first, last] = [boot.stages[0], boot.stages.at(-1)];
    if (first && last?.name === "done") boots.push((last.startedAt - first.startedAt) / 1000);

    const [printed, given] = await Promise.all([[], ["--json"]].map((more) => command(vlan, appliance, "machine", id, ...more)));
    assert.ok(printed && given);
    for (const { name, startedAt, attempts, sent, size } of boot.stages) {
      const bytes = size === 0 ? "-" : formatBytes(sent);
      const began: string = `+${((startedAt - boot.startedAt) / 1000).toFixed(1)} s`;
      const row: string = printed.stdout.split("\n").find((line) => line.startsWith(`${name} `)) ?? "";
      assert.deepEqual(
        row.split(/ {2,}/).filter((_, column) => column !== 2 && column < 5),
        [name, began, attempts === 0 ? "-" : String(attempts), bytes],
        printed.stdout,
      );
    }
    assert.deepEqual((JSON.parse(given.stdout) as { timeline: Timeline }).timeline, timeline);
  }
  const total = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
  const near = (a: number, b: number, what: string): void => assert.ok(Math.abs(a - b) < 1e-6, `${what}: ${a}, ${b}`);
  for (const name of new Set(stages.map((stage) => stage.name))) {
    const took = stages.flatMap((stage) => (stage.name === name && stage.seconds !== null ? [stage.seconds] : []));
    assert.equal(sum(metrics, `netboot6_boot_stage_seconds_count{stage="${name}"`), took.length, name);
    near(sum(metrics, `netboot6_boot_stage_seconds_sum{stage="${name}"`), total(took), name);
  }
  near(sum(metrics, "netboot6_boot_seconds_sum"), total(boots), "boots");

  // Who stands still is the same everywhere.
  const rules = appliance.lines.flatMap(({ event, machine, rule }) => (event === "machine.stuck" && machine === STUCK ? [rule] : []));
  assert.deepEqual(rules, ["kernel-missing"]);
  assert.equal(sum(metrics, "netboot6_machines_stuck"), 1);
  assert.equal(sum(metrics, 'netboot6_machines_stuck{rule="kernel-missing"'), 1);
  assert.equal(sum(metrics, "netboot6_machines_stuck_total"), logged("machine.stuck").length);
  assert.equal(sum(metrics, "netboot6_machines"), all.length);
  const stuck = await appliance.get<Listed>("/machines?verdict=any");
  assert.deepEqual(
    stuck.map(({ id }) => id),
    [STUCK],
  );
  const inStatus = JSON.parse((await command(vlan, appliance, "status", "--json")).stdout) as {
    stuck: string[];
    machines: { all: number };
  };
  assert.deepEqual([inStatus.stuck, inStatus.machines.all], [[STUCK], all.length]);
  const inList = JSON.parse((await command(vlan, appliance, "machines", "--stuck", "--json")).stdout) as Listed;
  assert.deepEqual(
    inList.map(({ id }) => id),
    [STUCK],
  );

  const answers = logged("dhcpv6.answered");
  assert.ok(answers.length >= 4 * MACHINES);
  assert.equal(sum(metrics, "netboot6_dhcpv6_messages_total"), answers.length);
  const requests = answers.filter((line) => line.message === "Request").length;
  assert.equal(sum(metrics, 'netboot6_dhcpv6_messages_total{message="Request"'), requests);
  const transfers = logged("http.finished");
  assert.equal(sum(metrics, "netboot6_http_requests_total"), transfers.length);
  const bytes = transfers.reduce((total, line) => total + Number(line.sent), 0);
  assert.ok(bytes > MACHINES * 10_000_000, "kernels and initrds");
  assert.equal(sum(metrics, "netboot6_http_sent_bytes_total"), bytes);
  const dns = logged("dns.answered").length + logged("dns.counted").reduce((total, line) => total + Number(line.count), 0);
  assert.equal(sum(metrics, "netboot6_dns_answers_total"), dns);

  assert.equal(sum(metrics, "netboot6_leases"), leases.length);
  const bound = leases.filter(({ state }) => state === "bound");
  assert.equal(sum(metrics, 'netboot6_leases{network="prov0",state="bound"'), bound.length);
  const networks = await appliance.get<{ leases: number }[]>("/networks");
  assert.equal(networks[0]?.leases, bound.length);
  const told = JSON.parse((await command(vlan, appliance, "leases", "--json")).stdout) as { state: string }[];
  assert.equal(told.filter(({ state }) => state === "bound").length, bound.length);

  const status = await command(vlan, appliance, "status");
  assert.equal(status.code, 1, status.stdout + status.stderr);
  assert.match(status.stdout, /machines {2}21: 1 kernel, 20 done/);
  assert.match(await curl("/readyz"), /"ready":true/);

  await t.test("an operator's changes go through the command, with the token of the configuration", async () => {
    const again = await command(vlan, appliance, "machine", "node-03", "boot-again");
    assert.equal(again.code, 0, again.stderr);
    await appliance.waitFor((line) => line.event === "operator.acted" && line.machine === "node-03", 5);
    assert.equal((await appliance.get<{ boot: { stage: string } }>("/machines/node-03")).boot.stage, "new");
    const refused = await command(vlan, appliance, "machine", "node-03", "profile", "debian-13");
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /no profile is called debian-13; there are: debian-12, rescue/);
    const configured = await command(vlan, appliance, "machine", "node-03", "forget");
    assert.match(configured.stderr, /the configuration names node-03/);
    const unknown = await command(vlan, appliance, "machine", "node-99");
    assert.deepEqual([unknown.code, unknown.stderr], [1, "netboot6: no machine is called node-99\n"]);
    const write = [
      "curl",
      "-sS",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
      "-X",
      "POST",
      "http://[::1]:8067/api/v1/machines/node-03/boot-again",
    ];
    assert.equal((await vlan.server.exec(write)).stdout, "401", "the same without the token");
  });

  await t.test("the command follows the events of one machine, of some types or as loud as asked, as the log has them", async () => {
    /** What it wrote within some seconds: on a busy machine it takes two to start. */
    const follow = async (...args: string[]): Promise<string[]> => {
      const { stdout } = await vlan.server.exec(["timeout", "-s", "INT", "6", NETBOOT6, ...args, "--config", appliance.file]);
      return stdout.split("\n").filter((line) => line !== "");
    };
    const own = appliance.lines.filter(({ machine, event }) => machine === "node-05" && event === "dhcpv6.answered");
    const [events, words] = await Promise.all([
      follow("events", "--json", "--last", "5000", "--machine", mac(4), "--type", "dhcpv6"),
      follow("events", "--last", "5000", "--machine", STUCK, "--level", "warn"),
    ]);
    const told = (events ?? []).map((line) => JSON.parse(line) as { type: string; at: number; message: string });
    assert.deepEqual(
      told.map(({ at: time, message }) => [time, message]),
      own.map((line) => [at(line), line.message]),
    );
    assert.ok((words ?? []).length > 1);
    for (const line of words ?? []) assert.match(line, /^\d\d:\d\d:\d\d node-21: (HTTP GET \/rescue\/vmlinuz: 404|stands still: )/);
    const refused = await command(vlan, appliance, "events", "--last", "many");
    assert.deepEqual([refused.code, refused.stdout], [1, ""]);
    const unknown = await command(vlan, appliance, "events", "--type", "dhcpv4");
    assert.deepEqual([unknown.code, unknown.stdout], [1, ""]);
    assert.match(unknown.stderr, /no event is called dhcpv4/);
  });

  await t.test("a shell that sourced the completion offers the names of the machines", async () => {
    const ask = `source <(netboot6 completion bash); COMP_WORDS=(netboot6 "$@"); COMP_CWORD=$#; _netboot6; echo "\${COMPREPLY[@]}"`;
    const path = `${dirname(NETBOOT6)}:${process.env.PATH}`;
    const offered = async (...words: string[]): Promise<string[]> => {
      const { stdout } = await vlan.server.exec(["env", "-C", vlan.dir, `PATH=${path}`, "bash", "-c", ask, "bash", ...words]);
      return stdout.trim().split(" ");
    };
    assert.deepEqual((await offered("machine", "node-0")).toSorted(), NAMES.slice(0, 9));
    assert.deepEqual(await offered("machine", "node-01", "boot"), ["boot-again"]);
    assert.deepEqual(await offered("events", "--machine", "node-2"), ["node-20", "node-21"]);
  });

  await t.test("events resume where a reader left off", async () => {
    const follow = async (...headers: string[]): Promise<string> =>
      (await vlan.server.exec(["curl", "-sN", "--max-time", "2", ...headers, "http://[::1]:8067/api/v1/events?last=3"])).stdout;
    const ids = (stream: string): string[] => [...stream.matchAll(/^id: (\S+)/gm)].map(([, id]) => id as string);
    // What happens within these seconds follows them.
    const [first, ...others] = ids(await follow()).slice(0, 3);
    assert.equal(others.length, 2);
    assert.deepEqual(ids(await follow("-H", `last-event-id: ${first}`)).slice(0, 2), others);
  });
});

test("a machine that stands still: exit code 1, its verdict in words; no appliance: exit code 2", async (t) => {
  const vlan = makeVlan(t);
  const root = join(vlan.dir, "boot-assets");
  mkdirSync(join(root, "ipxe/x86_64"), { recursive: true });
  writeFileSync(join(root, "ipxe/x86_64/ipxe.efi"), "MZ");
  const appliance = await startAppliance(t, vlan, {
    configuration: `networks: [{ interface: prov0 }]
profiles: { linux: { kernel: none/linux } }
machines: [{ name: node-01, mac: "${mac(0)}" }]
`,
  });
  const rack = new SimulatedRack(vlan, { machines: [{ name: "node-01", mac: mac(0), uuid: uuid(0) }] });
  await appliance.waitFor((line) => line.event === "machine.stuck" && line.machine === "node-01", 30);
  await rack.stop();
  const verdict = /none\/linux.*no such file/;
  for (const args of [["status"], ["machines", "--stuck"], ["machine", "node-01"]]) {
    const said = await command(vlan, appliance, ...args);
    assert.equal(said.code, 1, `${args}: ${said.stdout}${said.stderr}`);
    assert.match(said.stdout, verdict, args.join(" "));
  }

  // One behind a relay whose link no network has: it is not served, and stands still as well.
  const relay = vlan.client("relay");
  relay.up();
  relay.namespace.ip("addr add 2001:db8:0:1::99/64 dev eth0");
  const sample = new URL("../packages/dhcpv6/samples/relay-ovmf-http6-then-ipxe/01-relay-forw.hex", import.meta.url);
  const send = `const socket = require("dgram").createSocket("udp6");
socket.bind(547, () => socket.send(Buffer.from("${readFileSync(sample, "utf8").trim()}", "hex"), 547, "${vlan.address}", () => socket.close()));`;
  const sent = await relay.namespace.exec([process.execPath, "-e", send]);
  assert.equal(sent.code, 0, sent.stderr);
  const { machine: stranger } = await appliance.waitFor((line) => line.event === "machine.stuck" && line.rule === "not-served", 10);
  const both = ["node-01", stranger].toSorted();
  const told = await appliance.get<{ id: string; served: boolean }[]>("/machines");
  assert.deepEqual(told.map(({ id }) => id).toSorted(), both);
  assert.deepEqual(
    told.filter(({ served }) => !served).map(({ id }) => id),
    [stranger],
  );
  const status = JSON.parse((await command(vlan, appliance, "status", "--json")).stdout) as { stuck: string[]; machines: { all: number } };
  assert.deepEqual([status.stuck.toSorted(), status.machines.all], [both, 2]);
  const metrics = (await vlan.server.exec(["curl", "-sS", "http://[::1]:8067/metrics"])).stdout;
  assert.equal(sum(metrics, "netboot6_machines"), 2);
  assert.equal(sum(metrics, 'netboot6_machines_stuck{rule="not-served"'), 1);
  assert.equal(sum(metrics, "netboot6_machines_stuck"), 2);

  const { missing } = await appliance.get<{ missing: { key: string }[] }>("/assets");
  assert.ok(missing.some(({ key }) => key === "profiles.linux.kernel"));
  assert.equal((await command(vlan, appliance, "machines", "--stage", "nonsense")).code, 2);
  await appliance.stop();
  const nobody = await command(vlan, appliance, "machines");
  assert.equal(nobody.code, 2);
  assert.match(nobody.stderr, /does not answer at http:\/\/\[::1\]:8067.*netboot6 run/);
});
