/** What the main thread alone owns: machines, leases and boot state; and what it answers the workers from them. */
import { randomUUID } from "node:crypto";
import { type BootState, type ChosenProfile, isBootScript, profileOf, templateValues } from "@netboot6/boot";
import { type Address, isLinkLocal, type Mac, macOfEui64, prefixContains } from "@netboot6/codec";
import type { Appliance, Network, Profile } from "@netboot6/config";
import type { Asker, Emit, ProgramLoop, Question, StoredBoot } from "@netboot6/events";
import { isLive, isPrefix, type Lease, Leases } from "@netboot6/leases";
import { type Machine, Machines, NOBODY } from "@netboot6/machines";
import { type Change, openStore, readStored, type Store, type Stored } from "@netboot6/store";
import { type NameChange, type Names, namesOf, watchNames } from "./names.ts";
import { macOfNeighbour } from "./neighbours.ts";
import { isWhole } from "./stored.ts";
import { isPlain, tells, withLeased } from "./told-by-lease.ts";
import { count } from "./words.ts";

const machineChange = (machine: Machine): Change => ({ kind: "machine", key: machine.id, value: machine });
const forgottenChange = (id: string): Change => ({ kind: "machine", key: id, value: null });
const leaseChange = (lease: Lease): Change => ({ kind: "lease", key: lease.address, value: lease });
const UNTOLD_MS = 1000;
const NOWHERE = { setAside: null, copyAside: async () => "", commit: async () => {}, later: () => {}, close: async () => {} };

interface Found {
  readonly machine: Machine;
  readonly mac: Mac | null;
  readonly why: string;
  /** Only its own word says so. */
  readonly claimed: boolean;
  /** Only a lease that is over says so: the address may be another machine's by now. */
  readonly over?: true;
}

/** Only the machine itself is given its secrets, and only while it installs. */
function secretsFor({ id, boot }: Machine, { kind }: Profile, claimed: boolean): "given" | { why: string } {
  if (kind === "disk") return { why: `the profile of ${id} boots its disk` };
  if (kind === "wait") return { why: `the profile of ${id} waits` };
  if (claimed) return { why: `only ?mac= or ?uuid= says that it is ${id} who asks` };
  return boot.stage === "installing" ? "given" : { why: `${id} is not installing` };
}

/** Puts aside what of the store is damaged; where it is then, in words. */
async function putAside(store: Store): Promise<string | null> {
  if (store.setAside !== null)
    return `the lease store was damaged (${store.setAside.why}); it was put aside as ${store.setAside.file}, and a new one is begun`;
  const damaged = store.stored.filter((row) => !isWhole(row));
  if (damaged.length === 0) return null;
  const copy = await store.copyAside();
  await store.commit(damaged.map(({ kind, key }) => ({ kind, key, value: null })));
  return `the lease store had ${damagedRows(damaged)}; what is damaged is deleted, and the store with it is kept as ${copy}`;
}

const NAMED = 5;

export function damagedRows(rows: readonly Stored[]): string {
  const named = rows.slice(0, NAMED).map(({ kind, key }) => `${kind} ${key}`);
  return `${count(rows.length, "damaged row")} (${named.join(", ")}${rows.length > NAMED ? ", ..." : ""})`;
}

export class Registry {
  readonly machines: Machines;
  readonly leases: Leases;
  /** DUID-UUID of this server, made once and kept (RFC 6355). */
  readonly serverDuid: Uint8Array;
  /** What of the store was damaged, and where it is kept. */
  readonly setAside: string | null;
  /** Why a machine is stopped as it boots again and again, of its boots since (Unix milliseconds); null where it is not. */
  loopOf: (machine: string, since: number) => string | null = () => null;
  /** The same of iPXE that is given itself again and again. */
  programLoopOf: (machine: string, since: number) => ProgramLoop | null = () => null;
  /** Looks an address up in the host's neighbour table. */
  neighbourOf: typeof macOfNeighbour = macOfNeighbour;
  /** Is told of each machine that is forgotten. */
  forgetBoots: (machine: string) => void = () => {};
  /** When an operator let a machine boot again. */
  readonly #letGo = new Map<string, number>();
  readonly #store: Store;
  /** Plain machines that were met just now, and no lease has told of yet. */
  readonly #untold = new Map<string, Machine>();
  #telling: NodeJS.Timeout | null = null;
  /** The leases of the commit that was begun last. */
  #storing: { readonly commit: Promise<void>; readonly together: Lease[]; readonly done: Promise<void> } | null = null;
  #appliance: Appliance;
  #networks: readonly Network[] = [];
  readonly #showsSecrets: boolean;
  /** How many were taken. */
  #configurations = 0;

