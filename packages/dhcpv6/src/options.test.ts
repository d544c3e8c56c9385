/** What an answer carries: RFC 9915 §18.3, §21.7; RFC 5970; and what the configuration says of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeAddresses,
  decodeDomains,
  decodeTexts,
  encodeTexts,
  encodeU16List,
  encodeVendorClass,
  findOption,
  MessageType,
  type Option,
  OptionCode,
} from "@netboot6/codec";
import { clientId, given, iaNa, iaPd, ias, reply, send, serverId, wants } from "./test-messages.ts";
import { type TestServer, testServer } from "./test-server.ts";

const BOOT = `networks: [{ interface: prov0 }]
boot:
  rules:
    - { arch: [x64-uefi-http], url: "{{ http }}/a.efi", params: ["{{ machine.name }}", "two"] }
`;
const ARCHITECTURE: Option = { code: OptionCode.clientArchitecture, data: encodeU16List([16]) };
const HTTP_CLIENT: Option = {
  code: OptionCode.vendorClass,
  data: encodeVendorClass({ enterprise: 343, classes: ["HTTPClient:Arch:00016:UNDI:003001"] }),
};

const options = (server: TestServer, ...more: Option[]): readonly Option[] =>
  reply(send(server, MessageType.solicit, [clientId(1), iaNa(1), ...more])).options;
const codes = (server: TestServer, ...more: Option[]): number[] => options(server, ...more).map(({ code }) => code);

test("RFC 5970: the boot file's URL and its parameters are for a client that asks for each, rendered", async () => {
  const server = await testServer(BOOT);
  const { bootfileUrl, bootfileParam, vendorClass } = OptionCode;
  const related: ReadonlySet<number> = new Set([bootfileUrl, bootfileParam, vendorClass]);
  const boot = (...more: Option[]) => codes(server, ARCHITECTURE, HTTP_CLIENT, ...more).filter((code) => related.has(code));
  assert.deepEqual(boot(wants(OptionCode.dnsServers)), []);
  assert.deepEqual(boot(wants(bootfileUrl)), [bootfileUrl, vendorClass]);
  assert.deepEqual(boot(wants(bootfileParam)), [bootfileParam]);
  assert.deepEqual(boot(wants(bootfileUrl, bootfileParam)), [bootfileUrl, bootfileParam, vendorClass]);
  const params = decodeTexts(findOption(options(server, ARCHITECTURE, wants(bootfileParam)), bootfileParam) ?? new Uint8Array());
  assert.deepEqual(
    params?.map((each) => each.toString()),
    ["m-525400000001", "two"],
  );
});

test("a boot client that sends no Option Request is given what it needs; a system is not", async () => {
  const server = await testServer(BOOT);
  const needed: readonly number[] = [OptionCode.bootfileUrl, OptionCode.bootfileParam, OptionCode.dnsServers];
  assert.deepEqual(
    codes(server, ARCHITECTURE).filter((code) => needed.includes(code)),
    needed,
  );
  assert.deepEqual(
    codes(server).filter((code) => needed.includes(code)),
    [],
  );
});

test("EDK2 HttpBootDhcp6.c: an answer without a boot file says no HTTPClient, so that a URL in the boot option of the firmware is taken", async () => {
  const server = await testServer("networks: [{ interface: prov0 }]\nboot: { rules: [{ arch: [x64-uefi], url: '{{ tftp }}/a.efi' }] }\n");
  assert.equal(findOption(options(server, ARCHITECTURE, HTTP_CLIENT, wants(59)), OptionCode.vendorClass), undefined);
});

test("firmware is told HTTPClient whichever of its vendor classes says so", async () => {
  const second = encodeVendorClass({ enterprise: 343, classes: ["RackClient", "HTTPClient:Arch:00016:UNDI:003001"] });
  const answer = options(await testServer(BOOT), ARCHITECTURE, { code: OptionCode.vendorClass, data: second }, wants(59));
  assert.ok(findOption(answer, OptionCode.vendorClass));
});

test("what the network says is given: preference, DNS, search list, T1, T2 and lifetimes", async () => {
  const server = await testServer(`networks:
  - interface: prov0
    dhcp:
      preference: 7
      dns: ["2001:db8::53"]
      search: [dhcp.example]
      lifetimes: { preferred: 500s, valid: 900s, renew: 200s, rebind: 300s }
`);
  const answer = options(server, wants(OptionCode.dnsServers, OptionCode.domainSearch));
  assert.deepEqual(findOption(answer, OptionCode.preference), Uint8Array.of(7));
  assert.deepEqual(decodeAddresses(findOption(answer, OptionCode.dnsServers) ?? new Uint8Array()), { ok: true, value: ["2001:db8::53"] });
  assert.deepEqual(decodeDomains(findOption(answer, OptionCode.domainSearch) ?? new Uint8Array()), { ok: true, value: ["dhcp.example"] });
  const request = send(server, MessageType.request, [clientId(1), serverId, iaNa(1)]);
  const [ia] = ias(reply(request));
  assert.deepEqual(ia && [ia.t1, ia.t2, ia.leased[0]?.[1]], [200, 300, 900]);
  assert.equal(request.leases[0]?.validUntil, Math.floor(server.now / 1000) + 900);
});

test("two cards of one machine, firmware on both, have two addresses; the reserved one is the first's, and the second is told who has it", async () => {
  const server = await testServer(`networks: [{ interface: prov0 }]
machines: [{ name: node-01, mac: ["52:54:00:00:00:01", "52:54:00:00:00:02"], address: "2001:db8:0:1::aa" }]
`);
  const uuid: Option = { code: OptionCode.clientId, data: Uint8Array.of(0, 4, ...Array(15).fill(7), 8) };
  const boot = (card: number, iaid: number) =>
    send(server, MessageType.request, [uuid, serverId, iaNa(iaid), ARCHITECTURE], { source: `fe80::5054:ff:fe00:${card}` });
  assert.equal(given(boot(1, 1)), "2001:db8:0:1::aa");
  const second = boot(2, 2);
  assert.equal(given(second), "2001:db8:0:1:5054:ff:fe00:2");
  const event = second.events.find(({ type }) => type === "dhcpv6.answered");
  assert.ok(event?.type === "dhcpv6.answered" && event.machine === "node-01");
  assert.match(event.why.join(), /2001:db8:0:1::aa is reserved for it, and its interface 52:54:00:00:00:01 has it/);
  const classes: Option = { code: OptionCode.userClass, data: encodeTexts(["iPXE"]) };
  const ipxe = send(server, MessageType.request, [clientId(1), serverId, iaNa(9), classes], { source: "fe80::5054:ff:fe00:1" });
  assert.equal(given(ipxe), "2001:db8:0:1::aa", "the next stage on the first");
});

test("where dhcp says no DNS or search list, what is advertised is given; else the appliance itself and its domain, or nothing", async () => {
  const told = async (network: string, more = "domain: rack.example\n"): Promise<unknown> => {
    const server = await testServer(`${more}networks: [{ interface: prov0, ${network} }]\n`);
    const answer = options(server, wants(OptionCode.dnsServers, OptionCode.domainSearch));
    const [dns, search] = [findOption(answer, OptionCode.dnsServers), findOption(answer, OptionCode.domainSearch)];
    return [dns && decodeAddresses(dns), search && decodeDomains(search)].map((each) => (each?.ok ? each.value : undefined));
  };
  const itself = [["2001:db8:0:1::1"], ["rack.example"]];
  assert.deepEqual(await told('advertise: { dns: ["2001:db8::53"], search: [ra.example] }'), [["2001:db8::53"], ["ra.example"]]);
  for (const advertise of ["{}", "false", "observe"]) assert.deepEqual(await told(`advertise: ${advertise}`), itself, advertise);
  assert.deepEqual(await told("advertise: {}", "dns: false\n"), [undefined, undefined]);
});

test("a boot file's URL names the address that the client is given in the same answer, and not its prefix", async () => {
  const server = await testServer(`networks: [{ interface: prov0, dhcp: { delegate: { prefix: "2001:db8:fff::/48", length: 60 } } }]
boot: { rules: [{ url: "{{ http }}/{{ machine.address }}" }] }
`);
  const url = (...ias: Option[]): string =>
    Buffer.from(options(server, ...ias, wants(59)).find(({ code }) => code === OptionCode.bootfileUrl)?.data ?? []).toString();
  assert.equal(url(iaPd(1)), "http://[2001:db8:0:1::1]/2001:db8:0:1:5054:ff:fe00:1");
});
