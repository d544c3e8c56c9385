/** DHCPv6 options by their names, as an operator reads them. */
import {
  decodeAddresses,
  decodeDomains,
  decodeIa,
  decodeIaAddress,
  decodeIaPrefix,
  decodeStatus,
  decodeTexts,
  decodeVendorClass,
  type Option,
  OptionCode,
} from "@netboot6/codec";

type Words = readonly [name: string, value: string];

const NAMES = new Map<number, string>(
  Object.entries(OptionCode).map(([name, code]) => [code, name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)]),
);

export const optionsInWords = (options: readonly Option[]): Words[] => options.map(inWords);

const nameOf = (code: number): string => NAMES.get(code) ?? `option ${code}`;

function inWords(option: Option): Words {
  return [nameOf(option.code), textOf(option)];
}

function textOf({ code, data }: Option): string {
  const bytes = Buffer.from(data);
  switch (code) {
    case OptionCode.iaNa:
    case OptionCode.iaPd:
      return associationOf(data);
    case OptionCode.iaAddress: {
      const value = decodeIaAddress(data);
      return value.ok ? `${value.value.address}, preferred ${value.value.preferred} s, valid ${value.value.valid} s` : value.why;
    }
    case OptionCode.iaPrefix: {
      const value = decodeIaPrefix(data);
      return value.ok
        ? `${value.value.prefix}/${value.value.length}, preferred ${value.value.preferred} s, valid ${value.value.valid} s`
        : value.why;
    }
    case OptionCode.statusCode: {
      const value = decodeStatus(data);
      return value.ok ? `${value.value.code} ${value.value.text}` : value.why;
    }
    case OptionCode.dnsServers: {
      const value = decodeAddresses(data);
      return value.ok ? value.value.join(", ") : value.why;
    }
    case OptionCode.domainSearch: {
      const value = decodeDomains(data);
      return value.ok ? value.value.join(", ") : value.why;
    }
    case OptionCode.vendorClass: {
      const value = decodeVendorClass(data);
      return value.ok ? `${value.value.classes.join(", ")} (enterprise ${value.value.enterprise})` : value.why;
    }
    case OptionCode.bootfileUrl:
      return bytes.toString("utf8");
    case OptionCode.bootfileParam:
      return (decodeTexts(data) ?? []).map(String).join(" ");
    case OptionCode.preference:
      return String(bytes[0]);
    case OptionCode.solMaxRt:
    case OptionCode.infMaxRt:
    case OptionCode.informationRefreshTime:
      return bytes.length === 4 ? `${bytes.readUInt32BE()} s` : bytes.toString("hex");
    default:
      return bytes.toString("hex");
  }
}

function associationOf(data: Uint8Array): string {
  const ia = decodeIa(data);
  if (!ia.ok) return ia.why;
  const inside = ia.value.options.map(inWords).map(([name, value]) => (name === "status-code" ? `status ${value}` : value));
  return [`IAID ${ia.value.iaid}, T1 ${ia.value.t1} s, T2 ${ia.value.t2} s`, ...inside].join("; ");
}
