/** The networks, their relays, and other routers on them. */
import { get } from "./api.js";
import { html } from "./htm-preact.js";
import { Empty, Table, useLoaded } from "./parts.js";
import { state } from "./store.js";
import { clock, duration } from "./words.js";

const Relays = ({ relays }) => html`<h3>Relays</h3>
  <${Table} label="Relays" heads=${["Relay", "Answered", "Not answered", "Heard", "Why not, the last time"]}>
    ${relays.map(
      ({ relay, answered, dropped, lastAt, lastDropped }) =>
        html`<tr><td class="mono">${relay}</td><td class="number">${answered}</td><td class="number">${dropped}</td><td>${clock(lastAt)}</td><td class="long">${lastDropped}</td></tr>`,
    )}
  <//>`;

const Routers = ({ routers }) => html`<h3>Other routers</h3>
  ${routers.map(
    ({
      router,
      interface: link,
      managed,
      other,
      lifetime,
      state: does,
      why,
      differences,
      at,
    }) => html`<div class=${differences.length > 0 ? "verdict" : "fact"}>
      <p><b class="mono">${router}</b> on ${link}: ${does}, M=${managed ? 1 : 0} O=${other ? 1 : 0}, ${lifetime > 0 ? `a default router for ${duration(lifetime * 1000)}` : "no default router"}, since ${clock(at)}</p>
      ${differences.length > 0 ? html`<ul>${differences.map((difference) => html`<li>${difference}</li>`)}</ul>` : html`<p>${why}</p>`}
    </div>`,
  )}`;

/** Relays are counted on without an event that names a machine. */
const EVERY_MS = 5_000;

export function Networks() {
  const { value } = useLoaded(() => get("/networks"), EVERY_MS);
  const networks = value ?? state.networks;
  return html`
  <h1>Networks</h1>
  ${networks.length === 0 && html`<${Empty}>No network is ready: the appliance waits for ${state.status?.waiting ?? "its interfaces"}.<//>`}
  ${networks.map(
    ({ name, prefix, address, interface: link, relayed, relays, routers, warnings, leases }) => html`<section key=${name}>
      <h2>${name} <span class="prefix">${prefix}</span></h2>
      ${(warnings ?? []).map(({ rule, why, at }) => html`<div class="verdict"><p><b>${rule}</b> since ${clock(at)}</p><p>${why}</p></div>`)}
      <dl class="wide">
        <dt>${relayed ? "Reached by" : "Interface"}</dt><dd>${relayed ? "relays" : (link ?? "gone")}</dd>
        <dt>Our address</dt><dd class="mono">${address}</dd>
        <dt>Leased now</dt><dd>${leases}</dd>
        <dt>Machines</dt><dd>${[...state.machines.values()].filter((machine) => machine.network === name).length}</dd>
      </dl>
      ${relays.length > 0 ? html`<${Relays} relays=${relays} />` : relayed && html`<p class="note">No relay was heard yet: its DHCPv6 relay must send to ${address}.</p>`}
      ${routers.length > 0 && html`<${Routers} routers=${routers} />`}
    </section>`,
  )}
`;
}