  static async open(appliance: Appliance): Promise<Registry> {
    const store = await openStore(appliance.state.dir);
    const registry = new Registry(appliance, store, true, await putAside(store));
    await store.commit([{ kind: "meta", key: "serverDuid", value: Buffer.from(registry.serverDuid).toString("hex") }]);
    return registry;
  }

  /** What the store has now, to be looked at: nothing of what becomes of it is written, and secrets are blanked. */
  static inMemory(appliance: Appliance, networks: readonly Network[]): Registry {
    const registry = new Registry(appliance, { ...NOWHERE, stored: readStored(appliance.state.dir) }, false);
    registry.configure(appliance, networks);
    return registry;
  }

  /** A copy of it as it is now, of which nothing is written, and in which secrets are blanked. */
  copy(): Registry {
    const stored = [
      { kind: "meta", key: "serverDuid", value: Buffer.from(this.serverDuid).toString("hex") },
      ...[...this.machines.all()].map(machineChange),
      ...[...this.leases.all()].map(leaseChange),
    ];
    const copy = new Registry(this.#appliance, { ...NOWHERE, stored }, false);
    copy.configure(this.#appliance, this.#networks);
    copy.programLoopOf = (machine) => this.programLoop(machine);
    return copy;
  }

  private constructor(appliance: Appliance, store: Store, showsSecrets: boolean, setAside: string | null = null) {
    this.#showsSecrets = showsSecrets;
    const stored = store.stored.filter(isWhole);
    const values = (kind: string): unknown[] => stored.filter((entry) => entry.kind === kind).map((entry) => entry.value);
    this.#store = store;
    this.#appliance = appliance;
    this.setAside = setAside;
    const leases = values("lease") as Lease[];
    this.machines = new Machines([], withLeased(values("machine") as Machine[], leases));
    this.leases = new Leases(leases);
    this.boots = values("boot") as StoredBoot[];
    const duid = stored.find((entry) => entry.kind === "meta" && entry.key === "serverDuid")?.value;
    this.serverDuid = typeof duid === "string" ? Buffer.from(duid, "hex") : Buffer.from(`0004${randomUUID().replaceAll("-", "")}`, "hex");
    this.#takeMachines();
  }

  configure(appliance: Appliance, networks: readonly Network[]): void {
    this.#appliance = appliance;
    this.#networks = networks;
    this.#takeMachines();
  }

  close(): Promise<void> {
    if (this.#telling) clearTimeout(this.#telling);
    this.#storeUntold();
    return this.#store.close();
  }

  /**
   * Resolves once they are on disk. Where they cannot be stored it rejects, and they are no leases any more. All of one commit
   * share a promise: in a storm one for each lease would cost more than the lease. `sendUntil` as for the store's `commit`.
   */
  storeLeases(leases: readonly Lease[], sendUntil = 0): Promise<void> {
    const commit = this.#store.commit(leases.map(leaseChange), sendUntil);
    for (const lease of leases) this.#tellOf(lease);
    if (this.#storing?.commit !== commit) {
      const together: Lease[] = [];
      const done = commit.then(
        () => this.leases.stored(together),
        (error: Error) => {
          this.leases.takeBack(together);
          this.#store.later(together.flatMap(({ machine }) => this.machines.byId(machine) ?? []).map(machineChange));
          throw error;
        },
      );
      this.#storing = { commit, together, done };
    }
    for (const lease of leases) this.#storing.together.push(lease);
    return this.#storing.done;
  }

  /** A machine that its lease tells all of needs no row; one whose lease is over does. */
  #tellOf(lease: Lease): void {
    const untold = this.#untold.get(lease.machine);
    if (untold && tells(lease, untold)) this.#untold.delete(lease.machine);
    const machine = lease.state === "bound" ? undefined : this.machines.byId(lease.machine);
    if (machine && isPlain(machine)) this.#store.later([machineChange(machine)]);
  }

  /** As if its client had released it; undefined where the address is not bound. Rejects where it cannot be stored. */
  async releaseLease(address: string): Promise<Lease | undefined> {
    const lease = this.leases.byAddress(address);
    if (lease?.state !== "bound") return undefined;
    const released = this.leases.release(lease);
    await this.storeLeases([released]);
    return released;
  }

  /** The names that machines have in the DNS now. */
  names(): Names {
    return namesOf(this.machines, this.leases, this.#appliance.domain, Math.floor(Date.now() / 1000));
  }

  /** Tells all of them now and each that changes later, until the returned function is called. */
  watchNames(tell: (changed: readonly NameChange[]) => void): () => void {
    return watchNames(
      () => this.names(),
      () => this.leases.changes + this.#configurations,
      tell,
    );
  }

  /** Rejects where it cannot be stored; what holds by then is stored as soon as it can be: it has begun, or was chosen. */
  async storeMachine(machine: Machine): Promise<void> {
    try {
      await this.#store.commit([machineChange(machine)]);
    } catch (error) {
      const now = this.machines.byId(machine.id);
      if (now) this.#store.later([machineChange(now)]);
      throw error;
    }
  }

  /** The profile that the machine boots from now on, whatever the configuration says; null: as that says. Rejects where it cannot be stored. */
  async chooseProfile(id: string, profile: string | null): Promise<"no such machine" | "no such profile" | Machine> {
    if (profile !== null && !this.#appliance.profiles[profile]) return "no such profile";
    const chosen = this.machines.setProfile(id, profile);
    if (!chosen) return "no such machine";
    await this.storeMachine(chosen);
    return chosen;
  }

  /** The profile that the machine boots by now, and who says so. */
  profileFor(id: string, network: string | null): ChosenProfile {
    return this.#profileOf(id, this.#networks.find(({ name }) => name === network) ?? null);
  }

  /** Lets the machine boot its profile once more though it has reported done. Rejects where it cannot be stored. */
  async bootAgain(id: string): Promise<Machine | undefined> {
    const machine = this.machines.setBoot(id, "new", Date.now());
    if (!machine) return undefined;
    this.#letGo.set(id, Date.now());
    await this.storeMachine(machine);
    return machine;
  }

  programLoop(id: string): ProgramLoop | null {
    return this.programLoopOf(id, this.#letGo.get(id) ?? 0);
  }

  /** As if it had never been met; its leases are released, and its again when it comes back. Rejects where it cannot be stored. */
  async forget(id: string): Promise<"no such machine" | "the configuration names it" | "forgotten"> {
    if (!this.machines.byId(id)) return "no such machine";
    if (this.machines.config(id)) return "the configuration names it";
    const bound = this.leases.ofMachine(id).filter(({ state }) => state === "bound");
    await this.storeLeases(bound.map((lease) => this.leases.release(lease)));
    this.machines.forget(id);
    this.#untold.delete(id);
    this.forgetBoots(id);
    await this.#store.commit([forgottenChange(id)]);
    return "forgotten";
  }

  rememberMachines(machines: readonly Machine[]): void {
    const forgotten = this.machines.forgetStrangers((id) => this.leases.ofMachine(id).length > 0);
    for (const id of forgotten) this.#untold.delete(id);
    const changes = forgotten.map(forgottenChange);
    for (const machine of machines) {
      if (isPlain(machine)) this.#untold.set(machine.id, machine);
      else {
        this.#untold.delete(machine.id);
        changes.push(machineChange(machine));
      }
    }
    this.#store.later(changes);
    if (this.#untold.size > 0) this.#telling ??= setTimeout(() => this.#storeUntold(), UNTOLD_MS).unref();
  }

  /** Those that asked and took no lease. */
  #storeUntold(): void {
    this.#telling = null;
    this.#store.later([...this.#untold.values()].map(machineChange));
    this.#untold.clear();
  }

  /** The boots that an earlier run stored. */
  readonly boots: readonly StoredBoot[];

  /** Stores boots with the next lease, or a little later. */
  rememberBoots(boots: readonly (readonly [key: string, boot: StoredBoot | null])[]): void {
    this.#store.later(boots.map(([key, value]) => ({ kind: "boot", key, value })));
  }

  /** Completes an event's asker with the machine and network that its address belongs to. */
  readonly whoIs = (asker: Asker): Asker => {
    if (asker.client === undefined) return {};
    const found = this.#find(asker.client, asker.mac);
    const network = asker.network ?? this.#networkOf(asker.client)?.name;
    return { ...(found ? { machine: found.machine.id } : {}), ...(network === undefined ? {} : { network }) };
  };

  async answer(question: Question, emit: Emit): Promise<unknown> {
    switch (question.ask) {
      case "machine":
        return this.#bootState(question.client, question.claims, question.path);
      case "done": {
        const machine = this.machines.byToken(question.token);
        if (!machine) return false;
        const done = this.machines.setBoot(machine.id, "installed", Date.now());
        if (done) await this.storeMachine(done);
        emit({ type: "machine.done", profile: this.#profileOf(machine.id, null).name, client: question.client, machine: machine.id });
        return true;
      }
    }
  }

  /**
   * The machine at an address: by lease, else by the MAC in the address or the one that the packet came from, which also goes before
   * a lease that is over. Firmware releases its address before it starts iPXE, which goes on with it.
   */
  #find(address: Address, mac?: Mac): Found | null {
    const lease = this.leases.byAddress(address);
    const leased = lease && lease.state !== "declined" ? this.machines.byId(lease.machine) : undefined;
    const from = mac ?? macOfEui64(address);
    const machine = from === null ? undefined : this.machines.byMac(from);
    if (lease && leased) {
      const found = { machine: leased, mac: leased.macs[0] ?? null, claimed: false };
      if (isLive(lease, Date.now() / 1000)) return { ...found, why: `${address} is leased to it` };
      if (from === null) return { ...found, why: `${address} was leased to it last`, over: true };
      const contradicted = machine ? machine !== leased && !machine.shared : leased.macs.length > 0;
      if (!contradicted) return { ...found, why: `${address} was leased to it last` };
    }
    if (!machine || !from) return null;
    return { machine, mac: from, why: `${address} ${mac === from ? "is a neighbour with" : "carries"} its MAC ${from}`, claimed: false };
  }

  #networkOf(address: Address): Network | undefined {
    if (isLinkLocal(address)) return this.#networks.length === 1 ? this.#networks[0] : undefined;
    return this.#networks.find((network) => prefixContains(network.prefix, address));
  }

  async #bootState(client: Address, claims: { mac?: Mac; uuid?: string }, path: string): Promise<BootState> {
    const network = this.#networkOf(client) ?? this.#networks[0];
    if (!network) throw new Error("no network is ready yet");
    const known = this.#find(client);
    const found = known && !known.over ? known : await this.#askHost(client, network, claims);
    if (typeof found === "string") {
      const { name, profile, why } = this.#profileOf(null, network);
      const values = templateValues({
        appliance: this.#appliance,
        network,
        machine: NOBODY,
        mac: null,
        address: client,
        vars: {},
        secrets: { why: found },
      });
      return {
        values,
        machine: null,
        network: network.name,
        profileName: name,
        profile,
        installed: false,
        stopped: null,
        why: `${found}; ${why}`,
      };
    }
    let { machine } = found;
    const { name, profile, why } = this.#profileOf(machine.id, network);
    const own = profile.kind === "kernel" || profile.kind === "script";
    const installed = own && profile.once && machine.boot.stage === "installed";
    // What a boot rule names in place of a boot script installs whatever the profile says; autoexec.ipxe only leads to a script.
    const installs = isBootScript(path) ? own : !path.endsWith("/autoexec.ipxe");
    // What boots its disk may be in service, and restarts as often as it likes.
    const bootsDisk = installed || profile.kind === "disk";
    const loop = (): string | null => (own ? this.loopOf(machine.id, this.#letGo.get(machine.id) ?? 0) : null);
    const stopped = bootsDisk ? null : (this.programLoop(machine.id)?.why ?? loop());
    // Whoever else is on an installed machine may ask for its answers: they begin no installation.
    const begins = machine.boot.stage === "new" || isBootScript(path) || path.endsWith(".ipxe") || this.#namedByRule(path);
    if (installs && begins && !found.claimed && stopped === null && !installed && machine.boot.stage !== "installing") {
      machine = this.machines.setBoot(machine.id, "installing", Date.now()) ?? machine;
      await this.storeMachine(machine);
    }
    const vars = this.machines.config(machine.id)?.vars ?? {};
    const address = this.#addressOf(machine, network) ?? client;
    const secrets = this.#showsSecrets ? secretsFor(machine, profile, found.claimed) : "blank";
    const values = templateValues({ appliance: this.#appliance, network, machine, mac: found.mac, address, vars, secrets });
    return {
      values,
      machine: machine.id,
      network: network.name,
      profileName: name,
      profile,
      installed,
      stopped,
      why: `${found.why}; ${why}`,
    };
  }

  /** Asks the host who is at an address that its lease does not tell of. */
  async #askHost(client: Address, { link }: Network, claims: { mac?: Mac; uuid?: string }): Promise<Found | string> {
    const neighbour = link ? await this.neighbourOf(client, link.name) : null;
    return this.#find(client, neighbour ?? undefined) ?? this.#meet(client, neighbour, claims);
  }

  /** A machine that formed its own address and asked DHCPv6 for nothing is met here for the first time. Else why it is nobody. */
  #meet(client: Address, neighbour: Mac | null, claims: { mac?: Mac; uuid?: string }): Found | string {
    const nobody = `nobody is known at ${client}`;
    const mac = neighbour ?? macOfEui64(client);
    if (mac !== null) {
      const identified = this.machines.identify({ relayMac: mac }, Date.now());
      if (!identified) return nobody;
      this.rememberMachines(identified.changed);
      return { machine: identified.machine, mac, why: `${client} has the MAC ${mac}`, claimed: false };
    }
    const byMac = claims.mac && (this.machines.expects({ mac: claims.mac }) ?? this.machines.byMac(claims.mac)?.id);
    const byUuid = claims.uuid && (this.machines.expects({ uuid: claims.uuid }) ?? this.machines.byUuid(claims.uuid)?.id);
    if (byMac !== undefined && byUuid !== undefined && byMac !== byUuid)
      return `${nobody}: ?mac= names ${byMac} and ?uuid= names ${byUuid}`;
    const expected =
      claims.mac && this.machines.expects({ mac: claims.mac }) ? this.machines.identify({ relayMac: claims.mac }, Date.now()) : null;
    if (expected) this.rememberMachines(expected.changed);
    const claimed = expected?.machine ?? this.machines.byId(byMac ?? byUuid ?? "");
    if (!claimed) return nobody;
    return { machine: claimed, mac: claims.mac ?? null, why: "it says so (?mac= or ?uuid=), and nothing contradicts it", claimed: true };
  }

  /** Whether a boot rule hands that file out. */
  #namedByRule(path: string): boolean {
    return this.#appliance.boot.rules?.some(({ url }) => url.endsWith(path)) ?? false;
  }

  #addressOf(machine: Machine, network: Network): Address | null {
    const leases = this.leases.ofMachine(machine.id);
    return leases.find((lease) => lease.network === network.name && lease.state === "bound" && !isPrefix(lease.address))?.address ?? null;
  }

  #profileOf(machine: string | null, network: Network | null): ChosenProfile {
    return profileOf(this.#appliance, this.machines, machine, network);
  }

  #takeMachines(): void {
    this.#configurations++;
    for (const { from, machine } of this.machines.configure(this.#appliance.machines)) {
      const leases = this.leases.rename(from, machine.id);
      this.#store.later([forgottenChange(from), machineChange(machine), ...leases.map(leaseChange)]);
    }
    this.leases.reserve(this.machines.reservations());
  }
}
