/** What a machine would get, and why: asked without sending anything. */
import { get } from "./api.js";
import { Component, html } from "./htm-preact.js";
import { Table } from "./parts.js";
import { state } from "./store.js";

/** What firmware, iPXE and systems say of themselves (docs/clients.md). */
const ASKERS = [
  { label: "UEFI HTTP boot, x64", arch: "x64-uefi-http" },
  { label: "UEFI PXE, x64", arch: "x64-uefi" },
  { label: "UEFI HTTP boot, ARM64", arch: "arm64-uefi-http" },
  { label: "UEFI PXE, ARM64", arch: "arm64-uefi" },
  { label: "iPXE under UEFI, x64", arch: "x64-uefi", userClass: "iPXE" },
  { label: "iPXE in a BIOS", arch: "x86-bios", userClass: "iPXE" },
  { label: "an installed system" },
];

const isUuid = (text) => /^[0-9a-f]{8}-/i.test(text);

export class Explain extends Component {
  state = { found: null, error: null, busy: false };

  componentDidMount() {
    if (this.props.id !== null) void this.ask();
  }

  async ask(event) {
    event?.preventDefault();
    const value = (id) => document.getElementById(id).value.trim();
    const who = value("who");
    const { arch, userClass } = ASKERS[Number(value("asker"))];
    const query = { [isUuid(who) ? "uuid" : "mac"]: who, arch, userClass, network: value("on") };
    const words = new URLSearchParams(Object.entries(query).filter(([, text]) => text !== undefined && text !== ""));
    this.setState({ busy: true });
    try {
      this.setState({ found: await get(`/explain?${words}`), error: null, busy: false });
    } catch (error) {
      this.setState({ error: error.message, busy: false });
    }
  }

  render({ id }, { found, error, busy }) {
    const machine = state.machines.get(id);
    return html`
      <h1>Explain</h1>
      <p class="sub">What a machine would get, and why. Nothing is sent, and nothing is kept.</p>
      <form class="question" onSubmit=${(event) => this.ask(event)}>
        <p><label for="who">MAC or UUID</label> <input id="who" required defaultValue=${machine?.macs[0] ?? machine?.uuid ?? ""} placeholder="52:54:00:d6:c2:a9" /></p>
        <p><label for="asker">It asks as</label> <select id="asker">${ASKERS.map(({ label }, i) => html`<option value=${i}>${label}</option>`)}</select></p>
        <p><label for="on">On network</label> <select id="on">${state.networks.map(({ name }) => html`<option value=${name} selected=${name === machine?.network}>${name}</option>`)}</select></p>
        <p class="buttons"><button class="primary" type="submit" disabled=${busy}>Explain</button></p>
      </form>
      ${error && html`<p class="error" role="alert">${error}</p>`}
      ${found && html`<div role="status">${found.explanations.map((each) => html`<${Answer} ...${each} />`)}<${Advertisement} ra=${found.advertisement} network=${found.network} /><${Script} served=${found.served} /></div>`}
    `;
  }
}

const Answer = ({ message, machine, answer, why, options, rules }) => html`<section>
  <h2>${answer === null ? `Its ${message} is not answered` : `Its ${message} is answered with ${answer}`}${machine && html` <span class="prefix">${machine}</span>`}</h2>
  <ul class="why">${why.map((reason) => html`<li>${reason}</li>`)}</ul>
  ${
    options.length > 0 &&
    html`<${Table} label="Options of the answer" heads=${["Option", "Value"]}>
      ${options.map(([name, value]) => html`<tr><td>${name}</td><td class="mono long">${value}</td></tr>`)}
    <//>`
  }
  ${
    rules.length > 0 &&
    html`<h3>Boot rules</h3>
    <${Table} label="Boot rules" heads=${["Rule", "Matches", "Decides", "URL"]}>
      ${rules.map(
        ({ rule, matches, url, whyNot }) =>
          html`<tr><td class="number">${rule}</td><td>${matches}</td><td>${whyNot === null ? html`<b>yes</b>` : `no: ${whyNot}`}</td><td class="mono">${url}</td></tr>`,
      )}
    <//>`
  }
</section>`;

function Advertisement({ ra, network }) {
  if (!ra)
    return html`<section>
      <h2>It hears no router advertisement from us</h2>
      <p class="note">Network ${network} is relayed, or its <code>advertise</code> is off or <code>observe</code>: another router must send them.</p>
    </section>`;
  const rows = [
    ["flags", `M=${ra.managed ? 1 : 0} O=${ra.other ? 1 : 0}`],
    ["router lifetime", `${ra.routerLifetime} s`],
    ...ra.prefixes.map(({ prefix, length, onLink, autonomous }) => [
      "prefix",
      `${prefix}/${length} L=${onLink ? 1 : 0} A=${autonomous ? 1 : 0}`,
    ]),
    ...ra.rdnss.map(({ addresses }) => ["RDNSS", addresses.join(", ")]),
    ...ra.dnssl.map(({ domains }) => ["DNSSL", domains.join(", ")]),
    ...ra.routes.map(({ prefix, length, lifetime }) => ["route", `${prefix}/${length}, ${lifetime} s`]),
    ...ra.pref64.map(({ prefix }) => ["PREF64", `${prefix.address}/${prefix.length}`]),
    ...(ra.mtu === null ? [] : [["MTU", ra.mtu]]),
  ];
  return html`<section>
    <h2>The router advertisement that it hears from us <span class="prefix">${network}</span></h2>
    <${Table} label="Router advertisement" heads=${["Option", "Value"]}>
      ${rows.map(([name, value]) => html`<tr><td>${name}</td><td class="mono long">${value}</td></tr>`)}
    <//>
  </section>`;
}

const Script = ({ served }) =>
  served &&
  html`<section>
    <h2>Its boot.ipxe <span class="prefix">profile ${served.profile}, ${served.why}</span></h2>
    <pre tabindex="0">${served.script}</pre>
  </section>`;
