/** A machine that waits, as what is rendered for it is told: for tests. */
import type { BootState } from "./script.ts";

export const WAITING: BootState = {
  values: {
    http: "http://[::1]",
    https: null,
    tftp: null,
    site: "s",
    domain: "",
    machine: { name: "node-01", mac: "52:54:00:0b:00:01", uuid: "", address: "", vars: {} },
    network: { name: "n", prefix: "2001:db8::/64", address: "2001:db8::1" },
    done: null,
    withheld: null,
  },
  machine: "node-01",
  network: "n",
  profileName: "debian",
  profile: { kind: "wait", poll: 30, bootProgram: "ipxe" },
  installed: false,
  stopped: null,
  why: "its address is leased to it",
};
