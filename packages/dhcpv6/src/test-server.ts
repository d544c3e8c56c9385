/** A server's state for tests: one on-link network and one behind a relay, a clock that stands until it is moved. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtInRules } from "@netboot6/boot";
import { type HostInterface, loadAppliance, resolveNetworks } from "@netboot6/config";
import { Leases } from "@netboot6/leases";
import { Machines } from "@netboot6/machines";
import type { ServerState } from "./server.ts";

const address = (text: string) => ({ address: text, length: 64, tentative: false, duplicate: false, deprecated: false, permanent: true });
const HOST: HostInterface = {
  name: "prov0",
  index: 2,
  mac: "02:1a:b0:00:00:01",
  mtu: 1500,
  up: true,
  ipv6: true,
  addresses: [address("fe80::1a:b0ff:fe00:1"), address("2001:db8:0:1::1")],
};

export interface TestServer {
  state: ServerState;
  /** Unix milliseconds. */
  now: number;
}

export const TEST_CONFIGURATION = `
domain: rack.example
networks:
  - interface: prov0
  - name: rack-2
    relayed: true
    prefix: 2001:db8:0:2::/64
    relays: ["2001:db8:0:1::fe"]
`;

/** The DUID that the samples' clients send back to their server. */
export const SERVER_DUID = Buffer.from("00030001021ab0000001", "hex");

export async function testServer(configuration = TEST_CONFIGURATION): Promise<TestServer> {
  const dir = mkdtempSync(join(tmpdir(), "netboot6-dhcpv6-"));
  const file = join(dir, "appliance.yaml");
  writeFileSync(file, configuration);
  const loaded = await loadAppliance(file);
  rmSync(dir, { recursive: true });
  if (!("appliance" in loaded)) throw new Error(JSON.stringify(loaded.problems));
  const { appliance } = loaded;
  const { networks, waiting } = resolveNetworks(appliance, [HOST]);
  if (waiting.length > 0) throw new Error(waiting.join("; "));
  const machines = new Machines(appliance.machines);
  const leases = new Leases();
  leases.reserve(machines.reservations());
  return {
    state: {
      appliance,
      networks,
      rules: appliance.boot.rules ?? builtInRules(() => true),
      machines,
      leases,
      serverDuid: SERVER_DUID,
      programLoop: () => null,
    },
    now: Date.UTC(2026, 10, 23, 12),
  };
}
