/** What a decoder gives: the value, or why the bytes are none. Decoders never throw on bytes from the wire. */
export type Decoded<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string };

export const decoded = <T>(value: T): Decoded<T> => ({ ok: true, value });
export const undecodable = (why: string): { readonly ok: false; readonly why: string } => ({ ok: false, why });
