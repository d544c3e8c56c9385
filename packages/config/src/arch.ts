/**
 * IANA's Processor Architecture Types (RFC 5970 §3.3), named as `boot.rules` writes them. The place in the list is the number.
 * 7 is x64 and 9 is EBC as in the registry and in every firmware; RFC 4578 had them swapped until its erratum of 2016.
 */
export const ARCH_NAMES = [
  "x86-bios",
  "nec-pc98",
  "itanium-uefi",
  "dec-alpha",
  "arc-x86",
  "intel-lean-client",
  "ia32-uefi",
  "x64-uefi",
  "xscale-uefi",
  "ebc",
  "arm32-uefi",
  "arm64-uefi",
  "powerpc-open-firmware",
  "powerpc-epapr",
  "power-opal",
  "ia32-uefi-http",
  "x64-uefi-http",
  "ebc-http",
  "arm32-uefi-http",
  "arm64-uefi-http",
  "pcbios-http",
  "arm32-uboot",
  "arm64-uboot",
  "arm32-uboot-http",
  "arm64-uboot-http",
  "riscv32-uefi",
  "riscv32-uefi-http",
  "riscv64-uefi",
  "riscv64-uefi-http",
  "riscv128-uefi",
  "riscv128-uefi-http",
  "s390-basic",
  "s390-extended",
  "mips32-uefi",
  "mips64-uefi",
  "sunway32-uefi",
  "sunway64-uefi",
  "loongarch32-uefi",
  "loongarch32-uefi-http",
  "loongarch64-uefi",
  "loongarch64-uefi-http",
  "arm-rpiboot",
] as const;

const NUMBERS: ReadonlyMap<string, number> = new Map(ARCH_NAMES.map((name, number) => [name, number]));

/** `x64-uefi` for 7; a number that the registry does not have yet is shown as `arch-99`. */
export const archName = (arch: number): string => ARCH_NAMES[arch] ?? `arch-${arch}`;

export const archNumber = (name: string): number | null => NUMBERS.get(name) ?? null;

/** UEFI firmware that boots by PXE, which over IPv6 means TFTP alone. */
export const isUefiPxe = (arch: number): boolean => archName(arch).endsWith("-uefi") || archName(arch) === "ebc";

/** What `kernel` and `initrd` may be given by. */
export const CPUS = ["ia32", "x64", "arm32", "arm64", "riscv32", "riscv64", "loongarch64"] as const;
