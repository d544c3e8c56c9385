/** What several sections show. */
import { change } from "./api.js";
import { html, useEffect, useRef, useState } from "./htm-preact.js";
import { lock, reload, state } from "./store.js";
import { look } from "./words.js";

export const Badge = ({ stage }) => {
  const { letter, phase } = look(stage);
  return html`<span class="badge ${phase}" aria-hidden="true">${letter}</span>`;
};

export const linkTo = (id) => `#/machines/${encodeURIComponent(id)}`;

/** A sentence in which keys and commands stand in backticks. */
export const Words = ({ text }) => text.split("`").map((part, i) => (i % 2 === 1 ? html`<code>${part}</code>` : part));

export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;

/** Looks something up while a section is shown, and again `every` so many milliseconds. */
export function useLoaded(load, every) {
  const [found, setFound] = useState({ value: null, error: null });
  useEffect(() => {
    let shown = true;
    const look = async () => {
      try {
        const value = await load();
        if (shown) setFound({ value, error: null });
      } catch (error) {
        if (shown) setFound((before) => ({ ...before, error: error.message }));
      }
    };
    void look();
    const timer = setInterval(look, every);
    return () => {
      shown = false;
      clearInterval(timer);
    };
  }, []);
  return found;
}

/** Whether changes can be made at all: the appliance takes none without a token. */
export const mayChange = () => state.config !== null && state.config.console?.token !== null;

export const HowToAllow = () => html`<p class="note">
  Changes are off: no token is configured. Put one into <code>appliance.yaml</code>, then reload with <code>systemctl reload netboot6</code>:
  <code class="block">console: { token: "a long random text" }</code>
</p>`;

/** A dialog that is open as long as it is shown; Escape cancels it. */
export function Dialog({ title, onCancel, onSubmit, children }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  const submit = (event) => {
    event.preventDefault();
    void onSubmit();
  };
  const cancel = (event) => {
    event.preventDefault();
    onCancel?.();
  };
  return html`<dialog ref=${dialog} aria-labelledby="dialog-title" onCancel=${cancel}>
    <form onSubmit=${submit}><h2 id="dialog-title">${title}</h2>${children}</form>
  </dialog>`;
}

/** Asks before it acts. `action`: { title, text, button, method, path, body, after }. */
export function Confirm({ action, onEnd }) {
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const act = async () => {
    setBusy(true);
    try {
      await change(action.method, action.path, action.body);
      action.after?.();
      await reload();
      onEnd();
    } catch (refused) {
      // The token is asked for above this dialog; then it can be confirmed again.
      if (refused.status === 401) lock();
      else setError(refused.message);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${action.title} onCancel=${onEnd} onSubmit=${act}>
    <p>${action.text}</p>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    <div class="buttons">
      <button type="button" autofocus onClick=${onEnd}>Cancel</button>
      <button type="submit" class="primary" disabled=${busy}>${action.button}</button>
    </div>
  <//>`;
}

/** A table that scrolls sideways on its own where it is too wide. */
export const Table = ({ label, heads, children }) => html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>
  <table>
    <thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
    <tbody>${children}</tbody>
  </table>
</div>`;
