/** What the page knows; it changes with the stream of events, and the appliance stays the judge of stages and verdicts. */
import { dropToken, follow, get, token } from "./api.js";

export const state = {
  /** By id, in the appliance's order; null until they are known. */
  machines: null,
  networks: [],
  stages: [],
  status: null,
  /** The configuration as the appliance understands it, secrets blanked. */
  config: null,
  /** `connecting`, `live`, `broken`. */
  stream: "connecting",
  /** Why nothing can be shown; null where it can. */
  error: null,
  /** The token is asked for. */
  locked: false,
  /** The one that was given was not taken. */
  wrongToken: false,
};

const FLUSH_MS = 250;
const FEW = 20;
const FEW_MS = 400;
const ALL_MS = 2_000;
const RETRY_MS = 2_000;

/** Events of no machine after which all is looked at anew. */
const CHANGES_ALL = new Set([
  "ra.heard",
  "appliance.reloaded",
  "appliance.waiting",
  "appliance.resumed",
  "service.ready",
  "service.failed",
  "operator.acted",
]);

const readers = new Set();
const listeners = new Set();
const dirty = new Set();
let flushing = false;
let loading = false;

/** `reader` is called at most 4 times a second; returns how to end that. */
export function watch(reader) {
  readers.add(reader);
  return () => readers.delete(reader);
}

/** Each event as it comes. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function changed() {
  if (flushing) return;
  flushing = true;
  setTimeout(() => {
    flushing = false;
    for (const reader of readers) reader();
  }, FLUSH_MS);
}

async function loadAll() {
  const paths = ["/stages", "/status", "/config", "/networks", "/machines"];
  const [stages, status, config, networks, machines] = await Promise.all(paths.map(get));
  Object.assign(state, { stages, status, config, networks, error: null });
  state.machines = new Map(machines.map((machine) => [machine.id, machine]));
}

/** Those that something happened to are asked for again: one by one while they are few, else all at a calmer pace. */
function refresh(machine) {
  dirty.add(machine);
  if (loading) return;
  loading = true;
  setTimeout(loadDirty, FEW_MS);
}

async function loadDirty() {
  const ids = [...dirty];
  dirty.clear();
  try {
    if (ids.length > FEW) await loadAll();
    else await Promise.all(ids.map(loadOne));
    state.error = null;
  } catch (error) {
    refuse(error);
    if (!state.locked) for (const id of ids) dirty.add(id);
  }
  loading = dirty.size > 0;
  if (loading) setTimeout(loadDirty, ids.length > FEW || state.error !== null ? ALL_MS : FEW_MS);
  changed();
}

async function loadOne(id) {
  try {
    state.machines?.set(id, await get(`/machines/${encodeURIComponent(id)}`));
  } catch (error) {
    if (error.status !== 404) throw error;
    state.machines?.delete(id);
  }
}

function refuse(error) {
  if (error.status === 401) lock();
  else state.error = error.message;
}

/** Asks for the token. */
export function lock() {
  state.wrongToken = token() !== null;
  dropToken();
  state.locked = true;
  changed();
}

/** Looks at all of it anew, as after an action. */
export async function reload() {
  try {
    await loadAll();
  } catch (error) {
    refuse(error);
  }
  changed();
}

/** Follows the stream for ever. After a gap everything is asked for anew. */
export async function run() {
  for (;;) {
    try {
      await follow(
        () => {
          state.stream = "live";
          void reload();
        },
        (event) => {
          if (event.machine) refresh(event.machine);
          else if (CHANGES_ALL.has(event.type)) void reload();
          for (const listener of listeners) listener(event);
        },
      );
    } catch (error) {
      refuse(error);
    }
    state.stream = "broken";
    changed();
    do await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    while (state.locked);
  }
}
