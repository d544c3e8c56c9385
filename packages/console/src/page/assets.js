/** The files that machines boot, and the configuration as it is understood. */
import { get } from "./api.js";
import { html } from "./htm-preact.js";
import { Empty, Table, useLoaded } from "./parts.js";
import { state } from "./store.js";
import { bytes, clock } from "./words.js";

const EVERY_MS = 10_000;
const MOST = 500;

export function Assets({ words }) {
  const { value, error } = useLoaded(() => get("/assets"), EVERY_MS);
  const files = (value?.files ?? []).filter(({ path }) => path.toLowerCase().includes(words.toLowerCase()));
  return html`
    <h1>Assets ${value && html`<span class="prefix">${value.root ?? "no files are served: http and tftp are off"}</span>`}</h1>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${value?.missing.map(({ key, what, mend }) => html`<div class="verdict"><p><b>${key}: ${what}</b></p><p>${mend}</p></div>`)}
    ${value?.root && value.files.length === 0 && html`<${Empty}>Nothing is there yet. Put a boot program and an installer there: <code>netboot6 assets add ipxe debian-12</code><//>`}
    ${
      files.length > 0 &&
      html`<${Table} label="Files" heads=${["Path", "Size", "Changed", "Used by"]}>
        ${files
          .slice(0, MOST)
          .map(
            ({ path, size, modified, usedBy }) =>
              html`<tr key=${path}><td class="mono">${path}</td><td class="number">${bytes(size)}</td><td>${clock(modified)}</td><td>${usedBy.join(", ")}</td></tr>`,
          )}
      <//>`
    }
    ${(files.length > MOST || value?.truncated) && html`<p class="note">There are more files than are shown here.</p>`}
  `;
}

/** Plain data as YAML would show it. */
function yaml(value, indent = "") {
  const inner = `${indent}  `;
  if (typeof value !== "object" || value === null) return ` ${typeof value === "string" ? quoted(value) : JSON.stringify(value)}`;
  const rows = Array.isArray(value) ? value.map((each) => ["-", each]) : Object.entries(value).map(([key, each]) => [`${key}:`, each]);
  if (rows.length === 0) return Array.isArray(value) ? " []" : " {}";
  return rows.map(([head, each]) => `\n${indent}${head}${yaml(each, inner)}`).join("");
}

const quoted = (text) =>
  /^[A-Za-z/][\w./ -]*$/.test(text) && !/^(true|false|null|yes|no|on|off)$/i.test(text) ? text : JSON.stringify(text);

export const Configuration = () => html`
  <h1>Configuration as understood</h1>
  <p class="note">With all defaults, secrets blanked. Change <code>appliance.yaml</code>, look at it with <code>netboot6 check</code>, then <code>systemctl reload netboot6</code>.</p>
  <pre class="scroll" tabindex="0" role="region" aria-label="Configuration">${yaml(state.config).slice(1)}</pre>
`;
