/** A real Chromium in a namespace, and a page in it that tells what must not happen. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { ProvisioningVlan } from "@netboot6/lab";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

export const CONSOLE = "http://[::1]:8067";

/** Chromium in the server's namespace; it ends with the test. */
export async function startBrowser(t: TestContext, vlan: ProvisioningVlan): Promise<Browser> {
  const browser = await launchBrowser(vlan);
  t.after(() => browser.close());
  return browser;
}

/** Chromium in the server's namespace; `before`: put before its command. */
export function launchBrowser(vlan: ProvisioningVlan, before: readonly string[] = []): Promise<Browser> {
  const program = join(vlan.dir, "chromium");
  writeFileSync(program, `#!/bin/sh\nexec ip netns exec ${vlan.server.name} ${before.join(" ")} setpriv --pdeathsig KILL chromium "$@"\n`);
  chmodSync(program, 0o755);
  return chromium.launch({ executablePath: program, args: ["--disable-gpu"], timeout: 60_000 });
}

export interface Watched {
  readonly page: Page;
  /** Errors on its console, policy violations, requests to anywhere else. */
  readonly wrongs: string[];
}

/** A page at the console; `wrongs` stays empty where all is well. */
export async function openConsole(browser: Browser, options: BrowserContextOptions = {}, path = "/", at = CONSOLE): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const wrongs: string[] = [];
  page.on("pageerror", (error) => wrongs.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning")
      wrongs.push(`${message.type()}: ${message.text()} ${message.location().url}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(`${at}/`)) wrongs.push(`request to ${request.url()}`);
  });
  await page.goto(`${at}${path}`);
  return { page, wrongs };
}
