/** A board's UUID: its text (RFC 9562 §4), and the two byte orders that it is written in. */

export function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join("-");
}

/** Turns text order into SMBIOS order and back: the first three fields change their byte order. */
export function swapUuid(bytes: Uint8Array): Uint8Array {
  const b = (i: number): number => bytes[i] as number;
  return Uint8Array.of(b(3), b(2), b(1), b(0), b(5), b(4), b(7), b(6), ...bytes.subarray(8, 16));
}

const swapped = (uuid: string): string => formatUuid(swapUuid(Buffer.from(uuid.replaceAll("-", ""), "hex")));

/** Whether both are one UUID, in whichever order each was written. */
export const sameUuid = (a: string, b: string): boolean => a === b || a === swapped(b);

/** What boards without a UUID of their own send, in text order: from firmware vendors' sample data and AMI's, Dell's blank tags. */
const PLACEHOLDERS = [
  "03000200-0400-0500-0006-000700080009",
  "00010203-0405-0607-0809-0a0b0c0d0e0f",
  "01234567-89ab-cdef-0123-456789abcdef",
  "12345678-1234-5678-90ab-cddeefaabbcc",
  "12345678-1234-1234-1234-123456789abc",
  "4c4c4544-0000-2010-8020-80c04f202020",
  "deadbeef-dead-beef-dead-beefdeadbeef",
];
const PLACEHOLDER_SET = new Set([...PLACEHOLDERS, ...PLACEHOLDERS.map(swapped)]);

/** Whether it is no board's own: all bytes the same, or a vendor's placeholder in either byte order. */
export function isPlaceholderUuid(uuid: string): boolean {
  if (PLACEHOLDER_SET.has(uuid)) return true;
  if (uuid.charCodeAt(0) !== uuid.charCodeAt(2)) return false; // nearly all end here
  const hex = uuid.replaceAll("-", "");
  return hex === hex.slice(0, 2).repeat(16);
}
