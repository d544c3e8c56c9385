/** TFTP packets: RFC 1350, options RFC 2347, 2348 (blksize), 2349 (timeout, tsize), 7440 (windowsize). */
import { type Decoded, decoded, undecodable } from "./decoded.ts";
import { readU16, writeU16 } from "./dhcpv6/message.ts";

const Opcode = { readRequest: 1, writeRequest: 2, data: 3, acknowledgement: 4, error: 5, optionAcknowledgement: 6 } as const;

export const TftpErrorCode = {
  undefined: 0,
  notFound: 1,
  accessViolation: 2,
  illegalOperation: 4,
  unknownTransfer: 5,
  optionRefused: 8,
} as const;

export type TftpPacket =
  | {
      readonly op: "read" | "write";
      readonly file: string /** lower case */;
      readonly mode: string /** names in lower case, in the client's order */;
      readonly options: ReadonlyMap<string, string>;
    }
  | { readonly op: "data"; readonly block: number; readonly data: Uint8Array }
  | { readonly op: "ack"; readonly block: number }
  | { readonly op: "error"; readonly code: number; readonly text: string }
  | { readonly op: "oack"; readonly options: ReadonlyMap<string, string> };

export function decodeTftp(bytes: Uint8Array): Decoded<TftpPacket> {
  if (bytes.length < 4) return undecodable(`${bytes.length} bytes are no TFTP packet`);
  const opcode = readU16(bytes, 0);
  switch (opcode) {
    case Opcode.readRequest:
    case Opcode.writeRequest: {
      const [file, mode, ...rest] = texts(bytes.subarray(2));
      if (file === undefined || mode === undefined || file === "") return undecodable("a request without a file name or mode");
      return decoded({ op: opcode === Opcode.readRequest ? "read" : "write", file, mode: mode.toLowerCase(), options: pairs(rest) });
    }
    case Opcode.data:
      return decoded({ op: "data", block: readU16(bytes, 2), data: bytes.subarray(4) });
    case Opcode.acknowledgement:
      return decoded({ op: "ack", block: readU16(bytes, 2) });
    case Opcode.error:
      return decoded({
        op: "error",
        code: readU16(bytes, 2),
        text: texts(bytes.subarray(4))[0] ?? Buffer.from(bytes.subarray(4)).toString("latin1"),
      });
    case Opcode.optionAcknowledgement:
      return decoded({ op: "oack", options: pairs(texts(bytes.subarray(2))) });
    default:
      return undecodable(`opcode ${opcode}`);
  }
}

/** The texts that end in NUL; what follows the last NUL is none. */
function texts(bytes: Uint8Array): string[] {
  const found: string[] = [];
  let from = 0;
  for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, from)) {
    found.push(Buffer.from(bytes.subarray(from, end)).toString("utf8"));
    from = end + 1;
  }
  return found;
}

function pairs(all: readonly string[]): Map<string, string> {
  const options = new Map<string, string>();
  for (let i = 0; i + 1 < all.length; i += 2) options.set((all[i] as string).toLowerCase(), all[i + 1] as string);
  return options;
}

export function encodeTftp(packet: TftpPacket): Uint8Array {
  switch (packet.op) {
    case "read":
    case "write": {
      const opcode = packet.op === "read" ? Opcode.readRequest : Opcode.writeRequest;
      return withTexts(opcode, [packet.file, packet.mode, ...[...packet.options].flat()]);
    }
    case "data": {
      const bytes = new Uint8Array(4 + packet.data.length);
      writeU16(bytes, 0, Opcode.data);
      writeU16(bytes, 2, packet.block);
      bytes.set(packet.data, 4);
      return bytes;
    }
    case "ack": {
      const bytes = new Uint8Array(4);
      writeU16(bytes, 0, Opcode.acknowledgement);
      writeU16(bytes, 2, packet.block);
      return bytes;
    }
    case "error": {
      const text = withTexts(0, [packet.text]);
      const bytes = new Uint8Array(text.length + 2);
      writeU16(bytes, 0, Opcode.error);
      writeU16(bytes, 2, packet.code);
      bytes.set(text.subarray(2), 4);
      return bytes;
    }
    case "oack":
      return withTexts(Opcode.optionAcknowledgement, [...packet.options].flat());
  }
}

function withTexts(opcode: number, all: readonly string[]): Uint8Array {
  const body = Buffer.from(all.map((text) => `${text}\0`).join(""), "utf8");
  const bytes = new Uint8Array(2 + body.length);
  writeU16(bytes, 0, opcode);
  bytes.set(body, 2);
  return bytes;
}
