/** Information-request: RFC 9915 §18.3.6, and the options that a network gives. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeAddresses, decodeOptions, findOption, MessageType, OptionCode, readU32 } from "@netboot6/codec";
import { clientId, reply, send, wants } from "./test-messages.ts";
import { testServer } from "./test-server.ts";

test("only what is asked for is given: DNS, search list, SOL_MAX_RT, refresh time", async () => {
  const server = await testServer();
  const codes = (type: number, ...asked: number[]) =>
    reply(send(server, type, [clientId(1), wants(...asked)])).options.map(({ code }) => code);
  assert.deepEqual(codes(MessageType.informationRequest), [1, 2]);
  assert.deepEqual(codes(MessageType.informationRequest, 23, 24, 82, 32), [1, 2, 23, 24, 82, 32]);
});

test("§18.3.6: answered also where nothing tells who asks; a client identifier is echoed where there is one", async () => {
  const server = await testServer();
  const nobody = send(server, MessageType.informationRequest, [wants(OptionCode.dnsServers)]);
  assert.deepEqual(
    reply(nobody).options.map(({ code }) => code),
    [OptionCode.serverId, OptionCode.dnsServers],
  );
  assert.deepEqual([nobody.machines, nobody.leases], [[], []]);
  assert.equal([...server.state.machines.all()].length, 0);
  const known = reply(send(server, MessageType.informationRequest, [clientId(1)]));
  assert.deepEqual(findOption(known.options, OptionCode.clientId), clientId(1).data);
});

test("§21.25: INF_MAX_RT is for an Information-request that asks for it", async () => {
  const server = await testServer();
  const option = (type: number, ...asked: number[]) =>
    findOption(reply(send(server, type, [clientId(1), wants(...asked)])).options, OptionCode.infMaxRt);
  assert.equal(readU32(option(MessageType.informationRequest, OptionCode.infMaxRt) ?? new Uint8Array(4), 0), 3600);
  assert.equal(option(MessageType.informationRequest, OptionCode.solMaxRt), undefined);
  assert.equal(option(MessageType.solicit, OptionCode.infMaxRt), undefined);
});

test("RFC 5908: an NTP server is one address suboption each; without servers, or unasked, there is no option", async () => {
  const ntp = async (servers: string, ...asked: number[]) => {
    const server = await testServer(`networks:\n  - interface: prov0\n    dhcp: { ntp: [${servers}] }\n`);
    return findOption(reply(send(server, MessageType.informationRequest, [clientId(1), wants(...asked)])).options, OptionCode.ntpServer);
  };
  const data = await ntp('"2001:db8:0:1::1", "2001:db8::123"', OptionCode.ntpServer);
  const suboptions = decodeOptions(data ?? new Uint8Array());
  assert.ok(suboptions.ok);
  assert.deepEqual(
    suboptions.value.map(({ code, data: address }) => [code, decodeAddresses(address)]),
    ["2001:db8:0:1::1", "2001:db8::123"].map((address) => [1, { ok: true, value: [address] }]),
  );
  assert.equal(await ntp('"2001:db8:0:1::1"', OptionCode.dnsServers), undefined);
  assert.equal(await ntp("", OptionCode.ntpServer), undefined);
});
