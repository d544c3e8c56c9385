/** DNS messages in a stream: each after its length in two bytes (RFC 1035 §4.2.2). */
export class Frames {
  #parts: Buffer[] = [];
  #held = 0;

  /** The messages that `data` completes. */
  take(data: Buffer): Buffer[] {
    this.#parts.push(data);
    this.#held += data.length;
    // A message that comes byte by byte is put together once.
    if (this.#held < this.#needed()) return [];
    const all = this.#parts.length === 1 ? data : Buffer.concat(this.#parts);
    const messages: Buffer[] = [];
    let at = 0;
    while (at + 2 <= all.length && at + 2 + all.readUInt16BE(at) <= all.length) {
      const end = at + 2 + all.readUInt16BE(at);
      messages.push(all.subarray(at + 2, end));
      at = end;
    }
    this.#parts = at < all.length ? [all.subarray(at)] : [];
    this.#held = all.length - at;
    return messages;
  }

  #needed(): number {
    if (this.#held < 2) return 2;
    const [first, second] = this.#parts as [Buffer, Buffer?];
    return 2 + (first.length >= 2 ? first.readUInt16BE(0) : ((first[0] as number) << 8) | ((second as Buffer)[0] as number));
  }
}

export function frame(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(2 + message.length);
  framed.writeUInt16BE(message.length, 0);
  message.copy(framed, 2);
  return framed;
}
