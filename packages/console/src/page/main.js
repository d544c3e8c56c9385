import { keepToken } from "./api.js";
import { Assets, Configuration } from "./assets.js";
import { Dns } from "./dns.js";
import { Explain } from "./explain.js";
import { Component, html, render } from "./htm-preact.js";
import { Leases } from "./leases.js";
import { MachinePage } from "./machine.js";
import { Networks } from "./networks.js";
import { Dialog } from "./parts.js";
import { reload, run, state, watch } from "./store.js";
import { search, Wall } from "./wall.js";

const SECTIONS = {
  "": ["Machines", Wall],
  leases: ["Leases", Leases],
  networks: ["Networks", Networks],
  dns: ["DNS", Dns],
  assets: ["Assets", Assets],
  explain: ["Explain", Explain],
  configuration: ["Config", Configuration],
};

const STREAM = { connecting: "connecting…", live: "live", broken: "connection lost, trying again…" };

/** What the address names: a section, and a machine's id. */
function place() {
  const [section = "", ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  return { section, id: rest.length > 0 ? decodeURIComponent(rest.join("/")) : null };
}

function AskToken() {
  const submit = async () => {
    keepToken(document.getElementById("token").value.trim());
    state.locked = false;
    await reload();
  };
  return html`<${Dialog} title="The console asks for its token" onSubmit=${submit}>
    <p>It is <code>console.token</code> in <code>appliance.yaml</code>. This browser tab keeps it until it is closed.</p>
    ${state.wrongToken && html`<p class="error" role="alert">That one was not taken.</p>`}
    <p><label for="token">Token</label> <input id="token" type="password" autocomplete="off" required autofocus /></p>
    <div class="buttons"><button type="submit" class="primary">Go on</button></div>
  <//>`;
}

class App extends Component {
  state = { words: "" };

  componentDidMount() {
    watch(() => this.setState({}));
    addEventListener("hashchange", () => {
      this.setState({ words: "" });
      scrollTo(0, 0);
      document.querySelector("main").focus({ preventScroll: true });
    });
    addEventListener("keydown", (event) => this.onKey(event));
    setInterval(() => this.setState({}), 10_000);
    void run();
  }

  onKey(event) {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, select, textarea, dialog")) return;
    event.preventDefault();
    document.getElementById("search").focus();
  }

  /** Escape clears; Enter opens the one machine that is left; arrow down goes to the tiles. */
  onSearchKey(event) {
    if (event.key === "Escape") this.setState({ words: "" });
    if (event.key === "ArrowDown") document.querySelector(".tile")?.focus();
    if (event.key !== "Enter" || place().section === "leases" || state.machines === null) return;
    const [only, ...others] = search([...state.machines.values()], this.state.words);
    if (only && others.length === 0) location.hash = `#/machines/${encodeURIComponent(only.id)}`;
  }

  onWords({ target }) {
    this.setState({ words: target.value });
    if (place().id !== null || !["", "leases", "assets"].includes(place().section)) {
      const { value } = target;
      location.hash = "#/";
      addEventListener(
        "hashchange",
        () => {
          this.setState({ words: value });
          target.focus();
        },
        { once: true },
      );
    }
  }

  render(_, { words }) {
    const { section, id } = place();
    return html`
      <header>
        <a class="home" href="#/">netboot6${state.status && html`<span class="site"> ${state.status.site}</span>`}</a>
        <nav aria-label="Sections">${Object.entries(SECTIONS).map(
          ([name, [label]]) =>
            html`<a href="#/${name}" aria-current=${(section === "machines" ? "" : section) === name ? "page" : undefined}>${label}</a>`,
        )}</nav>
        <input id="search" type="search" placeholder="Search: name, MAC, address, profile …  ( / )" aria-label="Search by name, MAC, UUID, address, DUID, profile or network" aria-keyshortcuts="/"
          value=${words} onInput=${(event) => this.onWords(event)} onKeyDown=${(event) => this.onSearchKey(event)} />
        <span class="stream ${state.stream}" role="status">${STREAM[state.stream]}</span>
      </header>
      <main tabindex="-1">
        ${state.error && html`<p class="error" role="alert">${state.error}</p>`}
        ${state.status?.services.filter(({ ready }) => !ready).map(({ service, why }) => html`<p class="error" role="alert">${service} does not answer: ${why}</p>`)}
        ${state.status?.waiting && html`<p class="error" role="alert">Waiting: ${state.status.waiting}</p>`}
        ${state.machines === null ? html`<p class="empty">${state.error || state.locked ? "" : "Loading…"}</p>` : this.section(section, id, words)}
      </main>
      ${state.locked && html`<${AskToken} />`}
    `;
  }

  section(section, id, words) {
    if (section === "machines" && id !== null) return html`<${MachinePage} key=${id} id=${id} />`;
    const [, Section] = SECTIONS[section] ?? SECTIONS[""];
    return html`<${Section} key=${id} words=${words} id=${id} />`;
  }
}

render(html`<${App} />`, document.getElementById("app"));
