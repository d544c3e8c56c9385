/** Boot files that Debian has: kernels, installers and boot programs. */

export interface DebianSource {
  /** The Debian release that has the package, whichever runs here. */
  readonly suite: string;
  readonly package: string;
  /** Debian's name for it, where the package is made for one. */
  readonly architecture?: "amd64" | "arm64";
  /** Path under boot-assets -> path in the package. */
  readonly files: Readonly<Record<string, string>>;
}

export interface Asset {
  readonly what: string;
  readonly packages: readonly DebianSource[];
}

const INSTALLER = "usr/lib/debian-installer/images/12";
const installer = (architecture: string, folder: string): DebianSource => ({
  suite: "bookworm",
  package: `debian-installer-12-netboot-${architecture}`,
  files: Object.fromEntries(
    ["linux", "initrd.gz"].map((file) => [
      `${folder}/${file}`,
      `${INSTALLER}/${architecture}/text/debian-installer/${architecture}/${file}`,
    ]),
  ),
});

/** shim (signed by Microsoft) and GRUB (signed by Debian). Debian 12's GRUB cannot go on from HTTP boot; 13's can. */
const signed = (architecture: "amd64" | "arm64", cpu: string, suffix: string): readonly DebianSource[] => [
  {
    suite: "trixie",
    package: "shim-signed",
    architecture,
    files: { [`grub/${cpu}/shim${suffix}.efi`]: `usr/lib/shim/shim${suffix}.efi.signed` },
  },
  {
    suite: "trixie",
    package: `grub-efi-${architecture}-signed`,
    architecture,
    files: {
      [`grub/${cpu}/grub${suffix}.efi`]: `usr/lib/grub/${cpu === "arm64" ? "arm64" : "x86_64"}-efi-signed/grubnet${suffix}.efi.signed`,
    },
  },
];

export const ASSETS = {
  "debian-12": { what: "Debian 12's installer for x86-64", packages: [installer("amd64", "debian-12")] },
  "debian-12-arm64": { what: "Debian 12's installer for ARM64", packages: [installer("arm64", "debian-12/arm64")] },
  ipxe: {
    what: "iPXE for x86-64, ARM64 and BIOS",
    packages: [
      {
        // Debian 12's asks for no autoexec.ipxe, and has no build for arm64.
        suite: "trixie",
        package: "ipxe",
        files: {
          "ipxe/x86_64/ipxe.efi": "usr/lib/ipxe/ipxe-amd64.efi",
          "ipxe/x86_64/ipxe.lkrn": "usr/lib/ipxe/ipxe.lkrn",
          "ipxe/arm64/ipxe.efi": "usr/lib/ipxe/ipxe-arm64.efi",
        },
      },
    ],
  },
  "shim-grub": {
    what: "shim and GRUB, signed for Secure Boot, for x86-64 and ARM64",
    packages: [...signed("amd64", "x86_64", "x64"), ...signed("arm64", "arm64", "aa64")],
  },
} as const satisfies Record<string, Asset>;

export type AssetName = keyof typeof ASSETS;

export const isAssetName = (name: string): name is AssetName => Object.hasOwn(ASSETS, name);

/** The asset that brings this path under boot-assets. */
export const assetOf = (path: string): AssetName | undefined =>
  Object.entries<Asset>(ASSETS).find(([, { packages }]) => packages.some(({ files }) => Object.hasOwn(files, path)))?.[0] as
    | AssetName
    | undefined;
