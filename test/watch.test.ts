/** `netboot6 watch` on a terminal, while a rack boots. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { type Appliance, NETBOOT6, type ProvisioningVlan, SimulatedRack } from "@netboot6/lab";
import { makeVlan, startAppliance } from "./setup.ts";

const ROWS = 12;
const COLUMNS = 90;
const LEAVES = "\x1b[?25h\x1b[?1049l";
const machine = (n: number) => ({ name: `node-${n}`, mac: `52:54:00:0f:00:0${n}`, uuid: `11223344-5566-7788-99aa-bbccddee0f0${n}` });
const MACHINES = [1, 2, 3, 4].map(machine);

/** A terminal of its own (util-linux' script), in which the command runs; what it wrote, and its pictures one after another. */
class Terminal {
  output = "";
  readonly exit: Promise<number | null>;
  readonly #script: ChildProcess;

  constructor(vlan: ProvisioningVlan, command: string) {
    const inside = `stty rows ${ROWS} cols ${COLUMNS}; exec ${command}`;
    this.#script = vlan.server.spawn(["script", "-qefc", inside, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
    this.#script.stdout?.on("data", (data) => {
      this.output += data;
    });
    this.exit = new Promise((resolve) => this.#script.once("close", resolve));
  }

  press(key: string): void {
    this.#script.stdin?.write(key);
  }

  /** Each as lines. */
  get pictures(): string[][] {
    const whole = this.output
      .split("\x1b[H")
      .slice(1)
      .filter((picture) => picture.includes("\x1b[J"));
    return whole.map((picture) =>
      stripVTControlCharacters(picture)
        .split(/\r+\n/)
        .map((line) => line.trimEnd()),
    );
  }

  async shows(what: RegExp, seconds = 40): Promise<string[]> {
    for (const end = Date.now() + seconds * 1000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
      const picture = this.pictures.findLast((lines) => what.test(lines.join("\n")));
      if (picture) return picture;
      assert.ok(Date.now() < end, `${what} is not shown:\n${this.pictures.at(-1)?.join("\n")}`);
    }
  }
}

function start(t: TestContext, vlan: ProvisioningVlan): Promise<Appliance> {
  const root = join(vlan.dir, "boot-assets");
  mkdirSync(join(root, "ipxe/x86_64"), { recursive: true });
  for (const [file, size] of Object.entries({ "ipxe/x86_64/ipxe.efi": 1e6, linux: 8e6, "initrd.gz": 4e7 }))
    writeFileSync(join(root, file), Buffer.alloc(size, 1));
  writeFileSync(join(root, "answers.cfg"), "d-i preseed/late_command string wget -O- {{ done }}\n");
  const [faulty] = MACHINES;
  return startAppliance(t, vlan, {
    configuration: `networks: [{ interface: prov0 }]
http: { templates: [answers.cfg] }
profiles:
  linux: { kernel: linux, initrd: [initrd.gz], cmdline: "auto=true preseed/url={{ http }}/answers.cfg" }
  rescue: { kernel: rescue/vmlinuz }
defaultProfile: linux
machines: [{ name: ${faulty?.name}, mac: "${faulty?.mac}", profile: rescue }]
`,
  });
}

test("on a terminal the picture follows the rack: nobody, machines under way, who stands still first, the others done", async (t) => {
  const vlan = makeVlan(t);
  const appliance = await start(t, vlan);
  const terminal = new Terminal(vlan, `${NETBOOT6} watch --config ${appliance.file}`);
  assert.deepEqual(await terminal.shows(/0 machines/), ["0 machines", "", "nobody has asked for anything yet"]);
  const rack = new SimulatedRack(vlan, { machines: MACHINES, pace: 0.1, spread: 3 });
  await terminal.shows(/^node-1 +(firmware|program|ipxe|script) /m);
  await terminal.shows(/^m-5254000f000\d +(initrd|installer|answers) /m);
  const last = await terminal.shows(/^4 machines: 1 kernel, 3 done; 1 stands still$/m);
  assert.match(last[2] ?? "", /^MACHINE +STAGE +PROFILE +HEARD +STANDS STILL$/);
  assert.match(last[3] ?? "", /^node-1 +kernel +rescue +\d+s ago +iPXE asked for \/rescue\/vmlinuz/);
  assert.deepEqual(
    last
      .slice(4)
      .map((line) => line.split(/ +/).slice(0, 2).join(" "))
      .toSorted(),
    ["m-5254000f0002 done", "m-5254000f0003 done", "m-5254000f0004 done"],
  );
  const stages = new Set(terminal.pictures.flatMap((lines) => lines.slice(3).map((line) => line.split(/ +/)[1])));
  assert.ok(stages.size >= 4, `stages seen: ${[...stages]}`);
  for (const lines of terminal.pictures) {
    assert.ok(lines.length <= ROWS, lines.join("\n"));
    for (const line of lines) assert.ok(line.length <= COLUMNS, line);
  }
  await rack.stop();

  // Times go on though nothing happens.
  const heard = /^m-5254000f0002 .* (\d+s) ago/m;
  const [, before] = heard.exec(last.join("\n")) ?? [];
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const [, later] = heard.exec(terminal.pictures.at(-1)?.join("\n") ?? "") ?? [];
  assert.notEqual(later, before);

  terminal.press("\x03");
  assert.equal(await terminal.exit, 0);
  assert.ok(terminal.output.startsWith("\x1b[?1049h\x1b[?25l") && terminal.output.includes(LEAVES), "the terminal is as it was");
});

test("where the appliance goes away the picture says so and stays, and follows it again once it is back", async (t) => {
  const vlan = makeVlan(t);
  const appliance = await start(t, vlan);
  const terminal = new Terminal(vlan, `${NETBOOT6} watch --config ${appliance.file}`);
  await terminal.shows(/0 machines/);
  await appliance.stop();
  await terminal.shows(/does not answer at http:\/\/\[::1\]:8067/);
  await start(t, vlan);
  await terminal.shows(/^0 machines\n\nnobody/);
  const from = terminal.pictures.length;
  await new Promise((resolve) => setTimeout(resolve, 2000));
  assert.doesNotMatch(terminal.pictures.slice(from).flat().join("\n"), /does not answer/);
  terminal.press("\x03");
  assert.equal(await terminal.exit, 0);
});
