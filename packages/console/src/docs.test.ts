/** What an operator looks up is there: each metric, in the page and in the dashboard, and each route. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { boot, testConsole } from "./test-console.ts";

const read = (file: string): string => readFileSync(new URL(`../../../docs/${file}`, import.meta.url), "utf8");
const ask = async (url: string): Promise<string> => {
  const { app } = await testConsole();
  return (await app.inject({ url, headers: { host: "[::1]:8067" } })).body;
};
/** The first column of a page's tables. */
const listed = (page: string): string[] => [...page.matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name as string);

test("docs/metrics.md has every metric", async () => {
  const metrics = [...(await ask("/metrics")).matchAll(/^# HELP (\S+)/gm)].map(([, name]) => name as string);
  assert.deepEqual(listed(read("metrics.md")).toSorted(), metrics.filter((name) => name.startsWith("netboot6_")).toSorted());
});

interface Target {
  readonly expr: string;
  readonly legendFormat?: string;
}

/** Labels by metric, of a console that something of each kind happened to. */
async function labelsOf(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const { app, bus } = await testConsole();
  boot(bus);
  bus.emit({ type: "dhcpv6.dropped", message: "Solicit", why: "no", network: "prov" });
  bus.emit({ type: "wire.dropped", service: "dns", why: "too many", count: 3 });
  bus.emit({ type: "dns.counted", rcode: "NOERROR", from: "cache", count: 4 });
  bus.emit({ type: "service.ready", service: "http", listens: [] });
  const stranger = { client: "fe80::9", machine: "m-525400000009" };
  bus.emit({ type: "dhcpv6.dropped", message: "Solicit", why: "the relay's link-address belongs to no network", ...stranger });
  const text = (await app.inject({ url: "/metrics", headers: { host: "[::1]:8067" } })).body;
  const labels = new Map<string, Set<string>>();
  for (const [, name = "", inside = ""] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const known = labels.get(name) ?? new Set(["instance", "job"]); // Prometheus adds these
    for (const [, label = ""] of inside.matchAll(/(\w+)="/g)) known.add(label);
    labels.set(name, known);
  }
  return labels;
}

test("each query of the dashboard names a metric and labels that /metrics has; each legend a label that the query leaves", async () => {
  const labels = await labelsOf();
  const { panels, templating } = JSON.parse(read("grafana-dashboard.json")) as {
    panels: { targets: Target[] }[];
    templating: { list: { query: { query?: string } }[] };
  };
  const targets = panels.flatMap((panel) => panel.targets);
  assert.ok(targets.length > 15);
  for (const { expr, legendFormat = "" } of targets) {
    const [, name = "", matchers = ""] = /\b((?:netboot6|nodejs|process)_\w+)\{(.*?)\}/.exec(expr) ?? [];
    const has = labels.get(name);
    assert.ok(has, `${expr}: there is no ${name}`);
    const by = / by \((.*?)\)/.exec(expr)?.[1]?.split(/, */);
    const named = [...[...matchers.matchAll(/(\w+)(?:=~|!~|=|!=)"/g)].map(([, label]) => label as string), ...(by ?? [])];
    for (const label of named) assert.ok(has.has(label), `${expr}: ${name} has no label ${label}, only ${[...has]}`);
    const left = by ?? (/^sum|^count/.test(expr) ? [] : [...has]);
    for (const [, label = ""] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) assert.ok(left.includes(label), `${legendFormat}: ${expr}`);
  }
  const [, variable = "", label = ""] = /label_values\((\w+), (\w+)\)/.exec(templating.list[1]?.query.query ?? "") ?? [];
  assert.ok(labels.get(variable)?.has(label), variable);
});

test("docs/api.md has every route", async () => {
  const { paths } = JSON.parse(await ask("/api/v1/openapi.json")) as { paths: Record<string, object> };
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(listed(read("api.md")).toSorted(), routes.toSorted());
});
