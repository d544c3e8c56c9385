/** A file's bytes on their way into a response: in pieces, so that one client does not keep this thread from the others. */
import type { ServerResponse } from "node:http";
import type { Part } from "./file-answer.ts";
import type { Turn } from "./turns.ts";

/** Where bytes come from: whole in memory, or read as they are wanted. */
export interface Source {
  /** All of the stretch. Rejects where it cannot be read, or is of another file by now. */
  read(start: number, length: number): Buffer | Promise<Buffer>;
  close(): void;
}

export const inMemory = (body: Buffer): Source => ({ read: (start, length) => body.subarray(start, start + length), close: () => {} });

/** Bytes per write at most: as many as the kernel takes in a millisecond, which DHCPv6 on the same core waits for. */
const LARGEST_PIECE = 2 * 1024 * 1024;
const SMALLEST_PIECE = 64 * 1024;
const FIRST_PIECE = 256 * 1024;
/** A piece takes so long: what a slow machine takes is seen a few times a second, whose turn it is rests on that. */
const PIECE_MS = { least: 25, most: 100 } as const;
/** What a download gets so often while others go first: firmware gives up after 5 s without a byte. */
const WAITING_BYTES = 16 * 1024;
const WAITING_MS = 2_000;

/** For so long pieces are written in one turn of the event loop; then connections and requests that came in have theirs. */
const TURN_MS = 4;

const due: (() => void)[] = [];

/** The kernel takes megabytes at once: a turn that wrote a piece of each download would be long where there are many. */
function inTurn(write: () => void): void {
  if (due.push(write) === 1) setImmediate(writeDue);
}

function writeDue(): void {
  const end = performance.now() + TURN_MS;
  do due.shift()?.();
  while (due.length > 0 && performance.now() < end);
  if (due.length > 0) setImmediate(writeDue);
}

function nextPiece(bytes: number, tookMs: number): number {
  if (tookMs < PIECE_MS.least) return Math.min(bytes * 2, LARGEST_PIECE);
  return tookMs > PIECE_MS.most ? Math.max(bytes / 2, SMALLEST_PIECE) : bytes;
}

/** How far a body is. */
export interface Progress {
  /** Bytes that the kernel took. */
  sent: number;
  /** The next ones are awaited from this host's disk. */
  reading: boolean;
  /** The next ones cannot be had. */
  notReady(error: Error): void;
}

/** Writes the parts and ends the response. `turn` null: at once. */
export function sendBody(response: ServerResponse, source: Source, parts: readonly Part[], turn: Turn | null, progress: Progress): void {
  let part = 0;
  let done = 0;
  let ended = false;
  let waiting: NodeJS.Timeout | null = null;
  let pieceBytes = FIRST_PIECE;
  const end = (): void => {
    if (ended) return;
    ended = true;
    if (waiting) clearTimeout(waiting);
    turn?.end();
    source.close();
  };
  response.once("close", end);

  const write = (piece: Buffer): void => {
    progress.reading = false;
    if (ended) return;
    const began = performance.now();
    response.write(piece, (error) => {
      if (error || ended) return;
      if (piece.length > WAITING_BYTES) pieceBytes = nextPiece(pieceBytes, performance.now() - began);
      progress.sent += piece.length;
      turn?.count(piece.length);
      if (part === parts.length) {
        response.end();
        end();
      } else if (turn && !turn.active) waiting = setTimeout(next, WAITING_MS);
      else inTurn(next);
    });
  };
  const next = (): void => {
    if (ended) return;
    waiting = null;
    const current = parts[part] as Part;
    const size = Buffer.isBuffer(current) ? current.length : current.end - current.start + 1;
    const length = Math.min(size - done, turn && !turn.active ? WAITING_BYTES : pieceBytes);
    const from = done;
    done += length;
    if (done === size) {
      part++;
      done = 0;
    }
    const bytes = Buffer.isBuffer(current) ? current.subarray(from, from + length) : source.read(current.start + from, length);
    progress.reading = !Buffer.isBuffer(bytes);
    if (Buffer.isBuffer(bytes)) write(bytes);
    else bytes.then(write, (error: Error) => progress.notReady(error));
  };
  if (turn)
    turn.wake = () => {
      if (!waiting) return;
      clearTimeout(waiting);
      next();
    };
  if (parts.length === 0) response.end();
  else inTurn(next);
}
