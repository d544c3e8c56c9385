import assert from "node:assert/strict";
import { test } from "node:test";
import { loopOf, programLoopOf } from "./boot-loop.ts";
import type { BootRecord } from "./records.ts";
import type { StageName } from "./stages.ts";
import type { BootEvent } from "./types.ts";

const NOW = 1_000_000;
const boot = (secondsAgo: number, come: StageName | null): BootRecord =>
  ({
    startedAt: NOW - secondsAgo * 1000,
    stages: come === null ? [] : [{ name: come }],
    entries: [],
    heardAt: NOW,
  }) as unknown as BootRecord;
const loop = (...boots: BootRecord[]): readonly [number, StageName] | null => {
  const found = loopOf(boots, NOW);
  return found && [found.boots.length, found.stage];
};

test("three boots within five minutes, none of which came further than the first, are a loop", () => {
  assert.deepEqual(loop(boot(290, "script"), boot(100, "program"), boot(10, "script")), [3, "script"]);
  assert.equal(loop(boot(290, "script"), boot(10, "script")), null, "two");
  assert.equal(loop(boot(310, "script"), boot(100, "script"), boot(10, "script")), null, "the first was earlier");
  assert.equal(loop(boot(90, "script"), boot(50, "script"), boot(10, "kernel")), null, "the last came further");
});

test("boots before one that came further are none of the loop, nor is one that came nowhere, or through", () => {
  assert.deepEqual(loop(boot(90, "script"), boot(70, "kernel"), boot(50, "kernel"), boot(10, "kernel")), [3, "kernel"]);
  assert.deepEqual(loop(boot(90, null), boot(70, "kernel"), boot(50, "kernel"), boot(10, "kernel")), [3, "kernel"]);
  assert.equal(loop(boot(90, "kernel"), boot(50, null), boot(10, "kernel")), null);
  assert.equal(loop(boot(90, "done"), boot(50, "script"), boot(10, "script")), null);
});

const IPXE_EFI = "/ipxe/x86_64/ipxe.efi";
const asked = (clientKind = "ipxe"): Partial<BootEvent> => ({ type: "dhcpv6.answered", clientKind }) as Partial<BootEvent>;
const got = (path: string, more: object = {}): Partial<BootEvent> =>
  ({ type: "http.finished", method: "GET", status: 200, path, ...more }) as Partial<BootEvent>;
const rendered = (stopped?: string): Partial<BootEvent> =>
  ({ type: "machine.rendered", ...(stopped === undefined ? {} : { stopped }) }) as Partial<BootEvent>;
const ITSELF = [got(IPXE_EFI), asked()];

/** Of these events, ten seconds apart, the last of them now. */
function programLoop(events: readonly Partial<BootEvent>[], since = 0): string | null {
  const entries = events.map((event, i) => ({ event: { ...event, at: NOW - (events.length - 1 - i) * 10_000 } as BootEvent, count: 1 }));
  return programLoopOf({ entries } as unknown as BootRecord, since, NOW)?.path ?? null;
}

test("iPXE that was given the same program three times and asked DHCPv6 each time is given itself", () => {
  assert.equal(programLoop([...ITSELF, ...ITSELF, ...ITSELF]), IPXE_EFI);
  assert.equal(programLoop([...ITSELF, ...ITSELF]), null, "twice");
  assert.equal(
    programLoop([got(IPXE_EFI), asked("firmware-http"), got(IPXE_EFI), asked("firmware-http"), got(IPXE_EFI)]),
    null,
    "firmware",
  );
  assert.equal(programLoop([...ITSELF, got(IPXE_EFI), got(IPXE_EFI), got(IPXE_EFI)]), null, "it asked once");
  assert.equal(programLoop([...ITSELF, ...ITSELF, got("/another.efi"), asked()]), null, "another program the third time");
  for (const event of [
    got(IPXE_EFI, { method: "HEAD" }),
    got(IPXE_EFI, { status: 404 }),
    { ...got(IPXE_EFI), type: "tftp.finished", status: "aborted" },
  ])
    assert.equal(programLoop([...ITSELF, ...ITSELF, event as Partial<BootEvent>]), null, "not fetched");
  const byTftp = { ...got(IPXE_EFI), type: "tftp.finished", status: "sent" } as Partial<BootEvent>;
  assert.equal(programLoop([...ITSELF, ...ITSELF, byTftp]), IPXE_EFI);
});

test("a script in between ends it, but for one that leads to it, that was refused, or that stops it", () => {
  const between = (...events: Partial<BootEvent>[]): string | null => programLoop([...ITSELF, ...ITSELF, ...events, got(IPXE_EFI)]);
  assert.equal(between(rendered(), got("/boot.ipxe")), null);
  assert.equal(between(got("/ipxe/x86_64/autoexec.ipxe")), IPXE_EFI);
  assert.equal(between(got("/boot.ipxe", { status: 404 })), IPXE_EFI);
  assert.equal(between(got("/logo.png")), IPXE_EFI);
  assert.equal(between(rendered("it was given itself"), got("/boot.ipxe")), IPXE_EFI);
});

test("what was before an operator let it go on, or more than five minutes ago, does not count", () => {
  const three = [...ITSELF, ...ITSELF, ...ITSELF];
  assert.equal(programLoop(three, NOW - 45_000), null);
  assert.equal(programLoop([...ITSELF, ...Array(29).fill(rendered()), ...ITSELF, ...ITSELF]), null);
  assert.equal(programLoop([...ITSELF, ...Array(20).fill(rendered()), ...ITSELF, ...ITSELF]), IPXE_EFI);
});
