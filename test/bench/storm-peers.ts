/** kea, radvd, unbound and nginx on one core: what an operator would set up for racks that boot over IPv6 alone. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ProvisioningVlan } from "@netboot6/lab";
import { nginx } from "./http-peers.ts";
import { freshDir, type RunningServer, type Server, start, unbound } from "./servers.ts";

/** `program`, `script`: paths under `root`. */
export interface BootTree {
  readonly root: string;
  readonly program: string;
  readonly script: string;
}

export const daemons = (vlan: ProvisioningVlan, tree: BootTree): Server => ({
  name: "daemons",
  async start() {
    const dir = freshDir(vlan, "daemons");
    const running: RunningServer[] = [];
    running.push(
      await kea(vlan, dir, tree),
      await radvd(vlan, dir),
      await unbound(vlan, `  local-data: "boot.lab. AAAA ${vlan.address}"\n`).start(),
      await nginx(vlan, tree.root).start(),
    );
    return {
      pids: running.flatMap(({ pids }) => pids),
      stop: async () => {
        for (const server of running.toReversed()) await server.stop();
      },
    };
  },
});

function kea(vlan: ProvisioningVlan, dir: string, { program, script }: BootTree): Promise<RunningServer> {
  const file = join(dir, "kea.json");
  const url = (path: string): object => ({ name: "bootfile-url", data: `http://[${vlan.address}]/${path}` });
  const Dhcp6 = {
    "server-id": { type: "LL", persist: false },
    "interfaces-config": { interfaces: ["prov0"] },
    "lease-database": { type: "memfile", persist: true, name: join(dir, "leases.csv"), "lfc-interval": 3600 },
    "preferred-lifetime": 3000,
    "valid-lifetime": 4000,
    "client-classes": [
      { name: "ipxe", test: "substring(option[15].hex,2,4) == 'iPXE'", "option-data": [url(script)] },
      {
        name: "httpboot",
        test: "option[61].hex == 0x0010 and not member('ipxe')",
        "option-data": [url(program), { code: 16, "csv-format": false, "always-send": true, data: "00000157000a48545450436c69656e74" }],
      },
    ],
    "option-data": [
      { name: "dns-servers", data: vlan.address },
      { name: "preference", data: "255" },
    ],
    subnet6: [{ id: 1, subnet: `${vlan.prefix}/64`, interface: "prov0", pools: [{ pool: `${vlan.prefix}1:0 - ${vlan.prefix}1:ffff` }] }],
    loggers: [{ name: "kea-dhcp6", severity: "WARN", output_options: [{ output: "stderr" }] }],
  };
  writeFileSync(file, JSON.stringify({ Dhcp6 }));
  const env = { ...process.env, KEA_PIDFILE_DIR: dir, KEA_LOCKFILE_DIR: "none" };
  return start(vlan.server, ["kea-dhcp6", "-c", file], null, join(dir, "kea.log"), env);
}

function radvd(vlan: ProvisioningVlan, dir: string): Promise<RunningServer> {
  const file = join(dir, "radvd.conf");
  writeFileSync(
    file,
    `interface prov0 {
  AdvSendAdvert on;
  AdvOtherConfigFlag on;
  MinRtrAdvInterval 5;
  MaxRtrAdvInterval 60;
  prefix ${vlan.prefix}/64 { };
  RDNSS ${vlan.address} { };
};
`,
  );
  return start(vlan.server, ["radvd", "-n", "-m", "stderr", "-C", file, "-p", join(dir, "radvd.pid")], null, join(dir, "radvd.log"));
}
