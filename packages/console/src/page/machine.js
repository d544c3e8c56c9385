/** One machine: why it stands still, what it did, what may be done. */
import { get } from "./api.js";
import { Chart } from "./chart.js";
import { Component, html } from "./htm-preact.js";
import { Badge, Confirm, HowToAllow, mayChange, Words } from "./parts.js";
import { listen, state } from "./store.js";
import { clock, duration } from "./words.js";

const FOLLOW_MS = 500;
/** A verdict comes of silence too: without events it is looked for so often. */
const LOOK_MS = 5_000;

export class MachinePage extends Component {
  state = { timeline: null, leases: [], error: null, chosen: null, action: null };

  componentDidMount() {
    void this.load();
    this.unlisten = listen((event) => {
      if (event.machine === this.props.id) this.later(FOLLOW_MS);
    });
  }

  componentWillUnmount() {
    this.unlisten();
    clearTimeout(this.timer);
    this.gone = true;
  }

  /** Of a storm of events the first decides when it is looked at again. */
  later(wait) {
    if (this.soon) return;
    clearTimeout(this.timer);
    this.soon = wait === FOLLOW_MS;
    this.timer = setTimeout(() => this.load(), wait);
  }

  async load() {
    if (this.gone) return;
    this.soon = false;
    const { id } = this.props;
    const name = encodeURIComponent(id);
    try {
      const [timeline, leases] = await Promise.all([get(`/machines/${name}/timeline`), get(`/leases?machine=${name}`)]);
      if (!this.gone) this.setState({ timeline, leases, error: null });
    } catch (error) {
      if (!this.gone) this.setState({ error: error.message });
    }
    if (!this.gone && !this.soon) this.later(LOOK_MS);
  }

  render({ id }, { timeline, leases, error, chosen, action }) {
    const machine = state.machines.get(id);
    if (!machine)
      return html`<h1>${id}</h1><p class="empty">No machine is called ${id}: it was forgotten, or has another name by now. <a href="#/">All machines</a></p>`;
    const boots = timeline?.boots ?? [];
    const boot = boots.find(({ startedAt }) => startedAt === chosen) ?? boots.at(-1);
    const verdict = timeline ? timeline.verdict : machine.verdict;
    const ask = (next) => this.setState({ action: next });
    return html`
      <h1><${Badge} stage=${machine.stage} />${id}</h1>
      <p class="sub">${[machine.stage ?? "not seen booting", machine.network && `network ${machine.network}`, `boots ${machine.boots.profile} (${machine.boots.why})`, machine.lastSeen && `heard ${clock(machine.lastSeen)}`].filter(Boolean).join(" · ")}</p>
      ${error && html`<p class="error" role="alert">${error}</p>`}
      ${verdict && html`<div class="verdict" role="status"><p><b>Stands still: ${verdict.text}</b></p><p><${Words} text=${verdict.mend} /></p><p class="rule">${verdict.rule}</p></div>`}
      <div class="columns">
        <div class="main">
          ${boot ? html`<${Boots} boots=${boots} boot=${boot} onChoose=${(at) => this.setState({ chosen: at })} />` : timeline && html`<p class="empty">It was not seen booting yet. Power it on, or boot it again.</p>`}
        </div>
        <aside>
          ${machine.served ? html`<${Actions} machine=${machine} ask=${ask} />` : html`<p class="note">It is not served: nothing is kept of it.</p>`}
          <p><a href="#/explain/${encodeURIComponent(id)}">What would it get, and why?</a></p>
          <${Identities} machine=${machine} />
          <${Leases} leases=${leases} ask=${ask} />
        </aside>
      </div>
      ${action && html`<${Confirm} action=${action} onEnd=${() => this.setState({ action: null }, () => this.load())} />`}
    `;
  }
}

function Boots({ boots, boot, onChoose }) {
  const newest = boot === boots.at(-1);
  return html`<section>
    <h2>${newest ? "Newest boot" : "Earlier boot"}</h2>
    ${
      boots.length > 1 &&
      html`<div class="boots" role="group" aria-label="Boots, the newest first">
        ${boots.toReversed().map(
          (
            { startedAt, stages },
            i,
          ) => html`<button aria-pressed=${startedAt === boot.startedAt} onClick=${() => onChoose(i === 0 ? null : startedAt)}>
            ${clock(startedAt)} <${Badge} stage=${stages.at(-1)?.name ?? null} /><span class="hidden">came to ${stages.at(-1)?.name ?? "nothing"}</span>
          </button>`,
        )}
      </div>`
    }
    <${Chart} boot=${boot} running=${newest} />
    <h2>What happened, and why</h2>
    <ol class="entries list" aria-label="The newest first">
      ${boot.entries.toReversed().map(
        ({ at, text, why, count }) => html`<li>
          <time>${clock(at)}<span class="after">+${duration(at - boot.startedAt)}</span></time>
          <div>${text}${count > 1 && html` <span class="count">×${count}</span>`}
            ${why && why.length > 0 && html`<ul class="why">${why.map((reason) => html`<li>${reason}</li>`)}</ul>`}
          </div>
        </li>`,
      )}
    </ol>
  </section>`;
}

