/** The command as a script runs it, where no appliance runs: `--json`, and the exit codes that docs/cli.md tells. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";

const NETBOOT6 = fileURLToPath(new URL("../../bin/netboot6", import.meta.url));
const ADDRESS = "2001:db8:0:2::10";
const CONFIGURATION = `networks: [{ name: rack-2, relayed: true, prefix: "2001:db8:0:2::/64", address: "2001:db8:0:2::1", relays: ["2001:db8:0:2::fe"] }]
console: { listen: "[::1]:9" }
`;
const KEA = `address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state
${ADDRESS},00:03:00:01:52:54:00:00:00:01,4000,4000000000,1,3000,0,1,128,0,0,,,0
2001:db8:9::10,00:03:00:01:52:54:00:00:00:02,4000,4000000000,1,3000,0,1,128,0,0,,,0
`;

interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs it in a folder of its own, in which there is an appliance.yaml. */
function commandIn(
  t: TestContext,
  files: Readonly<Record<string, string>>,
): ((...args: string[]) => Promise<Said>) & { readonly cwd: string } {
  const cwd = mkdtempSync(join(tmpdir(), "netboot6-command-"));
  t.after(() => rmSync(cwd, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
  const run = (...args: string[]): Promise<Said> =>
    new Promise((resolve) => {
      const child = execFile(NETBOOT6, args, { cwd, timeout: 60_000 }, (_, out, err) => resolve({ code: child.exitCode, out, err }));
    });
  return Object.assign(run, { cwd });
}

test("leases: what was imported, what there is and what was released, as JSON and with its exit code", async (t) => {
  const netboot6 = commandIn(t, { "appliance.yaml": CONFIGURATION, "kea-leases6.csv": KEA });
  const json = async (...args: string[]): Promise<unknown> => {
    const { code, out, err } = await netboot6(...args, "--json");
    assert.equal(code, 0, `${args}: ${out}${err}`);
    return JSON.parse(out);
  };
  assert.deepEqual(await json("leases", "import", "kea-leases6.csv"), {
    imported: 1,
    files: ["kea-leases6.csv"],
    leftOut: { "in no network of the configuration, as far as this host knows their prefixes": 1 },
    namesLeftOut: {},
  });
  const states = async (): Promise<unknown> =>
    ((await json("leases")) as { address: string; state: string }[]).map(({ address, state }) => [address, state]);
  assert.deepEqual(await states(), [[ADDRESS, "bound"]]);
  assert.deepEqual(await json("leases", "release", ADDRESS), { released: ADDRESS });
  assert.deepEqual(await states(), [[ADDRESS, "released"]]);

  const again = await netboot6("leases", "release", ADDRESS, "--json");
  assert.deepEqual([again.code, again.out, again.err], [1, "", `netboot6: ${ADDRESS} is not leased\n`]);
  assert.equal((await netboot6("leases", "release", "nonsense")).code, 2);
  const delegated = await netboot6("leases", "release", "2001:DB8:FFF::/60");
  assert.deepEqual([delegated.code, delegated.err], [1, "netboot6: 2001:db8:fff::/60 is not leased\n"]);
  assert.equal((await netboot6("leases", "import", "none.csv")).code, 1);
});

test("leases: a damaged row is told of, and the others are listed; with a file that is no store, nothing is", async (t) => {
  const netboot6 = commandIn(t, { "appliance.yaml": CONFIGURATION, "kea.csv": KEA.replace("2001:db8:9::10", "2001:db8:0:2::11") });
  assert.equal((await netboot6("leases", "import", "kea.csv", "--json")).code, 0);
  const file = join(netboot6.cwd, "state/netboot6.db");
  const db = new DatabaseSync(file);
  db.exec(`UPDATE entry SET value = 'null' WHERE key = '${ADDRESS}'`);
  db.close();
  const listed = await netboot6("leases", "--json");
  assert.equal(listed.code, 1);
  assert.match(
    listed.err,
    /^netboot6: \S+state has 1 damaged row \(lease 2001:db8:0:2::10\), left out here: the appliance puts what is damaged aside/,
  );
  assert.deepEqual(
    JSON.parse(listed.out).map(({ address }: { address: string }) => address),
    ["2001:db8:0:2::11"],
  );
  const imported = await netboot6("leases", "import", "kea.csv");
  assert.match(imported.err, /^netboot6: the lease store had 1 damaged row/);
  assert.match(imported.out, /^1 lease imported/);
  assert.equal((await netboot6("leases")).code, 0);
  writeFileSync(file, "");
  const empty = await netboot6("leases");
  assert.deepEqual([empty.code, empty.out], [1, ""]);
  assert.match(empty.err, /^netboot6: cannot read \S+netboot6\.db: it is empty\n$/);
  const explained = await netboot6("explain", "--mac", "52:54:00:00:00:01");
  assert.deepEqual([explained.code, explained.out, explained.err], [1, "", empty.err]);
  assert.match((await netboot6("leases", "import", "kea.csv")).err, /the lease store was damaged \(it is empty\); it was put aside as/);
});

type KeaRow = readonly [
  host: string,
  mac: string,
  row?: { readonly expire?: number; readonly lifetime?: number; readonly hostname?: string; readonly state?: number },
];

/** Rows of a Kea file: host part of the address, MAC's last byte, and what else differs. */
function keaFile(...rows: KeaRow[]): string {
  const text = rows.map(([host, mac, { expire = 4e9, lifetime = 4000, hostname = "", state = 0 } = {}]) => {
    const duid = `00:03:00:01:52:54:00:00:00:${mac}`;
    return `2001:db8:0:2::${host},${duid},${lifetime},${expire},1,3000,0,1,128,0,0,${hostname},,${state}\n`;
  });
  return KEA.slice(0, KEA.indexOf("\n") + 1) + text.join("");
}

interface Listed {
  readonly address: string;
  readonly state: string;
  readonly validUntil: number;
  readonly duid: string;
  readonly hostname?: string;
}

test("leases import: neither our own address, nor what was declined, expired, released or registered", async (t) => {
  const rows = ["10", "11", "12", "13"].map((host, i) => [host, host, { state: i + 1 }] as const);
  const netboot6 = commandIn(t, { "appliance.yaml": CONFIGURATION, "kea.csv": keaFile(["1", "01"], ["14", "14"], ...rows) });
  const { out, err } = await netboot6("leases", "import", "kea.csv", "--json");
  assert.deepEqual(
    JSON.parse(out),
    {
      imported: 1,
      files: ["kea.csv"],
      leftOut: {
        declined: 1,
        expired: 1,
        released: 1,
        "registered by clients that formed them themselves (RFC 9686)": 1,
        "our own address": 1,
      },
      namesLeftOut: {},
    },
    err,
  );
  const listed = JSON.parse((await netboot6("leases", "--json")).out) as Listed[];
  assert.deepEqual(
    listed.map(({ address }) => address),
    ["2001:db8:0:2::14"],
  );
});

test("leases import: a lease is of the interface whose MAC Kea had from the wire, not of the one in the DUID", async (t) => {
  const duid = "00:01:00:01:2a:00:00:00:52:54:00:00:00:01";
  const row = (host: string, iaid: number, mac: string, source: number) =>
    `2001:db8:0:2::${host},${duid},4000,4000000000,1,3000,0,${iaid},128,0,0,,${mac},0,${source}\n`;
  const rows = [row("10", 1, "52:54:00:00:00:01", 8), row("11", 2, "52:54:00:00:00:02", 4), row("12", 3, "52:54:00:00:00:01", 2)];
  const header = KEA.slice(0, KEA.indexOf("\n"));
  const netboot6 = commandIn(t, {
    "appliance.yaml": `${CONFIGURATION}machines: [{ name: node-01, mac: ["52:54:00:00:00:01", "52:54:00:00:00:02"] }]\n`,
    "kea.csv": `${header},hwaddr_source\n${rows.join("")}`,
  });
  assert.equal((await netboot6("leases", "import", "kea.csv")).code, 0);
  const listed = JSON.parse((await netboot6("leases", "--json")).out) as (Listed & { machine: string; mac?: string })[];
  assert.deepEqual(
    listed.map(({ machine, mac }) => [machine, mac]),
    [
      ["node-01", "52:54:00:00:00:01"],
      ["node-01", "52:54:00:00:00:02"],
      ["node-01", undefined],
    ],
  );
});

test("leases import: what Kea's clean-up left beside the file is read before it: .completed, else .2 and .1", async (t) => {
  const lines = { ".2": ["10", "02"], ".1": ["11", "01"], ".completed": ["12", "0c"], "": ["13", "00"] } as const;
  const of = (...suffixes: (keyof typeof lines)[]) => Object.fromEntries(suffixes.map((each) => [`kea.csv${each}`, keaFile(lines[each])]));
  const imports = async (files: Readonly<Record<string, string>>): Promise<unknown> => {
    const { out, err } = await commandIn(t, { "appliance.yaml": CONFIGURATION, ...files })("leases", "import", "kea.csv", "--json");
    assert.equal(err, "");
    const { imported, files: read } = JSON.parse(out);
    return [imported, read];
  };
  assert.deepEqual(await imports(of("", ".1", ".2")), [3, ["kea.csv.2", "kea.csv.1", "kea.csv"]]);
  assert.deepEqual(await imports(of("", ".1")), [2, ["kea.csv.1", "kea.csv"]]);
  assert.deepEqual(await imports(of("", ".1", ".2", ".completed")), [2, ["kea.csv.completed", "kea.csv"]]);
});

test("leases import: a second run does no harm; what Kea leased later is taken, what ended here later is not", async (t) => {
  const day = 86_400;
  const now = Math.floor(Date.now() / 1000);
  const netboot6 = commandIn(t, { "appliance.yaml": CONFIGURATION });
  const imports = async (row: KeaRow): Promise<unknown> => {
    writeFileSync(join(netboot6.cwd, "kea.csv"), keaFile(row));
    const { out, err } = await netboot6("leases", "import", "kea.csv", "--json");
    assert.equal(err, "");
    const { imported, leftOut } = JSON.parse(out);
    const leases = JSON.parse((await netboot6("leases", "--json")).out) as Listed[];
    return [imported, leftOut, leases.map(({ state, validUntil, duid }) => [state, (validUntil - now) / day, duid.slice(-2)])];
  };
  const row = (days: number, mac = "01", lifetime = 4000): KeaRow => ["10", mac, { expire: now + days * day, lifetime }];
  assert.deepEqual(await imports(row(2)), [1, {}, [["bound", 2, "01"]]]);
  assert.deepEqual(await imports(row(2)), [0, { "leased already": 1 }, [["bound", 2, "01"]]]);
  assert.deepEqual(await imports(row(3)), [1, {}, [["bound", 3, "01"]]], "its client renewed at Kea");
  const stays = [0, { "leased already": 1 }, [["bound", 3, "01"]]];
  assert.deepEqual(await imports(row(2)), stays, "an older file");
  assert.deepEqual(await imports(row(2.99, "01", 1)), stays, "later, but it ends sooner");
  assert.deepEqual(await imports(row(4, "02")), stays, "another client's");
  await netboot6("leases", "release", ADDRESS);
  const ended = [0, { "leased here later, and ended": 1 }, [["released", 3, "01"]]];
  assert.deepEqual(await imports(row(3)), ended);
  assert.deepEqual(await imports(row(5, "01", 6 * day)), ended, "an older file of a Kea with longer leases");
  assert.deepEqual(await imports(row(4, "02")), [1, {}, [["bound", 4, "02"]]], "Kea leased it after that");
});

test("leases import: a client keeps its name where it could claim it here; else the lease comes without, and why is told", async (t) => {
  const configuration = `${CONFIGURATION}domain: rack.example
machines: [{ name: node-01, mac: "52:54:00:00:00:40" }, { name: node-02, mac: "52:54:00:00:00:99" }]
dns: { records: { mirror.rack.example: ["2001:db8:0:2::2"] } }
`;
  const names = {
    "10": "Web.rack.example.",
    "11": "db",
    "12": "a.b.rack.example",
    "13": "single.",
    "14": "",
    "15": "web.other.example.",
    "16": "under_score",
    "17": "mirror.rack.example.",
    "18": "node-02",
    "19": "web.rack.example",
    "20": "m-525400000010",
    "21": `${"a".repeat(63)}.`.repeat(4),
    "40": "own",
  };
  const rows = Object.entries(names).map(([host, hostname]) => [host, host, { hostname }] as const);
  const netboot6 = commandIn(t, { "appliance.yaml": configuration, "kea.csv": keaFile(...rows) });
  const imported = JSON.parse((await netboot6("leases", "import", "kea.csv", "--json")).out);
  assert.deepEqual(imported, {
    ...{ imported: 13, files: ["kea.csv"], leftOut: {} },
    namesLeftOut: {
      "which is no host's under rack.example": 3,
      "which is one of dns.records": 1,
      "which another machine is called": 2,
      "which another machine has claimed before": 1,
      "and the configuration names its machine": 1,
    },
  });
  const listed = JSON.parse((await netboot6("leases", "--json")).out) as Listed[];
  assert.deepEqual(
    listed.flatMap(({ hostname }) => hostname ?? []),
    ["web.rack.example", "db.rack.example", "a.b.rack.example", "single.rack.example"],
  );
  assert.match((await netboot6("leases", "release", ADDRESS)).out, /released/);
  writeFileSync(join(netboot6.cwd, "kea.csv"), keaFile(["30", "30", { hostname: "web_" }]));
  assert.match(
    (await netboot6("leases", "import", "kea.csv")).out,
    /^1 lease imported from kea.csv\n1 name of clients left out, which is no host's under rack\.example\n$/,
  );
  writeFileSync(join(netboot6.cwd, "appliance.yaml"), CONFIGURATION);
  writeFileSync(join(netboot6.cwd, "kea.csv"), keaFile(["31", "31", { hostname: "x" }]));
  assert.match(
    (await netboot6("leases", "import", "kea.csv")).out,
    /1 name of clients left out, which is no host's under a domain: none is configured/,
  );
});

test("leases: options that stand before the subcommand's name are its own", async (t) => {
  const netboot6 = commandIn(t, {
    "appliance.yaml": CONFIGURATION,
    "other.yaml": `${CONFIGURATION}state: { dir: other }\n`,
    "kea.csv": KEA,
  });
  const imported = await netboot6("leases", "--json", "-c", "other.yaml", "import", "kea.csv");
  assert.equal(JSON.parse(imported.out).imported, 1, imported.err);
  assert.equal(JSON.parse((await netboot6("leases", "--json")).out).length, 0);
  assert.equal(JSON.parse((await netboot6("leases", "--json", "-c", "other.yaml")).out).length, 1);
  assert.equal((await netboot6("leases", "-c", "appliance.yaml", "release", ADDRESS, "-c", "other.yaml")).out, `${ADDRESS} is released\n`);
  assert.equal((await netboot6("leases", "-c", "none.yaml", "release", ADDRESS)).code, 2);
});

test("assets: what was added as JSON; a file that is not there is 1, a name that is none 2", async (t) => {
  const netboot6 = commandIn(t, { "appliance.yaml": CONFIGURATION, kernel: "a kernel" });
  const added = await netboot6("assets", "add", "kernel", "--to", "my-os/linux", "--json");
  assert.equal(added.code, 0, added.err);
  assert.deepEqual(JSON.parse(added.out), [{ name: "my-os/linux", source: "kernel", files: ["my-os/linux"], alreadyThere: false }]);
  const listed = JSON.parse((await netboot6("assets", "list", "--json")).out) as { files: { path: string }[] };
  assert.deepEqual(
    listed.files.map(({ path }) => path),
    ["my-os/linux"],
  );
  assert.deepEqual(JSON.parse((await netboot6("assets", "check", "--json")).out).altered, []);
  const missing = await netboot6("assets", "add", "none", "--to", "x", "--json");
  assert.deepEqual([missing.code, missing.out, missing.err], [1, "[]\n", "netboot6: x: no such file: none\n"]);
  assert.equal((await netboot6("assets", "add", "debian-99")).code, 2);
  const nowhere = await netboot6("assets", "add", "kernel", "--to", "x", "--root", "appliance.yaml");
  assert.deepEqual([nowhere.code, nowhere.out], [1, ""]);
  assert.match(nowhere.err, /^netboot6: x: ENOTDIR: not a directory, mkdir '.*appliance\.yaml\/\.incoming'\n$/);
});

/** A server of one image, and a folder to bring it to. */
async function imageServer(t: TestContext, answer: (response: ServerResponse) => void): Promise<{ root: string; url: string }> {
  const root = mkdtempSync(join(tmpdir(), "netboot6-command-"));
  const server = createServer((_, response) => answer(response));
  await new Promise<void>((resolve) => server.listen(0, "::1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(root, { recursive: true });
  });
  return { root, url: `http://[::1]:${(server.address() as AddressInfo).port}/image` };
}

test("assets: SIGTERM breaks a download off as Ctrl-C does, and leaves of it what the next one goes on with", async (t) => {
  const sum = "0".repeat(64);
  const { root, url } = await imageServer(t, (response) => response.writeHead(200, { "Content-Length": 10 }).write("first"));
  const child = spawn(NETBOOT6, ["assets", "add", url, "--sha256", sum, "--to", "image", "--root", root]);
  let said = "";
  child.stderr.on("data", (data) => {
    said += data;
  });
  const part = join(root, ".incoming", `${sum}.part`);
  for (let waited = 0; waited < 100 && !(existsSync(part) && statSync(part).size === 5); waited++)
    await new Promise((resolve) => setTimeout(resolve, 100));
  child.kill("SIGTERM");
  assert.equal(await new Promise((resolve) => child.once("close", resolve)), 1);
  assert.equal(said, "netboot6: image: broken off\n");
  assert.deepEqual(readdirSync(join(root, ".incoming")), [`${sum}.part`]);
});

test("assets: on a terminal a bar shows how far a download is; the table has the checksum", { timeout: 30_000 }, async (t) => {
  const content = Buffer.alloc(2_000_000, "boot");
  const sum = createHash("sha256").update(content).digest("hex");
  let goOn: () => void = () => {};
  const { root, url } = await imageServer(t, (response) => {
    response.writeHead(200, { "Content-Length": content.length }).write(content.subarray(0, 1_000_000));
    goOn = () => response.end(content.subarray(1_000_000));
  });
  const command = [NETBOOT6, "assets", "add", url, "--sha256", sum, "--to", "os/image", "--root", root].join(" ");
  const terminal = spawn("script", ["-qec", `stty cols 100; ${command}`, "/dev/null"]);
  let shown = "";
  await new Promise<void>((resolve) => {
    terminal.stdout.on("data", (data) => {
      shown += data;
      if (shown.includes("50%")) goOn();
    });
    terminal.once("close", () => resolve());
  });
  assert.match(shown, /os\/image: file █{15}░{15} 50% of 2\.0 MB/);
  assert.ok(shown.includes(`os/image: ${url} added: os/image`), shown);
  const list = spawn(NETBOOT6, ["assets", "list", "--root", root]);
  let table = "";
  list.stdout.on("data", (data) => {
    table += data;
  });
  await new Promise((resolve) => list.once("close", resolve));
  assert.match(table, new RegExp(`^FILE +SIZE +SHA-256 +USED BY +FROM\\nos/image +2\\.0 MB +${sum.slice(0, 12)} +- +http`));
});

/** Nothing of it is on this host's networks, or on a port that some program may have. */
const QUIET = CONFIGURATION.replace(" }]", ", dhcp: false }]").concat("http: false\ndns: false\ntftp: false\n");

test("check: 0 where it would start, each warning told once; 1 where the host is not ready; 2 where a file that it names is wrong", async (t) => {
  const port = createServer().listen(0, "::1");
  await new Promise((resolve) => port.once("listening", resolve));
  t.after(() => port.close());
  const taken = `[::1]:${(port.address() as AddressInfo).port}`;
  const netboot6 = commandIn(t, {
    "good.yaml": QUIET,
    "open.yaml": QUIET.replace(', relays: ["2001:db8:0:2::fe"]', ""),
    "away.yaml": QUIET.replace("networks: [", "networks: [{ interface: away0, dhcp: false, advertise: false }, "),
    "taken.yaml": QUIET.replace("[::1]:9", taken),
    "files.yaml": QUIET.replace("http: false", "http: { port: 9009, tls: { cert: none.pem, key: none.pem, port: 9010 } }"),
  });
  const network = "network rack-2: our address is 2001:db8:0:2::1, the prefix 2001:db8:0:2::/64\n";
  const [good, open, away, inUse, files] = await Promise.all(
    ["good", "open", "away", "taken", "files"].map((file) => netboot6("check", "-c", `${file}.yaml`)),
  );
  assert.deepEqual([good?.code, good?.out], [0, `${network}good.yaml: good\n`]);
  assert.equal(open?.code, 0);
  assert.match(
    open?.out ?? "",
    /^open\.yaml:1:12: warning: networks\[0\]: anyone may relay for it\..* \[relays-open\]\n.*\n.*\^\nnetwork /,
  );
  assert.equal(open?.out.match(/relays-open/g)?.length, 1);
  assert.ok(open?.out.endsWith("open.yaml: it would start; see above\n"));
  assert.equal(away?.code, 1);
  assert.match(away?.out ?? "", /^missing: interface away0 does not exist/m);
  assert.equal(inUse?.code, 1);
  assert.match(inUse?.out ?? "", /: warning: console\.listen: TCP port \d+ of \[::1\] is in use by node/);
  assert.equal(files?.code, 2);
  assert.match(files?.out ?? "", /^files\.yaml:3:\d+: warning: http\.root: there is no folder .* \[missing-boot-file\]$/m);
  assert.match(files?.out ?? "", /^files\.yaml:3:\d+: http\.tls.*none\.pem.* \[bad-certificate\]$/m);

  const json = async (file: string) => JSON.parse((await netboot6("check", "-c", file, "--json")).out);
  const networks = [{ name: "rack-2", address: "2001:db8:0:2::1", prefix: "2001:db8:0:2::/64" }];
  assert.deepEqual(await json("good.yaml"), { problems: [], missing: [], networks });
  const { missing } = await json("away.yaml");
  assert.match(missing[0], /away0 does not exist/);
  const [problem] = (await json("open.yaml")).problems;
  assert.deepEqual(
    [problem.id, problem.severity, problem.file, problem.line, problem.column],
    ["relays-open", "warning", "open.yaml", 1, 12],
  );
});

test("leases are listed in the order of their addresses, with what is left of them", async (t) => {
  const rows: KeaRow[] = [
    ["10", "01"],
    ["9", "02", { lifetime: 0xffffffff, expire: Math.floor(Date.now() / 1000) + 0xffffffff }],
    ["11", "03"],
  ];
  const netboot6 = commandIn(t, { "appliance.yaml": CONFIGURATION, "kea.csv": keaFile(...rows) });
  await netboot6("leases", "import", "kea.csv");
  await netboot6("leases", "release", "2001:DB8:0:2:0:0:0:11");
  const { out } = await netboot6("leases");
  const [head, ...lines] = out.trimEnd().split("\n");
  assert.match(head ?? "", /^ADDRESS +MACHINE +NETWORK +STATE +ENDS IN$/);
  for (const [i, end] of ["9 .* bound +never", "10 .* rack-2 +bound +\\d+d \\d+h", "11 .* released +-"].entries())
    assert.match(lines[i] ?? "", new RegExp(`^2001:db8:0:2::${end}$`));
});

test("explain: neither MAC nor UUID nor capture is wrong use; a machine that would not be answered is 1", async (t) => {
  const netboot6 = commandIn(t, { "appliance.yaml": CONFIGURATION });
  const nobody = await netboot6("explain");
  assert.deepEqual([nobody.code, nobody.err], [2, "netboot6: give --mac, --uuid or --pcap\n"]);
  const mac = ["--mac", "52:54:00:00:00:01"];
  const refused = await netboot6("explain", ...mac, "--network", "rack-2", "--relay", "2001:db8::9");
  assert.equal(refused.code, 1);
  assert.match(refused.out, /is not answered:\n {2}because +relay 2001:db8::9 is not among the relays of network rack-2/);
  assert.equal((await netboot6("explain", ...mac, "--relay", "2001:db8:0:2::fe")).code, 0);
});

/** What an appliance would answer: by method and path under /api/v1; what it was asked. */
async function appliance(t: TestContext, answers: Readonly<Record<string, unknown>>): Promise<{ configuration: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const body = (await Array.fromAsync(request)).join("");
    const what = `${request.method} ${request.url?.replace("/api/v1", "")}`;
    asked.push(`${what}${body && ` ${body}`}`);
    const answer = request.headers.authorization === "Bearer secret" ? answers[what] : undefined;
    if (answer !== undefined) response.end(JSON.stringify(answer));
    else response.writeHead(404, { "content-type": "application/problem+json" }).end('{"detail":"it is not known"}');
  });
  await new Promise<void>((resolve) => server.listen(0, "::1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { configuration: CONFIGURATION.replace('"[::1]:9"', `"[::]:${port}", token: secret`), asked };
}

test("what the API is asked for by each command, and the exit codes of what it answers", async (t) => {
  const view = (id: string) => ({
    id,
    macs: [],
    addresses: [],
    boots: { profile: "rescue", why: "x" },
    boot: { stage: "new" },
    stage: null,
    verdict: null,
  });
  const stuck = { ...view("stuck"), verdict: { rule: "kernel-missing", text: "no kernel", mend: "Put it there." } };
  const boot = { startedAt: 0, stages: [], beside: [], entries: [] };
  const status = { site: "lab", version: "1", ready: true, services: [{ service: "dns", ready: true }], waiting: null, startedAt: 0 };
  const { configuration, asked } = await appliance(t, {
    "GET /machines?": [view("node-10"), view("node-9")],
    "GET /machines?network=prov&stage=kernel&verdict=any&search=n": [stuck],
    "GET /machines": [view("node-9")],
    "GET /networks": [],
    "GET /status": status,
    "GET /machines/node-9": view("node-9"),
    "GET /machines/node-9/timeline": { boots: [boot] },
    "GET /machines/stuck": stuck,
    "GET /machines/stuck/timeline": { boots: [] },
    "PUT /machines/node-9/profile": {},
    "POST /machines/node-9/boot-again": {},
    "DELETE /machines/node-9": {},
  });
  const netboot6 = commandIn(t, { "appliance.yaml": configuration });
  const gives = async (code: number, ...args: string[]): Promise<Said> => {
    const said = await netboot6(...args);
    assert.equal(said.code, code, `${args}: ${said.out}${said.err}`);
    return said;
  };
  const numbers = ["0", "2", "1.5", "x"];
  const [all, lab, unknown, ...noBoots] = await Promise.all([
    gives(0, "machines", "--json"),
    gives(0, "status"),
    gives(1, "machine", "none"),
    ...numbers.map((number) => gives(2, "machine", "node-9", "--boot", number)),
    gives(1, "machines", "--network", "prov", "--stage", "kernel", "--stuck", "--search", "n"),
    gives(0, "machine", "node-9"),
    gives(1, "machine", "stuck", "--boot", "1"),
    gives(2, "machine", "node-9", "boot-again", "rescue"),
  ]);
  assert.deepEqual(
    JSON.parse(all.out).map(({ id }: { id: string }) => id),
    ["node-9", "node-10"],
  );
  assert.match(lab.out, /^lab: netboot6 1, ready, up .*\n.*\nmachines {2}1: 1 never booted$/m);
  assert.equal(unknown.err, "netboot6: it is not known\n");
  for (const [i, number] of numbers.entries())
    assert.equal(noBoots[i]?.err, `netboot6: --boot ${number}: node-9 has 1 boot; 1 is the newest\n`);
  asked.length = 0;
  await gives(0, "machine", "node-9", "profile", "rescue");
  await gives(0, "machine", "node-9", "profile", "-");
  assert.match((await gives(0, "machine", "node-9", "boot-again")).out, /^node-9 boots rescue \(x\)$/m);
  assert.deepEqual(JSON.parse((await gives(0, "machine", "node-9", "forget", "--json")).out), { forgotten: "node-9" });
  assert.deepEqual(
    asked.filter((what) => !what.startsWith("GET")),
    [
      'PUT /machines/node-9/profile {"profile":"rescue"}',
      'PUT /machines/node-9/profile {"profile":null}',
      "POST /machines/node-9/boot-again",
      "DELETE /machines/node-9",
    ],
  );
  asked.length = 0;
  await gives(1, "events", "--type", "machine.stuck", "dhcpv6", "--machine", "node-9", "--level", "warn", "--last", "5");
  assert.deepEqual(asked, ["GET /events?type=machine.stuck&type=dhcpv6&machine=node-9&level=warn&last=5"]);
});

test("status: a service that does not answer is 1, and so is a machine that stands still", async (t) => {
  const status = {
    site: "lab",
    version: "1",
    services: [{ service: "dns", ready: false, why: "it ended" }],
    waiting: "eth1 is gone",
    startedAt: 0,
  };
  const stuck = { id: "node-1", stage: "script", verdict: { text: "no kernel", mend: "Put it there." } };
  for (const [ready, machines, said] of [
    [false, [], /ready.*\nwaiting: eth1 is gone\nservices {2}dns \(it ended\)\nmachines {2}none yet$/m],
    [true, [stuck], /^1 machine stands still:\n {2}node-1: no kernel Put it there\.$/m],
  ] as const) {
    const { configuration } = await appliance(t, { "GET /status": { ...status, ready }, "GET /networks": [], "GET /machines": machines });
    const { code, out } = await commandIn(t, { "appliance.yaml": configuration })("status");
    assert.equal(code, 1);
    assert.match(out, said);
  }
});

const TELL = [
  ["check"],
  ["explain", "--mac", "52:54:00:00:00:01"],
  ["status"],
  ["machines"],
  ["machine", "node-01"],
  ["watch"],
  ["events"],
  ["leases"],
  ["leases", "release", ADDRESS],
  ["leases", "import", "kea-leases6.csv"],
  ["assets", "add", "ipxe"],
  ["assets", "list"],
  ["assets", "check"],
];
const ASK_THE_APPLIANCE = new Set(["status", "machines", "machine", "watch", "events"]);

test("every command that tells something has --json; a bad configuration, wrong use and no appliance are 2", async (t) => {
  const netboot6 = commandIn(t, { "appliance.yaml": "networks: 7\n" });
  const away = commandIn(t, { "appliance.yaml": CONFIGURATION });
  const tells = async (words: readonly string[]): Promise<void> => {
    const help = await netboot6(...words, "--help");
    assert.equal(help.code, 0);
    assert.match(help.out, /--json/, words.join(" "));
    assert.match(help.out, /Exit codes: 0/, words.join(" "));
    assert.equal((await netboot6(...words)).code, 2, words.join(" "));
    if (!ASK_THE_APPLIANCE.has(words[0] as string)) return;
    const nobody = await away(...words, "--json");
    assert.deepEqual([nobody.code, nobody.out], [2, ""], words.join(" "));
    assert.match(nobody.err, /the appliance does not answer at http:\/\/\[::1\]:9/);
  };
  await Promise.all(TELL.map(tells));
  assert.match((await netboot6("run", "--help")).out, /Exit codes: 0 .*; 1 .*; 2 /);
  const wrong = [
    ["boot"],
    ["leases", "--colour"],
    ["completion", "tcsh"],
    ["machine"],
    ["machine", "node-01", "profile"],
    ["run", "--port"],
    [],
  ];
  await Promise.all(wrong.map(async (words) => assert.equal((await netboot6(...words)).code, 2, words.join(" "))));
});
