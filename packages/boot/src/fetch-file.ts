/** A file from a URL, of which the checksum is known: what was broken off goes on where it stood. */
import { mkdir, open, rm, stat } from "node:fs/promises";
import { get as getHttp, type IncomingMessage } from "node:http";
import { get as getHttps } from "node:https";
import { dirname } from "node:path";
import { AssetError, type DownloadOptions, sha256 as sumOf } from "./debian-package.ts";

const MAX_REDIRECTS = 5;
const SILENT_MS = 60_000;

/** Downloads into `part`, which stays where it is broken off. Throws AssetError where it cannot be had, or is another. */
export async function fetchFile(url: string, sha256: string, part: string, options: DownloadOptions): Promise<void> {
  const { onProgress, signal } = options;
  await mkdir(dirname(part), { recursive: true });
  const have = (await stat(part).catch(() => null))?.size ?? 0;
  const failed = (what: string, cause: unknown): AssetError => {
    signal?.throwIfAborted();
    return new AssetError(`${url}: ${what}${(cause as Error).message}`);
  };
  const response = await request(url, have, signal).catch((cause: unknown) => {
    throw failed("", cause);
  });
  const status = response.statusCode ?? 0;
  const goesOn = status === 206;
  // 416: there is no more of it.
  if (status === 416) response.resume();
  else {
    if (!goesOn && status !== 200) throw new AssetError(`${url}: ${status} ${response.statusMessage}`);
    let got = goesOn ? have : 0;
    const length = response.headers["content-length"];
    const total = length === undefined ? null : Number(length) + got;
    const file = await open(part, goesOn ? "a" : "w");
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        await file.write(chunk);
        got += chunk.length;
        if (total) onProgress?.({ what: "file", fraction: got / total, total });
      }
    } catch (cause) {
      throw failed("broken off; the same command goes on where it stood: ", cause);
    } finally {
      await file.close();
    }
  }
  const sum = await sumOf(part, options);
  if (sum === sha256) return;
  await rm(part);
  throw new AssetError(`${url} is not what was expected: its SHA-256 is ${sum}`);
}

/** The head of what is at the URL, or where that leads, from byte `from` on. */
async function request(url: string, from: number, signal: AbortSignal | undefined, redirects = 0): Promise<IncomingMessage> {
  const headers = from > 0 ? { Range: `bytes=${from}-` } : {};
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const get = url.startsWith("https:") ? getHttps : getHttp;
    const asked = get(url, { headers, ...(signal ? { signal } : {}) }, resolve);
    asked.setTimeout(SILENT_MS, () => asked.destroy(new Error(`nothing was heard for ${SILENT_MS / 1000} s`)));
    asked.once("error", reject);
  });
  const { location } = response.headers;
  if (location === undefined || (response.statusCode ?? 0) < 300 || (response.statusCode ?? 0) > 399) return response;
  response.resume();
  if (redirects >= MAX_REDIRECTS) throw new Error("it leads from one place to another and does not end");
  return request(new URL(location, url).href, from, signal, redirects + 1);
}
