/** The appliance's API, as this page uses it. */
const TOKEN = "netboot6.token";

export const token = () => sessionStorage.getItem(TOKEN);
/** Kept in this tab alone, until it is closed. */
export const keepToken = (text) => sessionStorage.setItem(TOKEN, text);
export const dropToken = () => sessionStorage.removeItem(TOKEN);

/** `status` 0: the appliance does not answer. */
class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const ANSWER_MS = 15_000;
const SILENT = "The appliance does not answer. On its host: systemctl status netboot6";

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(token() === null ? {} : { authorization: `Bearer ${token()}` }) };
  const signal = options.signal ?? AbortSignal.timeout(ANSWER_MS);
  const response = await fetch(path, { ...options, headers, signal, cache: "no-store" }).catch(() => {
    throw new Refused(0, SILENT);
  });
  if (response.ok) return response;
  const { detail } = await response.json().catch(() => ({}));
  throw new Refused(response.status, detail ?? `${response.status} ${response.statusText}`);
}

/** Throws Refused. */
export const get = async (path) => (await ask(`/api/v1${path}`)).json();

/** Throws Refused. */
export async function change(method, path, body) {
  const json = body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  await ask(`/api/v1${path}`, { method, ...json });
}

/** Longer than the stream is ever silent. */
const SILENCE_MS = 40_000;

/**
 * Events as they happen, until the stream ends: then it throws. EventSource cannot send the token, so fetch reads the stream.
 */
export async function follow(onOpen, onEvent) {
  const abort = new AbortController();
  let alarm = setTimeout(() => abort.abort(), SILENCE_MS);
  try {
    const response = await ask("/api/v1/events", { signal: abort.signal });
    onOpen();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Refused(0, SILENT);
      clearTimeout(alarm);
      alarm = setTimeout(() => abort.abort(), SILENCE_MS);
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line.startsWith("data: ")) onEvent(JSON.parse(line.slice(6)));
    }
  } catch (cause) {
    throw cause instanceof Refused ? cause : new Refused(0, SILENT);
  } finally {
    clearTimeout(alarm);
  }
}