function Actions({ machine: { id, profile, configured, boots, boot }, ask }) {
  const path = `/machines/${encodeURIComponent(id)}`;
  const choose = ({ target }) => {
    const name = target.value === "" ? null : target.value;
    target.value = profile ?? "";
    ask({
      title: name === null ? `Let ${id} boot as the configuration says?` : `Boot ${id} with profile ${name}?`,
      text: "It holds from its next boot on, and is kept over restarts.",
      button: name === null ? "Follow the configuration" : `Choose ${name}`,
      method: "PUT",
      path: `${path}/profile`,
      body: { profile: name },
    });
  };
  const again = () =>
    ask({
      title: `Let ${id} boot again?`,
      text: `At its next network boot it is given profile ${boots.profile} once more, though it may be installed: that can erase its disk. It is not reset: do that yourself.`,
      button: "Boot again",
      method: "POST",
      path: `${path}/boot-again`,
    });
  const forget = () =>
    ask({
      title: `Forget ${id}?`,
      text: "Its identities and its chosen profile are deleted and its leases released. When it comes back it is met as a new machine.",
      button: "Forget it",
      method: "DELETE",
      path,
      after: () => location.assign("#/"),
    });
  const off = !mayChange();
  const names = Object.keys(state.config?.profiles ?? {});
  return html`<section>
    <h2>Actions</h2>
    <p><label for="profile">Profile</label>
      <select id="profile" value=${profile ?? ""} disabled=${off} onChange=${choose}>
        <option value="">as the configuration says</option>
        ${names.map((name) => html`<option value=${name} selected=${name === profile}>${name}</option>`)}
      </select></p>
    <p class="buttons">
      <button disabled=${off} onClick=${again}>Boot again…</button>
      <button disabled=${off || configured} onClick=${forget}>Forget…</button>
    </p>
    <p class="note">${boot.stage === "installed" ? `Installed ${clock(boot.since)}. ` : ""}${configured ? "The configuration names it: it cannot be forgotten." : ""}</p>
    ${off && html`<${HowToAllow} />`}
  </section>`;
}

const Identities = ({ machine: { address, macs, uuid, duids, ports, firstSeen } }) => html`<section>
  <h2>Identities</h2>
  <dl>
    <dt>Address</dt><dd>${address ?? "none heard"}</dd>
    <dt>MAC</dt>${macs.length > 0 ? macs.map((mac) => html`<dd>${mac}</dd>`) : html`<dd>not known</dd>`}
    <dt>UUID</dt><dd>${uuid ?? "not known"}</dd>
    <dt>DUIDs</dt>${duids.length > 0 ? duids.map((duid) => html`<dd>${duid}</dd>`) : html`<dd>none heard</dd>`}
    ${ports.length > 0 && html`<dt>Seen at</dt>`}${ports.map(({ relay, interfaceId, remoteId }) => html`<dd>${[relay, interfaceId, remoteId].filter(Boolean).join(" ")}</dd>`)}
    ${firstSeen > 0 && html`<dt>First seen</dt><dd>${clock(firstSeen)}</dd>`}
  </dl>
</section>`;

/** What asks before it releases a lease. */
export const releaseOf = ({ address, machine }) => ({
  title: `Release ${address}?`,
  text: `${machine} may still use it until its lease ends: release it only when that machine is off. It stays ${machine}'s until another needs it.`,
  button: "Release it",
  method: "DELETE",
  path: `/leases/${encodeURIComponent(address)}`,
});

const Leases = ({ leases, ask }) => html`<section>
  <h2>Leases</h2>
  ${leases.length === 0 && html`<p class="note">It has none.</p>`}
  ${leases.map(
    (lease) => html`<div class="lease">
      <span><span class="mono">${lease.address}</span><br />${lease.state}${lease.state === "bound" && ` until ${clock(lease.validUntil * 1000)}`}</span>
      ${lease.state === "bound" && html`<button class="small" disabled=${!mayChange()} aria-label="Release ${lease.address}" onClick=${() => ask(releaseOf(lease))}>Release…</button>`}
    </div>`,
  )}
</section>`;
