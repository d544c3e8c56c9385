/** DHCPv6 numbers: RFC 9915 §7.3, §21; option codes of later RFCs beside each. */

export const MessageType = {
  solicit: 1,
  advertise: 2,
  request: 3,
  confirm: 4,
  renew: 5,
  rebind: 6,
  reply: 7,
  release: 8,
  decline: 9,
  reconfigure: 10,
  informationRequest: 11,
  relayForward: 12,
  relayReply: 13,
} as const;

const MESSAGE_NAMES = new Map<number, string>([
  [1, "Solicit"],
  [2, "Advertise"],
  [3, "Request"],
  [4, "Confirm"],
  [5, "Renew"],
  [6, "Rebind"],
  [7, "Reply"],
  [8, "Release"],
  [9, "Decline"],
  [10, "Reconfigure"],
  [11, "Information-request"],
  [12, "Relay-forward"],
  [13, "Relay-reply"],
]);

/** The RFC's name of a message type, or `message type N`. */
export const messageName = (type: number): string => MESSAGE_NAMES.get(type) ?? `message type ${type}`;

export const OptionCode = {
  clientId: 1,
  serverId: 2,
  iaNa: 3,
  iaTa: 4,
  iaAddress: 5,
  optionRequest: 6,
  preference: 7,
  elapsedTime: 8,
  relayMessage: 9,
  statusCode: 13,
  rapidCommit: 14,
  userClass: 15,
  vendorClass: 16,
  vendorOptions: 17,
  interfaceId: 18,
  dnsServers: 23, // RFC 3646
  domainSearch: 24, // RFC 3646
  iaPd: 25,
  iaPrefix: 26,
  informationRefreshTime: 32,
  remoteId: 37, // RFC 4649
  subscriberId: 38, // RFC 4580
  clientFqdn: 39, // RFC 4704
  ntpServer: 56, // RFC 5908
  bootfileUrl: 59, // RFC 5970
  bootfileParam: 60, // RFC 5970
  clientArchitecture: 61, // RFC 5970
  networkInterfaceId: 62, // RFC 5970
  clientLinkLayerAddress: 79, // RFC 6939
  solMaxRt: 82,
  infMaxRt: 83,
  relayPort: 135, // RFC 8357
} as const;

/** RFC 9915 §21.13 */
export const Status = {
  success: 0,
  unspecFail: 1,
  noAddrsAvail: 2,
  noBinding: 3,
  notOnLink: 4,
  noPrefixAvail: 6,
} as const;

/** RFC 9915 §7.6: a relay drops beyond this. */
export const HOP_COUNT_LIMIT = 8;
/** RFC 9915 §11.1: a DUID is 2 bytes of type and 1 to 128 of value. */
export const DUID_MAX_BYTES = 130;
export const CLIENT_PORT = 546;
export const SERVER_PORT = 547;
/** RFC 9915 §7.1 */
export const ALL_RELAY_AGENTS_AND_SERVERS = "ff02::1:2";
export const ALL_DHCP_SERVERS = "ff05::1:3";
/** "infinity" in every lifetime, RFC 9915 §7.7. */
export const INFINITY = 0xffffffff;
