/** What became of the machines' DNS questions. */
import { get } from "./api.js";
import { html, useEffect, useRef } from "./htm-preact.js";
import { Empty, linkTo, Table, useLoaded } from "./parts.js";
import { state } from "./store.js";
import uPlot from "./uplot.js";
import { clock } from "./words.js";

const EVERY_MS = 5_000;
const HEIGHT = 220;
/** What is drawn, and in which of the page's colours. */
const SERIES = [
  ["cache", "from memory", "--done"],
  ["upstream", "asked upstream", "--ipxe"],
  ["local", "names of ours", "--kernel"],
  ["stale", "out of date", "--installer"],
  ["refused", "refused", "--firmware"],
  ["failed", "failed", "--alarm-line"],
];

const perSecond = ({ intervals, intervalSeconds }) => [
  intervals.map(({ at }) => at / 1000),
  ...SERIES.map(([source]) => intervals.map((interval) => interval[source] / intervalSeconds)),
];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** `parent`: the element that it fills. */
function draw(parent, data) {
  const axis = () => ({ stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } });
  const series = SERIES.map(([, label, name]) => ({
    label,
    stroke: colour(name),
    width: 1.5,
    points: { show: false },
    value: (_, value) => (value === null ? "–" : `${value.toFixed(1)}/s`),
  }));
  const options = {
    width: parent.clientWidth,
    height: HEIGHT,
    series: [{ value: (_, at) => (at === null ? "–" : clock(at * 1000)) }, ...series],
  };
  return new uPlot(
    {
      ...options,
      axes: [
        { ...axis(), values: (_, ats) => ats.map((at) => clock(at * 1000)), space: 80 },
        { ...axis(), size: 56 },
      ],
      cursor: { drag: { x: false, y: false } },
    },
    data,
    parent,
  );
}

function Rates({ view }) {
  const figure = useRef(null);
  const plot = useRef(null);
  const data = perSecond(view);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const again = () => {
      const shown = plot.current?.data ?? data;
      plot.current?.destroy();
      plot.current = draw(figure.current, shown);
    };
    const fit = new ResizeObserver(() => plot.current?.setSize({ width: figure.current.clientWidth, height: HEIGHT }));
    again();
    fit.observe(figure.current);
    dark.addEventListener("change", again);
    return () => {
      fit.disconnect();
      dark.removeEventListener("change", again);
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => plot.current?.setData(data), [view]);
  return html`<h2>Answers a second</h2>
    <figure class="rates" ref=${figure} aria-label="Answers a second over the last hour, by where they came from"></figure>`;
}

const percent = (part, whole) => (whole === 0 ? "–" : `${((100 * part) / whole).toFixed(1)} %`);

function Totals({ answers }) {
  const asked = Object.values(answers).reduce((sum, count) => sum + count, 0);
  const served = asked - answers.refused - answers.failed;
  return html`<dl class="wide">
    <dt>Answered since the start</dt><dd>${served}</dd>
    <dt>Without asking upstream</dt><dd>${percent(answers.cache + answers.local, served)}</dd>
    <dt>Out of date (no upstream answered)</dt><dd>${answers.stale}</dd>
    <dt>Refused</dt><dd>${answers.refused}</dd>
    <dt>Failed</dt><dd>${answers.failed}</dd>
  </dl>`;
}

const Upstreams = ({ upstreams }) => html`<h2>Upstream resolvers</h2>
  ${
    upstreams.length === 0
      ? html`<p class="note">Those of the host's resolv.conf: none of them was missed so far.</p>`
      : html`<${Table} label="Upstream resolvers" heads=${["Resolver", "State", "Since", "Why"]}>
        ${upstreams.map(
          ({ upstream, up, why, at }) =>
            html`<tr class=${up ? "" : "bad"}><td class="mono">${upstream}</td><td>${at === null ? "no fault seen" : up ? "answers" : "does not answer"}</td><td>${at === null ? "the start" : clock(at)}</td><td class="long">${why}</td></tr>`,
        )}
      <//>`
  }`;

const Unserved = ({ unserved }) => html`<h2>Not answered</h2>
  ${
    unserved.length === 0
      ? html`<p class="note">Nobody was refused, asked too often or was left without an answer.</p>`
      : html`<${Table} label="Clients that were not answered" heads=${["Client", "Machine", "Times", "Last", "Why, the last time"]}>
        ${unserved.map(
          ({ client, machine, count, at, why }) =>
            html`<tr><td class="mono">${client}</td><td>${machine && html`<a href=${linkTo(machine)}>${machine}</a>`}</td><td class="number">${count}</td><td>${clock(at)}</td><td class="long">${why}</td></tr>`,
        )}
      <//>`
  }`;

export function Dns() {
  const { value: view, error } = useLoaded(() => get("/dns"), EVERY_MS);
  if (state.config?.dns === null) return html`<h1>DNS</h1><${Empty}>DNS is off: <code>dns: false</code> in the configuration.<//>`;
  return html`<h1>DNS</h1>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${
      view &&
      html`
      ${view.intervals.length === 0 ? html`<${Empty}>Nobody asked a question yet. Ask one from a machine: <code>dig AAAA deb.debian.org @${state.networks[0]?.address}</code><//>` : html`<${Rates} view=${view} />`}
      <${Totals} answers=${view.answers} />
      <${Upstreams} upstreams=${view.upstreams} />
      <${Unserved} unserved=${view.unserved} />`
    }`;
}
