/** Which profile a machine boots, and who says so. */
import type { Appliance, NetworkConfig, Profile } from "@netboot6/config";
import type { Machines } from "@netboot6/machines";

export interface ChosenProfile {
  readonly name: string;
  readonly profile: Profile;
  readonly why: string;
}

const WAIT: Profile = { kind: "wait", poll: 30, bootProgram: "ipxe" };

/** `machine`: its id; null for an asker nobody knows. */
export function profileOf(
  { profiles, defaultProfile }: Pick<Appliance, "profiles" | "defaultProfile">,
  machines: Pick<Machines, "byId" | "config">,
  machine: string | null,
  network: Pick<NetworkConfig, "name" | "defaultProfile"> | null,
): ChosenProfile {
  const choices: [name: string | null | undefined, why: string][] = [
    [machine === null ? null : machines.byId(machine)?.profile, "an operator chose the profile"],
    [machine === null ? null : machines.config(machine)?.profile, "its entry under machines names the profile"],
    [network?.defaultProfile, `the default profile of network ${network?.name}`],
    [defaultProfile, "the default profile"],
  ];
  for (const [name, why] of choices) {
    const profile = name === null || name === undefined ? undefined : profiles[name];
    if (profile && name) return { name, profile, why };
  }
  return { name: "wait", profile: profiles.wait ?? WAIT, why: "no profile is set for it" };
}
