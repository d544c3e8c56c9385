export * from "./advertiser.ts";
export * from "./service.ts";
