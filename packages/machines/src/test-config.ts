/** An entry under `machines` for tests: what `more` does not say, it has not. */
import type { MachineConfig } from "@netboot6/config";

export const machineConfig = (more: Partial<MachineConfig>): MachineConfig => ({
  name: "node-01",
  macs: [],
  duid: null,
  uuid: null,
  port: null,
  address: null,
  prefix: null,
  profile: null,
  vars: {},
  ...more,
});
