/** Request: RFC 9915 §18.3.2, and who gets which address. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeTexts, encodeU16List, findOption, MessageType, type Option, OptionCode, Status } from "@netboot6/codec";
import { Leases } from "@netboot6/leases";
import { clientId, given, iaNa, ias, RANGE, reply, send, serverId, wants } from "./test-messages.ts";
import { testServer } from "./test-server.ts";

test("Solicit stores nothing; Request stores the lease it answers with, and its repetition is answered the same", async () => {
  const server = await testServer();
  const solicited = send(server, MessageType.solicit, [clientId(1), iaNa(7)]);
  assert.equal(reply(solicited).type, MessageType.advertise);
  assert.deepEqual(solicited.leases, []);
  const address = given(solicited);
  const requested = send(server, MessageType.request, [clientId(1), serverId, iaNa(7, address)]);
  assert.deepEqual(
    requested.leases.map((lease) => [lease.address, lease.iaid, lease.state]),
    [[address, 7, "bound"]],
  );
  assert.deepEqual(ias(reply(requested)), [{ iaid: 7, t1: 1000, t2: 2000, leased: [[address, 4000]], status: null }]);
  const again = send(server, MessageType.request, [clientId(1), serverId, iaNa(7, address)]);
  assert.deepEqual(Buffer.from(again.send?.bytes ?? []), Buffer.from(requested.send?.bytes ?? []));
});

test("two IAs of one message get two addresses; a full pool says NoAddrsAvail inside the IA", async () => {
  const server = await testServer(RANGE);
  const [first, second] = ias(reply(send(server, MessageType.request, [clientId(1), serverId, iaNa(1), iaNa(2)])));
  assert.notEqual(first?.leased[0]?.[0], second?.leased[0]?.[0]);
  const more = ias(reply(send(server, MessageType.request, [clientId(2), serverId, iaNa(1), iaNa(2), iaNa(3)], { source: "fe80::2" })));
  assert.deepEqual(
    more.map(({ status, leased }) => [status, leased.length]),
    [
      [null, 1],
      [null, 1],
      [Status.noAddrsAvail, 0],
    ],
  );
});

test("§18.3.2: an address that cannot be on the link is answered with NotOnLink", async () => {
  const server = await testServer();
  assert.equal(
    ias(reply(send(server, MessageType.request, [clientId(1), serverId, iaNa(1, "2001:db8:dead::1")])))[0]?.status,
    Status.notOnLink,
  );
  const rapid: Option = { code: OptionCode.rapidCommit, data: new Uint8Array() };
  for (const named of [["2001:db8:dead::1"], ["2001:db8:0:1::1002", "2001:db8:dead::1"]]) {
    const [ia] = ias(reply(send(server, MessageType.request, [clientId(1), serverId, iaNa(1, ...named), rapid])));
    assert.deepEqual([ia?.status, ia?.leased], [Status.notOnLink, []], "Rapid Commit is for Solicit alone");
  }
  const solicit = reply(send(server, MessageType.solicit, [clientId(1), iaNa(1, "2001:db8:dead::1"), rapid]));
  assert.equal(ias(solicit)[0]?.status, null, "§18.3.1: what a Solicit names is a wish");
});

test("a machine keeps its reserved address whatever DUID it comes with, and nobody else gets it", async () => {
  const server = await testServer(`${RANGE}machines:\n  - { name: node-01, mac: "52:54:00:00:00:01", address: "2001:db8:0:1::1001" }\n`);
  assert.equal(given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)])), "2001:db8:0:1::1001");
  const uuid: Option = { code: OptionCode.clientId, data: Uint8Array.of(0, 4, ...Array(16).fill(7)) };
  const boots: Option = { code: OptionCode.clientArchitecture, data: encodeU16List([16]) };
  assert.equal(
    given(send(server, MessageType.request, [uuid, serverId, iaNa(0x999), boots], { source: "fe80::5054:ff:fe00:1" })),
    "2001:db8:0:1::1001",
  );
  for (let n = 2; n < 6; n++)
    assert.notEqual(given(send(server, MessageType.solicit, [clientId(n), iaNa(1)], { source: `fe80::${n}` })), "2001:db8:0:1::1001");
});

test("a boot client, which sends an architecture or any user class, takes its address over with a new IAID; a system's second IA gets another", async () => {
  const classes = (text: string): Option => ({ code: OptionCode.userClass, data: encodeTexts([text]) });
  const architecture: Option = { code: OptionCode.clientArchitecture, data: encodeU16List([7]) };
  for (const [more, isSame] of [
    [[architecture], true],
    [[classes("iPXE")], true],
    [[classes("rack-loader")], true],
    [[], false],
  ] as const) {
    const server = await testServer();
    const ask = (iaid: number) =>
      given(send(server, MessageType.request, [clientId(1), serverId, iaNa(iaid), ...more], { source: "fe80::5054:ff:fe00:1" }));
    assert.equal(ask(1) === ask(2), isSame, JSON.stringify(more));
  }
});

test("the same machine hashes to the same address after the leases were lost", async () => {
  const server = await testServer("networks:\n  - interface: prov0\n    advertise: { autonomous: false }\n");
  const before = given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)]));
  server.state = { ...server.state, leases: new Leases() };
  assert.equal(given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)])), before);
});

test("iPXE that was given itself again and again is given the script in its place, and the answer says why", async () => {
  const server = await testServer("networks: [{ interface: prov0 }]\nboot: { rules: [{ url: '{{ tftp }}/ipxe.efi?v=1' }] }\n");
  const ask = (userClass: string): { url: string; why: string } => {
    const options = [clientId(1), wants(59), { code: OptionCode.clientArchitecture, data: encodeU16List([7]) }];
    const classes = { code: OptionCode.userClass, data: encodeTexts([userClass]) };
    const outcome = send(server, MessageType.informationRequest, [...options, classes], { source: "fe80::5054:ff:fe00:1" });
    const [told] = outcome.events.filter(({ type }) => type === "dhcpv6.answered") as { why: readonly string[] }[];
    const url = Buffer.from(findOption(reply(outcome).options, OptionCode.bootfileUrl) ?? []).toString();
    return { url, why: told?.why.join("; ") ?? "" };
  };
  const program = "tftp://[2001:db8:0:1::1]/ipxe.efi?v=1";
  assert.equal(ask("iPXE").url, program);
  const loopsOn = (path: string): void => {
    server.state = { ...server.state, programLoop: (machine) => (machine === "m-525400000001" ? { path, why: "it loops" } : null) };
  };
  loopsOn("/other.efi");
  assert.equal(ask("iPXE").url, program);
  loopsOn("/ipxe.efi");
  assert.equal(ask("iPXE").url, "http://[2001:db8:0:1::1]/boot.ipxe");
  assert.match(ask("iPXE").why, /boot rule 1 \(any client\) would give it tftp:\S+ once more: it loops$/);
  assert.equal(ask("firmware").url, program, "a reset begins anew");
});

test("user class iPXE goes before the architecture, and a raw one is known too", async () => {
  const server = await testServer();
  const ask = (...userClass: Option[]) => {
    const answer = reply(
      send(server, MessageType.informationRequest, [
        clientId(1),
        wants(59),
        { code: OptionCode.clientArchitecture, data: encodeU16List([7]) },
        ...userClass,
      ]),
    );
    return Buffer.from(findOption(answer.options, OptionCode.bootfileUrl) ?? []).toString();
  };
  assert.equal(ask(), "tftp://[2001:db8:0:1::1]/ipxe/x86_64/ipxe.efi");
  assert.equal(ask({ code: OptionCode.userClass, data: encodeTexts(["iPXE"]) }), "http://[2001:db8:0:1::1]/boot.ipxe");
  assert.equal(ask({ code: OptionCode.userClass, data: Buffer.from("iPXE") }), "http://[2001:db8:0:1::1]/boot.ipxe");
});
