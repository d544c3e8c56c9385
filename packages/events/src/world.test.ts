import assert from "node:assert/strict";
import { test } from "node:test";
import type { BootEvent } from "./types.ts";
import { World } from "./world.ts";

const network = "provisioning";

/** The world after these events, a second apart from the first second on. */
function worldOf(...events: object[]): World {
  const world = new World();
  events.forEach((event, i) => {
    world.read({ at: (i + 1) * 1000, ...event } as BootEvent);
  });
  return world;
}

test("an answers file that was asked for from no known machine's address is a stranger's", () => {
  const stranger = (event: object): string | undefined => worldOf({ network, client: "2001:db8::77", ...event }).stranger(network)?.path;
  for (const path of ["/a.seed", "/a.preseed", "/a.ks", "/a.ign", "/a.bu", "/d/preseed.cfg", "/d/ks.cfg", "/d/user-data", "/d/meta-data"])
    assert.equal(stranger({ type: "http.finished", status: 200, path }), path);
  for (const path of ["/linux", "/grub/grub.cfg"]) assert.equal(stranger({ type: "http.finished", status: 200, path }), undefined, path);
  assert.equal(stranger({ type: "http.finished", status: 404, path: "/a.ks" }), undefined, "it did not get it");
  assert.equal(stranger({ type: "http.finished", status: 200, path: "/a.ks", machine: "node-01" }), undefined);
  assert.equal(stranger({ type: "http.finished", status: 200, path: "/a.ks", client: undefined }), undefined);
  assert.equal(stranger({ type: "machine.rendered", path: "/answers" }), "/answers");
  assert.equal(stranger({ type: "machine.rendered", path: "/boot.ipxe" }), undefined);
});

const heard = (router: string, more: object = {}): object => ({
  type: "ra.heard",
  network,
  router,
  managed: true,
  other: true,
  lifetime: 1800,
  state: "advertises",
  ...more,
});
const sent = (why: string): object => ({ type: "ra.sent", network, why });

test("a network has a router while we advertise or another is heard; it has where nothing tells the network", () => {
  assert.equal(worldOf().hasRouter(network), false);
  assert.equal(worldOf().hasRouter(undefined), true);
  assert.equal(worldOf(sent("periodic")).hasRouter(network), true);
  assert.equal(worldOf(sent("periodic"), sent("final")).hasRouter(network), false);
  assert.equal(worldOf(heard("fe80::9")).hasRouter(network), true);
  assert.equal(worldOf(heard("fe80::9"), heard("fe80::9", { state: "silent" })).hasRouter(network), false);
});

test("64 routers of a network are kept; those that are known go on to be heard", () => {
  const many = Array.from({ length: 70 }, (_, i) => heard(`fe80::${i + 1}`));
  const world = worldOf(...many, heard("fe80::1", { managed: false }));
  assert.equal(world.routers(network).length, 64);
  assert.equal(world.routers(network)[0]?.managed, false);
});

test("an upstream is down until it is up, or asked no more", () => {
  const down = { type: "dns.upstream", upstream: "[2001:db8::53]:53", state: "down", why: "no answer" };
  assert.deepEqual([...worldOf(down).upstreamsDown], [["[2001:db8::53]:53", "no answer"]]);
  for (const state of ["up", "gone"]) assert.equal(worldOf(down, { ...down, state }).upstreamsDown.size, 0);
});

const showing = (machine: string | undefined, duid = "00", more: object = {}): object => ({
  type: "dhcpv6.answered",
  clientKind: "firmware-http",
  machine,
  duid,
  ...more,
});

test("of two machines whose firmware shows one DUID within ten minutes each is told the other", () => {
  const both = worldOf(showing("a"), showing("b"));
  assert.deepEqual([both.alsoShows("00", "a"), both.alsoShows("00", "b")], ["b", "a"]);
  assert.equal(worldOf(showing("a"), showing("b"), showing("b")).alsoShows("00", "b"), "a");
  assert.equal(worldOf(showing("a"), showing("b", "01")).alsoShows("01", "b"), null);
  assert.equal(worldOf(showing("a"), showing("b", "00", { clientKind: "system" })).alsoShows("00", "a"), null, "a cloned disk's");
  assert.equal(worldOf(showing("a"), showing(undefined)).alsoShows("00", "a"), null);
  assert.equal(worldOf(showing("a", "00", { at: 400_000 }), showing("b", "00", { at: 990_000 })).alsoShows("00", "b"), "a");
  assert.equal(worldOf(showing("a", "00", { at: 400_000 }), showing("b", "00", { at: 1_010_000 })).alsoShows("00", "b"), null);
});

test("10,000 DUIDs are kept, those shown last", () => {
  const others = Array.from({ length: 9_999 }, (_, i) => showing("x", `other-${i}`, { at: 2000 }));
  const first = [showing("a"), showing("b"), ...others];
  assert.equal(worldOf(...first).alsoShows("00", "a"), "b");
  assert.equal(worldOf(...first, showing("x", "one more")).alsoShows("00", "a"), null);
  assert.equal(
    worldOf(...first, showing("b", "00", { at: 3000 }), showing("x", "one more")).alsoShows("00", "a"),
    "b",
    "it was shown again",
  );
});

test("what a stage takes usually is the median of the last hundred machines, of three at least", () => {
  const usual = (...took: number[]): number | null => {
    const world = worldOf();
    for (const seconds of took) world.tookSeconds("kernel", seconds);
    return world.usualSeconds("kernel");
  };
  assert.equal(usual(1, 2), null);
  assert.equal(usual(30, 1, 2), 2);
  assert.equal(usual(...Array(60).fill(100), ...Array(60).fill(1)), 1);
  assert.equal(usual(...Array(40).fill(100), ...Array(39).fill(1)), 100);
});
