/** What kind of client speaks, from what real ones send (firmware of EDK2, iPXE): each accepts another kind of answer. */
import type { ClientFacts } from "@netboot6/codec";

export type ClientKind = "firmware-http" | "firmware-pxe" | "ipxe" | "system";

/** The class is told first: iPXE under UEFI sends the firmware's architecture and a PXEClient vendor class too. */
export function clientKind(facts: Pick<ClientFacts, "userClasses" | "vendorClass" | "architectures">): ClientKind {
  if (facts.userClasses.includes("iPXE")) return "ipxe";
  const shows = (start: string): boolean => facts.vendorClass?.classes.some((text) => text.startsWith(start)) ?? false;
  if (shows("HTTPClient")) return "firmware-http";
  if (shows("PXEClient") || facts.architectures.length > 0) return "firmware-pxe";
  return "system";
}

/** Also a boot program of another name: a system sends no user class, unless it is told to. */
export const isBootClient = (kind: ClientKind, { userClasses }: Pick<ClientFacts, "userClasses">): boolean =>
  kind !== "system" || userClasses.length > 0;
