/** A file from a URL, of which the checksum is known: what was broken off goes on where it stood. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { AssetError, type DownloadOptions } from "./debian-package.ts";

/** Downloads into `part`, which stays where it is broken off. Throws AssetError where it cannot be had, or is another. */
export async function fetchFile(url: string, sha256: string, part: string, { onProgress, signal }: DownloadOptions): Promise<void> {
  await mkdir(dirname(part), { recursive: true });
  const have = (await stat(part).catch(() => null))?.size ?? 0;
  const init: RequestInit = { ...(have > 0 ? { headers: { Range: `bytes=${have}-` } } : {}), ...(signal ? { signal } : {}) };
  const response = await fetch(url, init).catch((cause: Error) => {
    signal?.throwIfAborted();
    throw new AssetError(`${url}: ${(cause.cause as Error | undefined)?.message ?? cause.message}`);
  });
  const goesOn = response.status === 206;
  // 416: there is no more of it.
  if (response.status !== 416) {
    if (!response.ok || !response.body) throw new AssetError(`${url}: ${response.status} ${response.statusText}`);
    const length = response.headers.get("content-length");
    const total = length === null ? null : Number(length) + (goesOn ? have : 0);
    let got = goesOn ? have : 0;
    const file = await open(part, goesOn ? "a" : "w");
    try {
      for await (const chunk of response.body) {
        await file.write(chunk);
        got += chunk.length;
        if (total) onProgress?.({ what: "file", fraction: got / total, total });
      }
    } catch (cause) {
      signal?.throwIfAborted();
      throw new AssetError(`${url}: broken off (${(cause as Error).message}); the same command goes on where it stood`);
    } finally {
      await file.close();
    }
  }
  const hash = createHash("sha256");
  await pipeline(createReadStream(part), hash);
  const sum = hash.digest("hex");
  if (sum === sha256) return;
  await rm(part);
  throw new AssetError(`${url} is not what was expected: its SHA-256 is ${sum}`);
}
