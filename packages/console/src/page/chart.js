/** One boot as bars over time. */
import { html } from "./htm-preact.js";
import { Badge } from "./parts.js";
import { state } from "./store.js";
import { bytes, clock, duration, look } from "./words.js";

const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400, 604_800];

/** A tick's label stands right of it: on a phone there is no room for one after so much of the axis. */
const LAST_TICK = 0.8;

/** Ticks of an axis over `span` milliseconds, in milliseconds: five at most. */
function ticks(span) {
  const step = 1000 * (STEPS_S.find((seconds) => span / (seconds * 1000) <= 5) ?? span / 5000);
  return Array.from({ length: Math.floor((LAST_TICK * span) / step) + 1 }, (_, i) => i * step);
}

const BESIDE = [
  ["router", "asks for routers"],
  ["names", "the installer looks names up"],
];

const percent = (part, whole) => `${Math.min(100, (100 * part) / whole).toFixed(2)}%`;

function says({ startedAt, endedAt, sent, size, attempts, failed }, now) {
  const took = Math.max(0, (endedAt ?? now) - startedAt);
  const parts = [endedAt === null ? `for ${duration(took)}` : duration(took)];
  if (failed !== null) parts.push("failed");
  else if (size > 0) parts.push(sent === size ? bytes(sent) : `${bytes(sent)} of ${bytes(size)}`);
  if (sent > 1e5 && took > 0) parts.push(`${bytes((sent * 1000) / took)}/s`);
  if (attempts > 1) parts.push(`asked ${attempts} times`);
  return parts.join(" · ");
}

/** `running`: it is the newest, and its last stage goes on now. */
export function Chart({ boot, running }) {
  const last = boot.stages.at(-1);
  if (!last) return html`<p class="note">Nothing of a boot was seen of it yet, only what is told below.</p>`;
  const going = running && last.endedAt === null;
  const now = going
    ? Date.now()
    : Math.max(...boot.stages.map(({ startedAt, endedAt }) => endedAt ?? startedAt), ...boot.entries.map(({ at }) => at));
  const rows = [...boot.stages, ...boot.beside].toSorted((a, b) => a.startedAt - b.startedAt);
  const begun = Math.min(boot.startedAt, ...rows.map(({ startedAt }) => startedAt));
  const span = Math.max(200, now - begun);
  const labels = new Map([...state.stages.map(({ name, label }) => [name, label]), ...BESIDE]);
  return html`<figure class="chart" aria-label="Stages of the boot that began at ${clock(boot.startedAt)}">
    ${rows.map((stage) => {
      const { name, startedAt, endedAt, failed, detail } = stage;
      const kind = failed !== null ? "failed" : endedAt === null ? "open" : "";
      const style = { left: percent(startedAt - begun, span), width: percent((endedAt ?? now) - startedAt, span) };
      return html`<div class="row" key=${`${name} ${startedAt}`} title=${`${labels.get(name)}: ${detail}`}>
        <span class="stage"><${Badge} stage=${name} />${name}</span>
        <span class="lane"><span class="bar ${look(name).phase} ${kind}" style=${style}></span></span>
        <span class="says">${says(stage, now)}</span>
      </div>`;
    })}
    <div class="row axis" aria-hidden="true">
      <span class="stage"></span>
      <span class="lane">${ticks(span).map((at) => html`<span class="tick" style=${{ left: percent(at, span) }}>${at === 0 ? "0" : duration(at).replace(".0 ", " ")}</span>`)}</span>
      <span class="says"></span>
    </div>
  </figure>`;
}
