/** All machines at a glance. */
import { Component, html } from "./htm-preact.js";
import { Badge, Empty, linkTo, Words } from "./parts.js";
import { state } from "./store.js";
import { look } from "./words.js";

/** So many of those that stand still are shown with their verdict; their tiles show the others. */
const MOST_VERDICTS = 50;

const textOf = ({ id, macs, uuid, address, addresses, duids, boots, network }) =>
  [id, ...macs, uuid, address, ...addresses, ...duids, boots.profile, network].join(" ").toLowerCase();

/** The machines that a search finds; MACs are found with hyphens too, or without anything between. */
export function search(machines, words) {
  const wanted = words.trim().toLowerCase().split(/\s+/).filter(Boolean);
  if (wanted.length === 0) return machines;
  return machines.filter((machine) => {
    const text = textOf(machine);
    const bare = machine.macs.join(" ").replaceAll(":", "");
    return wanted.every((word) => text.includes(word) || (word.length > 3 && bare.includes(word.replace(/[:-]/g, ""))));
  });
}

class Tile extends Component {
  shouldComponentUpdate({ machine }) {
    const { id, stage, verdict } = this.props.machine;
    return machine.id !== id || machine.stage !== stage || machine.verdict?.rule !== verdict?.rule;
  }
  render({ machine: { id, stage, verdict }, first }) {
    const { phase } = look(stage);
    const says = `${id}: ${verdict ? `stands still at ${stage ?? "its beginning"}` : (stage ?? "not booting")}`;
    return html`<a class="tile ${phase} ${verdict ? "still" : ""}" href=${linkTo(id)} title=${says} aria-label=${says} tabindex=${first ? 0 : -1}>
      <${Badge} stage=${stage} /><span class="name">${id}</span>${verdict && html`<span class="mark" aria-hidden="true">!</span>`}
    </a>`;
  }
}

/** Arrow keys go from tile to tile. */
function onKey(event) {
  const tiles = [...event.currentTarget.children];
  const at = tiles.indexOf(event.target.closest(".tile"));
  const columns = tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -at, End: tiles.length - 1 - at };
  const to = tiles[at + steps[event.key]];
  if (at < 0 || !to) return;
  event.preventDefault();
  to.focus();
}

const Still = ({ machines }) => html`<section aria-labelledby="still">
  <h2 id="still">Standing still <span class="count">${machines.length}</span></h2>
  <ul class="verdicts list">
    ${machines.slice(0, MOST_VERDICTS).map(
      ({ id, stage, verdict }) => html`<li key=${id}>
        <a class="who" href=${linkTo(id)}><${Badge} stage=${stage} />${id}</a>
        <p>${verdict.text} <span class="mend"><${Words} text=${verdict.mend} /></span></p>
      </li>`,
    )}
  </ul>
  ${machines.length > MOST_VERDICTS && html`<p class="note">And ${machines.length - MOST_VERDICTS} more: their tiles below have a mark.</p>`}
</section>`;

const Group = ({ name, prefix, machines }) => html`<section>
  <h2>${name} <span class="prefix">${prefix}</span> <span class="count">${machines.length}</span></h2>
  <div class="tiles" onKeyDown=${onKey}>
    ${machines.map((machine, i) => html`<${Tile} key=${machine.id} machine=${machine} first=${i === 0} />`)}
  </div>
</section>`;

/** node-2 before node-10. */
const byName = new Intl.Collator("en", { numeric: true });
const inOrder = (machines) => machines.toSorted((a, b) => byName.compare(a.id, b.id));

function groups(machines) {
  const known = new Map(state.networks.map(({ name, prefix }) => [name, { name, prefix, machines: [] }]));
  const elsewhere = { name: "not seen on a network yet", prefix: "", machines: [] };
  for (const machine of machines) (known.get(machine.network) ?? elsewhere).machines.push(machine);
  return [...known.values(), elsewhere].filter((group) => group.machines.length > 0);
}

function Counts({ machines, stage, onStage }) {
  const counts = new Map();
  for (const machine of machines) counts.set(machine.stage, (counts.get(machine.stage) ?? 0) + 1);
  const rows = [...state.stages, ...(counts.has(null) ? [{ name: null, label: "known, and not seen booting" }] : [])];
  return html`<div class="counts" role="group" aria-label="Machines by stage; choose one to see those alone">
    ${rows.map(
      ({ name, label }) => html`<button key=${name} title=${label} aria-pressed=${stage === name} class=${counts.has(name) ? "" : "none"}
        onClick=${() => onStage(stage === name ? undefined : name)}>
        <${Badge} stage=${name} /><b>${counts.get(name) ?? 0}</b> ${name ?? "idle"}
      </button>`,
    )}
  </div>`;
}

const Nobody = () => html`<${Empty}>
  No machine was seen yet. Power one on, with network boot over IPv6 (UEFI HTTP or PXE) first in its boot order, on
  ${state.networks.length === 1 ? " network " : " one of "}${state.networks.map(({ name, prefix }, i) => html`${i > 0 && ", "}<b>${name}</b> (${prefix})`)}.
<//>`;

export class Wall extends Component {
  state = { stage: undefined };
  render({ words }, { stage }) {
    if (state.machines.size === 0) return html`<${Nobody} />`;
    const found = inOrder(search([...state.machines.values()], words));
    const shown = stage === undefined ? found : found.filter((machine) => machine.stage === stage);
    const still = shown.filter(({ verdict }) => verdict !== null);
    return html`
      <h1 class="hidden">Machines</h1>
      <${Counts} machines=${found} stage=${stage} onStage=${(chosen) => this.setState({ stage: chosen })} />
      <p class="hidden" role="status">${shown.length} of ${state.machines.size} machines</p>
      ${shown.length === 0 && html`<${Empty}>None of ${state.machines.size} machines fits. Search by name, MAC, UUID, address, DUID, profile or network; Escape clears the search.<//>`}
      ${still.length > 0 && html`<${Still} machines=${still} />`}
      ${groups(shown).map((group) => html`<${Group} key=${group.name} ...${group} />`)}
    `;
  }
}
