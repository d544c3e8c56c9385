/** The console's page in a real Chromium, with simulated machines that boot. UPDATE_SCREENSHOTS=1 makes those of docs/console.md anew. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type ProvisioningVlan, SimulatedRack } from "@netboot6/lab";
import type { Page } from "playwright-core";
import { CONSOLE, openConsole, startBrowser } from "./browser.ts";
import { bootAssets, makeVlan, startAppliance } from "./setup.ts";

/** Run in the page. */
const POOR_CONTRAST = readFileSync(new URL("./poor-contrast.js", import.meta.url), "utf8");
const TOKEN = "correct horse battery staple";
const SCREENSHOTS = join(import.meta.dirname, "../docs/screenshots");
const machine = (n: number) => ({
  name: `node-${String(n).padStart(2, "0")}`,
  mac: `52:54:00:0d:00:${n.toString(16).padStart(2, "0")}`,
  uuid: `11223344-5566-7788-99aa-bbccddee0d${n.toString(16).padStart(2, "0")}`,
});
const MACHINES = Array.from({ length: 24 }, (_, i) => machine(i + 1));
const BOOT_MS = 60_000;
/** Its profile names a kernel that is not there. */
const FAULTY = machine(7);

async function shot(page: Page, name: string): Promise<void> {
  if (process.env.UPDATE_SCREENSHOTS !== "1") return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

async function configure(vlan: ProvisioningVlan, token: string | null, listen = "[::1]:8067"): Promise<string> {
  const root = join(vlan.dir, "boot-assets");
  const programs = await bootAssets();
  for (const dir of ["ipxe/x86_64", "debian-12", "preseed"]) mkdirSync(join(root, dir), { recursive: true });
  copyFileSync(join(programs, "ipxe/x86_64/ipxe.efi"), join(root, "ipxe/x86_64/ipxe.efi"));
  writeFileSync(join(root, "debian-12/linux"), Buffer.alloc(8_000_000, 1));
  writeFileSync(join(root, "debian-12/initrd.gz"), Buffer.alloc(40_000_000, 2));
  writeFileSync(join(root, "preseed/rack.cfg"), "d-i preseed/late_command string wget -O- {{ done }}\n");
  return `site: rack-lab
networks: [{ name: provisioning, interface: prov0 }]
dns: { upstreams: ["2001:db8:0:1::53"] }
http: { listing: true }
${token === null ? "" : `console: { listen: "${listen}", token: "${token}" }`}
profiles:
  debian-12: { kernel: debian-12/linux, initrd: [debian-12/initrd.gz], cmdline: "auto=true preseed/url={{ http }}/preseed/rack.cfg" }
  debian-13: { kernel: debian-13/linux, initrd: [debian-13/initrd.gz] }
defaultProfile: debian-12
machines:
${MACHINES.map(({ name, mac }) => `  - { name: ${name}, mac: "${mac}"${name === FAULTY.name ? ", profile: debian-13" : ""} }`).join("\n")}
`;
}

/** No element reaches beyond the width of the page. */
async function fitsItsWidth(page: Page): Promise<void> {
  const [has, may] = await page.evaluate<number[]>("[document.documentElement.scrollWidth, document.documentElement.clientWidth]");
  assert.ok(has !== undefined && may !== undefined && has <= may, `${page.url()}: ${has} px wide on ${may} px`);
}

/** The seconds of those boots whose chart is wider than the page, of boots that take 0.2 s to 10 days. */
const TOO_WIDE_CHARTS = `Promise.all([import("/page/chart.js"), import("/page/htm-preact.js")]).then(([{ Chart }, { h, render }]) => {
  const box = document.querySelector("main").appendChild(document.createElement("div"));
  const tooWide = [];
  for (let span = 200; span < 864e6; span *= 1.03) {
    const stage = { name: "script", startedAt: 0, endedAt: span, detail: "", sent: 0, size: 0, attempts: 1, failed: null };
    render(h(Chart, { boot: { startedAt: 0, stages: [stage], beside: [], entries: [] }, running: false }), box);
    if (document.documentElement.scrollWidth > document.documentElement.clientWidth) tooWide.push(span / 1000);
  }
  box.remove();
  return tooWide;
})`;

/** Playwright's waitForFunction evaluates text in the page, and the policy forbids that. */
async function counts(page: Page, selector: string, fits: (count: number) => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!fits(await page.locator(selector).count())) {
    assert.ok(Date.now() < deadline, `${await page.locator(selector).count()} ${selector}`);
    await page.waitForTimeout(20);
  }
}

