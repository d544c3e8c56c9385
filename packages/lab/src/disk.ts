/** A small disk that boots, so that a machine which is told to boot its disk shows that it did. */
import { execFileSync } from "node:child_process";
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** On the console of a machine that has booted it. */
export const DISK_BOOTED = "THE DISK BOOTED";

const SIZE = 64 * 1024 * 1024;

/**
 * Makes a raw image in `dir`. BIOS: its boot sector prints the words. UEFI, Secure Boot on or off: the shim and the GRUB of
 * `programs`, which read /grub/grub.cfg of where they came from, print them.
 */
export function bootableDisk(dir: string, programs: string): string {
  const disk = join(dir, "disk.img");
  const said = join(dir, "disk.message");
  const config = join(dir, "disk.cfg");
  mkdirSync(dir, { recursive: true });
  writeFileSync(disk, "");
  truncateSync(disk, SIZE);
  writeFileSync(said, `${DISK_BOOTED}\r\n`);
  writeFileSync(config, `echo ${DISK_BOOTED}\nsleep 3600\n`);
  execFileSync("mkfs.fat", ["-F", "32", "-m", said, disk]);
  const mtools = (...argv: string[]): void => void execFileSync(argv[0] as string, ["-i", disk, ...argv.slice(1)]);
  mtools("mmd", "::/EFI", "::/EFI/BOOT", "::/grub");
  mtools("mcopy", join(programs, "shimx64.efi"), "::/EFI/BOOT/BOOTX64.EFI");
  mtools("mcopy", join(programs, "grubx64.efi"), "::/EFI/BOOT/grubx64.efi");
  mtools("mcopy", config, "::/grub/grub.cfg");
  return disk;
}
