export * from "./address.ts";
export * from "./decoded.ts";
export * from "./dhcpv6/client.ts";
export * from "./dhcpv6/constants.ts";
export * from "./dhcpv6/duid.ts";
export * from "./dhcpv6/message.ts";
export * from "./dhcpv6/options.ts";
export * from "./ndp.ts";