interface Known {
  readonly id: string;
  readonly macs: readonly string[];
  readonly uuid: string;
  readonly address: string | null;
  readonly addresses: readonly string[];
  readonly duids: readonly string[];
  readonly boots: { readonly profile: string };
  readonly network: string;
}

const goTo = (page: Page, section: string): Promise<void> => page.evaluate(`location.assign("#/${section}")`);
const text = async (page: Page, selector: string): Promise<string> => (await page.locator(selector).first().textContent()) ?? "";
const bootAll = (vlan: ProvisioningVlan): SimulatedRack => new SimulatedRack(vlan, { machines: MACHINES, pace: 0.1, spread: 3 });

test("the console: a rack boots, one machine stands still, an operator acts", { timeout: 180_000 }, async (t: TestContext) => {
  const vlan = makeVlan(t);
  const appliance = await startAppliance(t, vlan, { configuration: await configure(vlan, TOKEN) });
  let again = appliance;
  const browser = await startBrowser(t, vlan);
  const { page, wrongs } = await openConsole(browser, { colorScheme: "light" });
  const tile = (name: string) => page.locator(".tile", { hasText: name });

  await t.test("before the first machine the stream is live, and the page says what to do", async () => {
    await page.locator(".stream.live").waitFor();
    await page.locator(".empty", { hasText: "Power one on" }).waitFor();
    assert.match(await text(page, ".empty"), /provisioning \(2001:db8:0:1::\/64\)/);
  });

  await t.test(
    "tiles go through the stages to done while the rack boots, and the machine at fault stands first, with its verdict",
    async () => {
      const seen = new Set<string>();
      const rack = bootAll(vlan);
      const deadline = Date.now() + BOOT_MS;
      while ((await page.locator(".tile.done").count()) < MACHINES.length - 1) {
        assert.ok(Date.now() < deadline, `${await text(page, "main")} ${rack.errors} ${rack.failures}`);
        const now = new Set(await page.locator(".tile .badge").allInnerTexts());
        if (now.size > 3 && seen.size < 8) await shot(page, "wall-booting");
        for (const letter of now) seen.add(letter);
        await page.waitForTimeout(50);
      }
      assert.ok(seen.size > 3, `letters seen: ${[...seen]}`);
      const still = page.locator(".verdicts li");
      await still.first().waitFor();
      assert.match(await text(page, ".verdicts li"), /node-07[\s\S]*\/debian-13\/linux[\s\S]*no such file under boot-assets/);
      assert.equal(await still.count(), 1);
      await counts(page, ".tile.done", (n) => n === MACHINES.length - 1);
      const machines = await appliance.get<{ verdict: unknown }[]>("/machines");
      assert.equal(await page.locator(".tile").count(), machines.length);
      assert.equal(machines.filter(({ verdict }) => verdict !== null).length, 1);
      const metrics = (await vlan.server.exec(["curl", "-sS", `${CONSOLE}/metrics`])).stdout;
      assert.match(metrics, /^netboot6_machines_stuck\{rule="kernel-missing"\} 1$/m);
      assert.match(metrics, new RegExp(`^netboot6_machines\\{stage="done"\\} ${MACHINES.length - 1}$`, "m"));
      assert.match((await tile(FAULTY.name).getAttribute("aria-label")) ?? "", /stands still/);
    },
  );

  await t.test("with the keyboard alone: / searches by MAC, Enter opens the machine, Tab and arrows reach the tiles", async () => {
    await page.keyboard.press("/");
    await page.keyboard.type("52-54-00-0d-00-07");
    await counts(page, ".tile", (n) => n === 1);
    await page.keyboard.press("Escape");
    await counts(page, ".tile", (n) => n > 1);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowRight");
    assert.match(await page.evaluate<string>("document.activeElement.textContent"), /node-02/);
    await page.keyboard.press("/");
    await page.keyboard.type(FAULTY.uuid);
    await counts(page, ".tile", (n) => n === 1);
    await page.keyboard.press("Enter");
    await page.locator(".verdict").waitFor();
    assert.match(page.url(), /#\/machines\/node-07$/);
  });

  await t.test("the search finds a machine by each thing it is known by, the address that it formed itself included", async () => {
    await goTo(page, "");
    await page.locator(".tile").nth(20).waitFor();
    const { id, macs, uuid, address, addresses, duids, boots, network } = await appliance.get<Known>("/machines/node-12");
    assert.deepEqual(addresses, [], "its lease is released");
    assert.ok(address && duids.length > 0, "it was heard");
    for (const words of [id, ...macs, uuid, address, address.toUpperCase(), ...duids]) {
      await page.locator("#search").fill(words);
      await counts(page, ".tile", (n) => n === 1);
      assert.match(await text(page, ".tile"), /node-12/, words);
    }
    await page.locator("#search").fill(`${network} ${boots.profile}`);
    await counts(page, ".tile", (n) => n === MACHINES.length - 1);
    await page.locator("#search").fill("debian-13");
    await counts(page, ".tile", (n) => n === 1);
    await page.locator("#search").fill("");
    await goTo(page, "machines/node-07");
    await page.locator(".verdict").waitFor();
  });

  await t.test("a machine's page: its verdict with the mend, its boot as bars, why each thing was decided", async () => {
    const verdict = await text(page, ".verdict");
    const { verdict: told } = await appliance.get<{ verdict: { text: string; mend: string } }>("/machines/node-07/timeline");
    // It asks on: how often may be told of a moment later.
    const plain = (words: string): string => words.replace(/ \d+ times/, "");
    assert.ok(plain(verdict).includes(plain(told.text)) && verdict.includes(told.mend.replaceAll("`", "")), verdict);
    assert.match(await text(page, ".row:has(.bar.failed)"), /kernel[\s\S]*failed/);
    assert.match(await text(page, ".chart .row[title^='asks for routers']"), /router/);
    assert.match(await text(page, ".entries"), /DHCPv6 Solicit \(firmware-http\)/);
    assert.ok((await page.locator(".why li").count()) > 3);
    assert.match(await text(page, "aside"), /Address2001:db8:0:1:5054:ff:fe0d:7MAC52:54:00:0d:00:07/);
    assert.doesNotMatch(verdict, /`/);
    await page.evaluate("scrollTo(0, 0)");
    await shot(page, "machine-verdict");
  });

  await t.test("an action asks first, then for the token once, keeps it in the tab alone, and is done", async () => {
    await page.locator("#profile").selectOption("debian-12");
    await page.locator("dialog[open]").waitFor();
    await shot(page, "confirm");
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    assert.equal((await appliance.get<{ profile: string | null }>("/machines/node-07")).profile, null);
    await page.locator("#profile").selectOption("debian-12");
    await page.getByRole("button", { name: "Choose debian-12" }).click();
    await page.locator("#token").fill(TOKEN);
    await page.keyboard.press("Enter");
    await page.locator("#token").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Choose debian-12" }).click();
    await page.locator("dialog").waitFor({ state: "detached" });
    assert.equal((await appliance.get<{ profile: string | null }>("/machines/node-07")).profile, "debian-12");
    assert.equal(await page.locator("#profile").inputValue(), "debian-12");
    assert.deepEqual(await page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]"), [0, 1, ""]);
    const stage = async (): Promise<string> => (await appliance.get<{ boot: { stage: string } }>("/machines/node-03")).boot.stage;
    assert.equal(await stage(), "installed");
    await goTo(page, "machines/node-03");
    await page.locator(".note", { hasText: "Installed" }).waitFor();
    await page.getByRole("button", { name: "Boot again…" }).click();
    await page.locator("dialog[open]", { hasText: "Let node-03 boot again?" }).getByRole("button", { name: "Boot again" }).click();
    await page.locator("dialog").waitFor({ state: "detached" });
    await page.locator(".note", { hasText: "Installed" }).waitFor({ state: "detached" });
    assert.equal(await stage(), "new");
    // A stranger that is switched off once it has its address: its lease stays.
    const stranger = new SimulatedRack(vlan, {
      machines: [machine(25)],
      pace: 1,
      onStep: ({ step }) => step === "leased" && void stranger.stop(),
    });
    await stranger.exit;
    await goTo(page, "machines/m-5254000d0019");
    await page.getByRole("button", { name: "Release 2001" }).first().click();
    await page.getByRole("button", { name: "Release it" }).click();
    await page.locator(".lease", { hasText: "released" }).waitFor();
    await page.getByRole("button", { name: "Forget…" }).click();
    await page.getByRole("button", { name: "Forget it" }).click();
    await page.locator(".counts").waitFor();
    await tile("m-5254000d0019").waitFor({ state: "detached" });
  });

  await t.test("leases, networks, assets and the configuration as the appliance understands it", async () => {
    await page.locator("nav a", { hasText: "Leases" }).click();
    await page.locator("tbody tr").first().waitFor();
    await page.locator("#search").fill("node-12");
    await counts(page, "tbody tr", (n) => n === 1);
    assert.match(await text(page, "tbody tr"), /released\d{2}:\d{2}:\d{2}$/, "until when tells nothing any more");
    await page.locator("nav a", { hasText: "Networks" }).click();
    await page.locator("main", { hasText: "prov0" }).waitFor(); // until then the page before is there
    assert.match(await text(page, "main"), /provisioning[\s\S]*prov0[\s\S]*2001:db8:0:1::1/);
    await page.locator("nav a", { hasText: "Assets" }).click();
    await page.locator(".verdict", { hasText: "debian-13/linux" }).first().waitFor();
    await page.locator("nav a", { hasText: "Config" }).click();
    const configuration = await text(page, "pre");
    assert.match(configuration, /site: rack-lab/);
    assert.ok(!configuration.includes(TOKEN));
  });

  await t.test("the folders of boot files can be walked through with a browser, and templates are not shown as they are", async () => {
    const files = await browser.newPage();
    await files.goto(`http://[${vlan.address}]/`);
    await files.getByRole("link", { name: "debian-12/" }).click();
    assert.match((await files.locator("tr", { hasText: "linux" }).textContent()) ?? "", /^linux8,000,000\d{4}-/);
    await files.getByRole("link", { name: "../" }).click();
    await files.getByRole("link", { name: "preseed/" }).click();
    const answer = files.waitForResponse((response) => response.url().endsWith("rack.cfg"));
    await files.getByRole("link", { name: "rack.cfg" }).click();
    assert.doesNotMatch(await (await answer).text(), /\{\{/);
    await files.close();
  });

  await t.test("DNS: what became of the questions, which upstream does not answer, who was left without an answer", async () => {
    const client = vlan.client("asker");
    client.up();
    const dig = (name: string, type: string): Promise<unknown> =>
      client.namespace.exec(["dig", "+tries=1", "+timeout=8", `@${vlan.address}`, type, name], { timeout: 20 });
    await page.locator("nav a", { hasText: "DNS" }).click();
    await page.locator("tr", { hasText: "2001:db8:0:1::53no fault seen" }).waitFor();
    await page.waitForTimeout(2000);
    for (let i = 0; i < 20; i++) await dig("localhost", "AAAA");
    await dig("deb.example", "AAAA");
    await page.locator("nav a", { hasText: "DNS" }).click();
    await page.locator("tr.bad", { hasText: "2001:db8:0:1::53" }).waitFor();
    await page.locator(".rates canvas").waitFor();
    // The page asks every five seconds: it may have done so between the upstream's silence and what dig was told.
    await page.locator("tr", { hasText: "SERVFAIL: no upstream answered" }).waitFor();
    assert.match(
      await text(page, "main"),
      /Answers a second[\s\S]*does not answer[\s\S]*Not answered[\s\S]*SERVFAIL: no upstream answered/,
    );
    assert.match(await text(page, "dl"), /Failed1$/);
    await shot(page, "dns");
  });

  await t.test("what a machine would get is explained, from its own page and by its MAC", async () => {
    await goTo(page, "machines/node-07");
    await page.getByRole("link", { name: "What would it get" }).click();
    await page.locator("h2", { hasText: "Its Solicit is answered with Advertise" }).waitFor();
    assert.match(
      await text(page, "main"),
      /bootfile-url[\s\S]*ipxe\/x86_64\/ipxe\.efi[\s\S]*M=0 O=1[\s\S]*prefix2001:db8:0:1::\/64 L=1 A=1[\s\S]*#!ipxe\necho netboot6: node-07, profile debian-12/,
    );
    await page.locator("#who").fill("52:54:00:0d:00:zz");
    await page.keyboard.press("Enter");
    await page.locator(".error", { hasText: "52:54:00:0d:00:zz is not understood" }).waitFor();
    await page.locator("#who").fill("52:54:00:99:00:01");
    await page.locator("#asker").selectOption({ label: "an installed system" });
    await page.getByRole("button", { name: "Explain" }).click();
    await page.locator("h2", { hasText: "m-525400990001" }).waitFor();
  });

  await t.test("dark, and 360 px wide: nothing reaches over the edge, and all can be read", async () => {
    const phone = await openConsole(browser, { colorScheme: "dark", viewport: { width: 360, height: 740 } });
    await phone.page.locator(".tile").first().waitFor();
    for (const path of ["", "machines/node-01", "leases", "networks", "dns", "assets", "explain", "configuration"]) {
      await goTo(phone.page, path);
      await phone.page.locator("h1").first().waitFor({ state: "attached" });
      await phone.page.waitForTimeout(400);
      await fitsItsWidth(phone.page);
      if (path === "" || path.startsWith("machines")) await shot(phone.page, path === "" ? "phone-wall" : "phone-machine");
    }
    await goTo(phone.page, "leases");
    await phone.page.locator("h1", { hasText: "Leases" }).waitFor();
    assert.deepEqual(await phone.page.evaluate(TOO_WIDE_CHARTS), []);
    const dark = await openConsole(browser, { colorScheme: "dark" }, "/#/machines/node-01");
    await dark.page.locator(".bar.done").waitFor();
    await fitsItsWidth(dark.page);
    await shot(dark.page, "machine-dark");
    for (const scheme of ["light", "dark"] as const) {
      await dark.page.emulateMedia({ colorScheme: scheme });
      for (const path of ["", "machines/node-07", "dns"]) {
        await goTo(dark.page, path);
        await dark.page
          .locator(path === "" ? ".tile" : path === "dns" ? ".rates canvas" : ".chart")
          .first()
          .waitFor();
        assert.deepEqual(await dark.page.evaluate(POOR_CONTRAST), [], `${scheme} ${path}`);
      }
    }
    assert.deepEqual([...phone.wrongs, ...dark.wrongs], []);
  });

  await t.test("the wall of 2,000 machines is drawn, searched and follows a storm without holding up the browser", async () => {
    const { page: big } = await openConsole(browser, {}, "/healthz");
    const [like] = await appliance.get<object[]>("/machines");
    let asked = 0;
    const crowd = (): object[] => {
      asked++;
      const stage = (n: number): string => ["firmware", "program", "ipxe", "kernel", "initrd", "done"][(n + asked) % 6] as string;
      return Array.from({ length: 2000 }, (_, n) => ({ ...like, id: `node-${n + 1}`, stage: stage(n), verdict: null }));
    };
    await big.route("**/api/v1/machines", (route) => route.fulfill({ json: crowd() }));
    await big.addInitScript(
      "window.long = []; new PerformanceObserver((list) => long.push(...list.getEntries().map((each) => each.duration))).observe({ type: 'longtask' })",
    );
    const began = performance.now();
    await big.goto(`${CONSOLE}/`);
    await big.locator(".tile").nth(1999).waitFor();
    const drawn = performance.now() - began;
    await big.evaluate("long.length = 0");
    const before = asked;
    const letter = await text(big, ".tile .badge");
    const reloads = `(async () => { const { reload } = await import("/page/store.js"); for (let i = 0; i < 5; i++) { await reload(); await new Promise((r) => setTimeout(r, 400)); } })()`;
    await big.evaluate(reloads);
    assert.equal(asked - before, 5);
    assert.notEqual(await text(big, ".tile .badge"), letter);
    const longest = Math.max(0, ...(await big.evaluate<number[]>("long")));
    const searched = await big.evaluate<number>(`(async () => {
      const input = document.getElementById("search");
      const began = performance.now();
      input.value = "node-1999";
      input.dispatchEvent(new Event("input", { bubbles: true }));
      while (document.querySelectorAll(".tile").length !== 1) await new Promise((r) => setTimeout(r, 1));
      return performance.now() - began;
    })()`);
    t.diagnostic(
      `2,000 tiles: drawn in ${drawn.toFixed(0)} ms, all of them changed with ${longest > 0 ? `${longest.toFixed(0)} ms` : "less than 50 ms"} of script at a time, searched in ${searched.toFixed(0)} ms`,
    );
  });

  await t.test("where the appliance is gone the page says so, and it is live again by itself", async () => {
    // The browser itself tells of each answer that is no success: the token that was missing, the machine that was forgotten.
    assert.deepEqual(
      wrongs.filter((each) => !/ 401 .*\/profile$/.test(each) && !/ 404 .*\/m-5254000d0019/.test(each) && !/ 422 .*\/explain/.test(each)),
      [],
    );
    await appliance.stop();
    await page.locator(".stream.broken").waitFor();
    assert.match(await text(page, ".error"), /does not answer/);
    again = await startAppliance(t, vlan, { configuration: await configure(vlan, null), name: "again" });
    await page.locator(".stream.live").waitFor();
    await page.locator(".error").waitFor({ state: "detached" });
  });

  await t.test("without a token in the configuration the page says what to configure, and offers no action", async () => {
    await goTo(page, "machines/node-01");
    await page.locator("code", { hasText: "console: { token" }).waitFor();
    assert.ok(await page.getByRole("button", { name: "Boot again" }).isDisabled());
  });

  await t.test(
    "off loopback the page comes without the token, and asks for it before it shows anything; a wrong one is asked for again",
    async () => {
      const listen = `[${vlan.address}]:8067`;
      writeFileSync(again.file, await configure(vlan, TOKEN, listen));
      again.signal("SIGHUP");
      await again.waitFor((line) => line.event === "appliance.reloaded", 10);
      const { page: far } = await openConsole(browser, {}, "/", `http://${listen}`);
      const answered = far.waitForResponse((response) => response.request().headers().authorization === "Bearer wrong");
      await far.locator("#token").fill("wrong");
      await far.keyboard.press("Enter");
      assert.equal((await answered).status(), 401);
      await far.locator("dialog .error", { hasText: "not taken" }).waitFor();
      assert.equal(await far.locator(".tile").count(), 0);
      await far.locator("#token:focus").fill(TOKEN);
      await far.keyboard.press("Enter");
      await far.locator(".tile").first().waitFor();
      await far.locator(".stream.live").waitFor();
    },
  );
});
