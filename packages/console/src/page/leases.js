/** Who has which address. */
import { get } from "./api.js";
import { Component, html } from "./htm-preact.js";
import { releaseOf } from "./machine.js";
import { Confirm, Empty, HowToAllow, linkTo, mayChange, Table } from "./parts.js";
import { clock } from "./words.js";

const EVERY_MS = 5_000;
const MOST = 500;

const fits = ({ address, network, machine, state, hostname, duid }, words) => {
  const text = `${address} ${network} ${machine} ${state} ${hostname ?? ""} ${duid}`.toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
};

export class Leases extends Component {
  state = { leases: null, error: null, action: null };

  componentDidMount() {
    void this.load();
    this.timer = setInterval(() => this.load(), EVERY_MS);
  }

  componentWillUnmount() {
    clearInterval(this.timer);
  }

  async load() {
    try {
      this.setState({ leases: await get("/leases"), error: null });
    } catch (error) {
      this.setState({ error: error.message });
    }
  }

  render({ words }, { leases, error, action }) {
    const found = (leases ?? []).filter((lease) => fits(lease, words));
    return html`
      <h1>Leases ${leases && html`<span class="count">${found.length}</span>`}</h1>
      ${error && html`<p class="error" role="alert">${error}</p>`}
      ${leases?.length === 0 && html`<${Empty}>No address is leased yet: the first machine that asks for one by DHCPv6 gets one.<//>`}
      ${leases !== null && leases.length > 0 && found.length === 0 && html`<${Empty}>None of ${leases.length} leases fits the search. Escape clears it.<//>`}
      ${leases !== null && leases.length > 0 && !mayChange() && html`<${HowToAllow} />`}
      ${
        found.length > 0 &&
        html`<${Table} label="Leases" heads=${["Address", "Machine", "Name", "Network", "State", "Until", "Since", ""]}>
          ${found.slice(0, MOST).map(
            (lease) => html`<tr key=${lease.address}>
              <td class="mono">${lease.address}</td><td><a href=${linkTo(lease.machine)}>${lease.machine}</a></td><td>${lease.hostname}</td>
              <td>${lease.network}</td><td>${lease.state}</td><td>${lease.state === "released" ? "" : clock(lease.validUntil * 1000)}</td><td>${clock(lease.since * 1000)}</td>
              <td>${lease.state === "bound" && html`<button class="small" disabled=${!mayChange()} aria-label="Release ${lease.address}" onClick=${() => this.setState({ action: releaseOf(lease) })}>Release…</button>`}</td>
            </tr>`,
          )}
        <//>`
      }
      ${found.length > MOST && html`<p class="note">And ${found.length - MOST} more: search to see them.</p>`}
      ${action && html`<${Confirm} action=${action} onEnd=${() => this.setState({ action: null }, () => this.load())} />`}
    `;
  }
}
