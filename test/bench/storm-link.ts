/** The link on which storms of machines are staged, and who switches them on. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { type Namespace, type ProvisioningVlan, SERVER_INTERFACE } from "@netboot6/lab";
import { ON_LOADS_CORE } from "./servers.ts";

export interface Stage {
  readonly first: number;
  readonly median: number;
  readonly last: number;
}

export interface Storm {
  readonly machines: number;
  readonly failed: number;
  readonly resent: number;
  /** share of the load's core */
  readonly cpu: number;
  /** microseconds from a message to its answer */
  readonly dhcpv6: { readonly p50: number; readonly p99: number; readonly most: number };
  /** Seconds from the start to when a machine had it. */
  readonly stages: Readonly<Record<string, Stage>>;
}

/** The machines' addresses, as 02:5b:00:00:xx:xx forms them, are behind one: the host's neighbour table is not what is measured. */
const GATEWAY = "2001:db8:0:1::100";
const MACHINES = "2001:db8:0:1:5b:ff:fe00:0/112";

export class StormLink {
  /** It answers DNS too. */
  readonly gateway = GATEWAY;
  readonly #rack: Namespace;
  readonly #program: readonly string[];

  private constructor(rack: Namespace, program: readonly string[]) {
    this.#rack = rack;
    this.#program = program;
  }

  /** `most`: machines that are ever switched on. */
  static async open(vlan: ProvisioningVlan, most: number): Promise<StormLink> {
    const client = vlan.client("rack");
    client.namespace.sysctl({ "ipv6/conf/eth0/accept_ra": 0 });
    client.up();
    client.namespace.ip(`addr add ${GATEWAY}/64 dev eth0`);
    await new Promise((resolve) => setTimeout(resolve, 500));
    client.namespace.ip(`route add local ${MACHINES} dev lo`);
    vlan.server.ip(`route add ${MACHINES} via ${GATEWAY}`);
    const neighbours = Array.from({ length: most }, (_, n) => {
      const [high, low] = [n >> 8, n & 255].map((byte) => byte.toString(16).padStart(2, "0"));
      return `neigh add fe80::5b:ff:fe00:${high}${low} lladdr 02:5b:00:00:${high}:${low} dev ${SERVER_INTERFACE} nud permanent`;
    });
    vlan.server.ip(neighbours.join("\n"));
    const program = join(vlan.dir, "storm-load");
    execFileSync("gcc", ["-O2", "-o", program, join(import.meta.dirname, "storm-load.c")]);
    return new StormLink(client.namespace, [...ON_LOADS_CORE, program, "eth0", vlan.address, vlan.prefix]);
  }

  /** Machines from `first` on, through the whole chain, within `limit` seconds. Throws with what the load says is wrong. */
  async boot(first: number, count: number, limit: number): Promise<Storm> {
    const { stdout, stderr } = await this.#rack.exec([...this.#program, ...[first, count, limit].map(String)], { timeout: limit + 30 });
    if (stdout === "") throw new Error(`storm-load: ${stderr}`);
    if (stderr !== "") console.log(stderr.trim());
    return JSON.parse(stdout) as Storm;
  }
}
