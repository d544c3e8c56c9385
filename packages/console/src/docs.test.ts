/** What an operator looks up is there: each metric, in the page and in the dashboard, and each route. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { testConsole } from "./test-console.ts";

const read = (file: string): string => readFileSync(new URL(`../../../docs/${file}`, import.meta.url), "utf8");
const ask = async (url: string): Promise<string> => {
  const { app } = await testConsole();
  return (await app.inject({ url, headers: { host: "[::1]:8067" } })).body;
};
/** The first column of a page's tables. */
const listed = (page: string): string[] => [...page.matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name as string);

test("docs/metrics.md has every metric, and the dashboard names none that is not there", async () => {
  const metrics = [...(await ask("/metrics")).matchAll(/^# HELP (\S+)/gm)].map(([, name]) => name as string);
  assert.deepEqual(listed(read("metrics.md")).toSorted(), metrics.filter((name) => name.startsWith("netboot6_")).toSorted());
  const { panels } = JSON.parse(read("grafana-dashboard.json")) as { panels: { targets: { expr: string }[] }[] };
  const named = panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => expr.match(/\b(netboot6|nodejs|process)_\w+/g) ?? []));
  assert.ok(named.length > 15);
  for (const name of named) assert.ok(metrics.includes(name.replace(/_bucket$/, "")), name);
});

test("docs/api.md has every route", async () => {
  const { paths } = JSON.parse(await ask("/api/v1/openapi.json")) as { paths: Record<string, object> };
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(listed(read("api.md")).toSorted(), [...routes, "GET /healthz", "GET /readyz", "GET /metrics"].toSorted());
});
