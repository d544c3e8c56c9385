/** kea, radvd, unbound and nginx on one core: what an operator would set up for racks that boot over IPv6 alone. */
import type { ProvisioningVlan } from "@netboot6/lab";
import { kea, nginx, radvd, unbound } from "./peers.ts";
import type { RunningServer, Server } from "./servers.ts";

/** `program`, `script`: paths under `root`. */
export interface BootTree {
  readonly root: string;
  readonly program: string;
  readonly script: string;
}

export const daemons = (vlan: ProvisioningVlan, tree: BootTree): Server => ({
  name: "daemons",
  async start() {
    const running: RunningServer[] = [];
    running.push(
      await kea(vlan, `${vlan.prefix}1:0 - ${vlan.prefix}1:ffff`, classes(vlan, tree)).start(),
      await radvd(vlan).start(),
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

/** What firmware and iPXE are told to boot. */
function classes(vlan: ProvisioningVlan, { program, script }: BootTree): object[] {
  const url = (path: string): object => ({ name: "bootfile-url", data: `http://[${vlan.address}]/${path}` });
  return [
    { name: "ipxe", test: "substring(option[15].hex,2,4) == 'iPXE'", "option-data": [url(script)] },
    {
      name: "httpboot",
      test: "option[61].hex == 0x0010 and not member('ipxe')",
      "option-data": [url(program), { code: 16, "csv-format": false, "always-send": true, data: "00000157000a48545450436c69656e74" }],
    },
  ];
}
