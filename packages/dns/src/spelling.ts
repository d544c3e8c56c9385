/** Names in random upper and lower case: more for who forges an answer to guess (draft-vixie-dnsext-dns0x20). */
import { HEADER_LENGTH } from "./wire.ts";

/** The question with its letters in upper and lower case at random: an answer must repeat them. */
export function spell(question: Buffer, random: () => number): Buffer {
  const out = Buffer.from(question);
  let bits = 0;
  let left = 0;
  // Lengths of labels are below the letters.
  for (let at = 0; at < out.length - 4; at++) {
    const byte = out[at] as number;
    if (byte < 0x61 || byte > 0x7a) continue;
    if (left-- === 0) [bits, left] = [random(), 31];
    if (bits & 1) out[at] = byte & ~0x20;
    bits >>>= 1;
  }
  return out;
}

/** Whether the answer's question is ours but for the case of letters. */
export function isRespelled(question: Buffer, answer: Buffer): boolean {
  if (answer.length < HEADER_LENGTH + question.length) return false;
  for (let at = 0; at < question.length; at++) {
    const [ours, theirs] = [question[at] as number, answer[HEADER_LENGTH + at] as number];
    if (ours === theirs) continue;
    const letter = ours | 0x20;
    if (at >= question.length - 4 || letter !== (theirs | 0x20) || letter < 0x61 || letter > 0x7a) return false;
  }
  return true;
}
