/** The stages of a boot. */

export type StageName = "firmware" | "program" | "ipxe" | "script" | "kernel" | "initrd" | "installer" | "answers" | "done";

/** In the order of a boot. */
export const STAGES: readonly { readonly name: StageName; readonly label: string }[] = [
  { name: "firmware", label: "firmware asks for an address and a boot file" },
  { name: "program", label: "boot program" },
  { name: "ipxe", label: "iPXE asks for its script" },
  { name: "script", label: "script" },
  { name: "kernel", label: "kernel" },
  { name: "initrd", label: "initrd" },
  { name: "installer", label: "installer is up" },
  { name: "answers", label: "answers file" },
  { name: "done", label: "reports back" },
];

export const stageOrder = (name: StageName): number => STAGES.findIndex((stage) => stage.name === name);

/** Whether it is what a boot program runs to boot its profile, or to get there. */
export const isScript = (path: string): boolean => /\.ipxe$|\/grub\.cfg$/.test(path);

/** Whether it is a first program: firmware's or iPXE's to run. */
export const isProgram = (path: string): boolean => /\.(efi|lkrn|k?k?pxe)$/.test(path) && !isOptional(path);

/** autoexec.ipxe only leads iPXE to its script. */
export const scriptStage = (path: string): "ipxe" | "script" => (path.endsWith("/autoexec.ipxe") ? "ipxe" : "script");

/**
 * What shim and GRUB ask for and do without where it is not there: revocations, certificates, and GRUB's modules and their lists: a signed
 * GRUB has in it what it may have. Browsers look for an icon beside each text.
 */
export const isOptional = (path: string): boolean =>
  /(?:revocations_\w+|shim_certificate_\d+)\.efi$|-efi\/\w+\.(?:lst|mod)$|^\/favicon\.ico$/.test(path);
