/** What an operator looks up is there: each finding of `check`; and each of them is staged by a test. */
import assert from "node:assert/strict";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { formatPrefix } from "@netboot6/codec";
import { type Appliance, FINDING_IDS, loadAppliance } from "@netboot6/config";

test("docs/checks.md has every finding of check, and none that there is not", () => {
  const page = readFileSync(new URL("../../../docs/checks.md", import.meta.url), "utf8");
  assert.deepEqual(
    [...page.matchAll(/^\| `([^`]+)`/gm)].map(([, id]) => id),
    FINDING_IDS,
  );
});

test("every finding of check is staged by a test", () => {
  const root = new URL("../../../", import.meta.url).pathname;
  const own = "packages/supervisor/src/docs.test.ts";
  const files = globSync(["packages/*/src/**/*.test.ts", "test/*.test.ts"], { cwd: root }).filter((file) => file !== own);
  const tests = files.map((file) => readFileSync(`${root}${file}`, "utf8")).join("\n");
  assert.deepEqual(
    FINDING_IDS.filter((id) => !new RegExp(`(?<![\\w-])${id}(?![\\w-])`).test(tests)),
    [],
  );
});

const FROM_KEA = readFileSync(new URL("../../../docs/from-kea.md", import.meta.url), "utf8");
const blocks = (language: string): string[] =>
  [...FROM_KEA.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, of, text = ""]) => (of === language ? text : []));

async function load(t: TestContext, text: string): Promise<Appliance> {
  const dir = mkdtempSync(join(tmpdir(), "netboot6-docs-"));
  t.after(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, "appliance.yaml"), text);
  const loaded = await loadAppliance(join(dir, "appliance.yaml"));
  if (!("appliance" in loaded)) throw new Error(loaded.problems.map(({ what }) => what).join());
  return loaded.appliance;
}

interface KeaSubnet {
  readonly subnet: string;
  readonly pools: readonly { readonly pool: string }[];
  readonly "pd-pools"?: readonly { readonly prefix: string; readonly "prefix-len": number; readonly "delegated-len": number }[];
  readonly reservations?: readonly Readonly<Record<string, string | readonly string[]>>[];
  readonly relay?: { readonly "ip-addresses": readonly string[] };
}

test("docs/from-kea.md: each appliance.yaml is one, and the first says what the kea-dhcp6.conf says", async (t) => {
  const [first, ...others] = await Promise.all(blocks("yaml").map((text) => load(t, text)));
  assert.equal(others.length, 1);
  const kea = JSON.parse(blocks("json")[0] ?? "").Dhcp6;
  const subnets: readonly KeaSubnet[] = kea.subnet6;
  assert.deepEqual(
    first?.networks.map(({ prefix, dhcp, relayed }) => ({
      subnet: prefix && formatPrefix(prefix),
      pool: dhcp?.pool.kind === "range" && `${dhcp.pool.first}-${dhcp.pool.last}`,
      delegate: dhcp?.delegate && `${formatPrefix(dhcp.delegate.prefix)} ${dhcp.delegate.length}`,
      relayed,
      lifetimes: Object.values(dhcp?.lifetimes ?? {}),
    })),
    subnets.map(({ subnet, pools, relay, "pd-pools": [pd] = [] }) => ({
      subnet,
      pool: pools[0]?.pool,
      delegate: pd ? `${pd.prefix}/${pd["prefix-len"]} ${pd["delegated-len"]}` : null,
      relayed: relay !== undefined,
      lifetimes: ["renew-timer", "rebind-timer", "preferred-lifetime", "valid-lifetime"].map((name) => kea[name]),
    })),
  );
  assert.deepEqual(
    first?.machines.map(({ name, macs, duid, address, prefix }) => [name, ...macs, duid, address, prefix && formatPrefix(prefix)]),
    subnets
      .flatMap(({ reservations = [] }) => reservations)
      .map(({ hostname, duid, prefixes, "hw-address": mac, "ip-addresses": addresses }) => [
        ...[hostname, mac].filter(Boolean),
        ...[duid ? String(duid).replaceAll(":", "") : null, addresses?.[0] ?? null, prefixes?.[0] ?? null],
      ]),
  );
});
