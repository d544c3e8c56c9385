/** Folders of boot files in a real Chromium, and what it downloads from them. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openConsole, startBrowser } from "./browser.ts";
import { makeVlan, startAppliance } from "./setup.ts";

const POOR_CONTRAST = readFileSync(new URL("./poor-contrast.js", import.meta.url), "utf8");
const LONG = `a-name-that-is-as-long-as-${"names-of-images-are-".repeat(6)}x.img`;

test("a browser shows the folders, on a phone and in the dark too, and downloads what is in them", { timeout: 60_000 }, async (t) => {
  const vlan = makeVlan(t);
  const root = join(vlan.dir, "boot-assets");
  mkdirSync(join(root, "os & more/100% <b>"), { recursive: true });
  writeFileSync(join(root, "os & more/100% <b>/ü?#.cfg"), "answers");
  writeFileSync(join(root, "os & more/linux"), Buffer.alloc(1_234_567, 7));
  writeFileSync(join(root, LONG), "");
  writeFileSync(join(root, ".hidden"), "");
  const appliance = await startAppliance(t, vlan, { configuration: "networks: [{ interface: prov0 }]\nhttp: { listing: true }\n" });
  const browser = await startBrowser(t, vlan);
  const at = `http://[${vlan.address}]`;
  const { page, wrongs } = await openConsole(browser, { colorScheme: "light", acceptDownloads: true }, "/", at);
  const names = (): Promise<string[]> => page.locator("td:first-child").allInnerTexts();

  assert.deepEqual(await names(), ["os & more/", LONG]);
  await page.getByRole("link", { name: "os & more/" }).click();
  assert.equal(await page.title(), "Boot files: /os & more/");
  assert.deepEqual(await names(), ["../", "100% <b>/", "linux"]);
  const [, size, changed] = await page.locator("tr", { hasText: "linux" }).locator("td").allInnerTexts();
  assert.equal(size, "1,234,567");
  assert.match(changed ?? "", /^\d{4}-\d\d-\d\d \d\d:\d\d$/);
  const downloading = page.waitForEvent("download");
  await page.getByRole("link", { name: "linux" }).click();
  assert.ok(readFileSync(await (await downloading).path()).equals(Buffer.alloc(1_234_567, 7)));

  await page.getByRole("link", { name: "100% <b>/" }).click();
  await page.getByRole("link", { name: "ü?#.cfg" }).click();
  await page.getByText("answers").waitFor();
  await page.goBack();
  await page.getByRole("link", { name: "../" }).click();
  await page.getByRole("link", { name: "../" }).click();
  assert.equal(page.url(), `${at}/`);

  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await page.evaluate(POOR_CONTRAST), [], colorScheme);
  }
  await page.setViewportSize({ width: 360, height: 640 });
  assert.equal(await page.evaluate("document.documentElement.scrollWidth"), 360);
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
  // Of the text file, which has no head to name one in.
  assert.deepEqual(
    wrongs.filter((wrong) => !wrong.endsWith("/favicon.ico")),
    [],
  );
  const warnings = appliance.lines.filter(({ level, event }) => level === "warn" && event === "http.finished");
  assert.deepEqual(warnings, []);
});
