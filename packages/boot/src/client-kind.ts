/** What kind of client speaks, from what real ones send (firmware of EDK2, iPXE): each accepts another kind of answer. */
import type { ClientFacts } from "@netboot6/codec";

export type ClientKind = "firmware-http" | "firmware-pxe" | "ipxe" | "system";

/** The class is told first: iPXE under UEFI sends the firmware's architecture and a PXEClient vendor class too. */
export function clientKind(facts: Pick<ClientFacts, "userClasses" | "vendorClass" | "architectures">): ClientKind {
  if (facts.userClasses.includes("iPXE")) return "ipxe";
  const vendor = facts.vendorClass?.classes[0] ?? "";
  if (vendor.startsWith("HTTPClient")) return "firmware-http";
  if (vendor.startsWith("PXEClient") || facts.architectures.length > 0) return "firmware-pxe";
  return "system";
}

export const isBootClient = (kind: ClientKind): boolean => kind !== "system";
