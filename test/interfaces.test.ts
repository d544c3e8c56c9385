/** DHCPv6 on the interfaces as they are: several of them, and one that is taken away and comes back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeIa, encodeMessage, MessageType, OptionCode } from "@netboot6/codec";
import type { Namespace } from "@netboot6/lab";
import { makeVlan, startAppliance } from "./setup.ts";

const SOLICIT = encodeMessage({
  type: MessageType.solicit,
  transactionId: 1,
  options: [
    { code: OptionCode.clientId, data: Buffer.from("000300015254000b0001", "hex") },
    { code: OptionCode.iaNa, data: encodeIa({ iaid: 1, t1: 0, t2: 0, options: [] }) },
  ],
});

/** Sends one datagram to a group on an interface; how many came back within a second. */
async function answers(from: Namespace, on: string, group: string, port: number, bytes: Uint8Array): Promise<number> {
  const program = `
    const socket = require("node:dgram").createSocket("udp6");
    let heard = 0;
    socket.on("message", () => heard++);
    socket.bind(${port}, () => {
      socket.setMulticastInterface("::%${on}");
      socket.send(Buffer.from("${Buffer.from(bytes).toString("hex")}", "hex"), 547, "${group}%${on}");
      setTimeout(() => { console.log(heard); process.exit(); }, 1000);
    });`;
  const { stdout, stderr } = await from.exec([process.execPath, "-e", program]);
  assert.match(stdout, /^\d+\n$/, stderr);
  return Number(stdout);
}

test("a relay's message to all DHCP servers is answered once, whichever of the interfaces it comes in on", async (t) => {
  const vlan = makeVlan(t);
  const { router, bridge } = vlan.relay();
  const relay = vlan.client("agent", { bridge });
  relay.namespace.ip("link set eth0 up\naddr add 2001:db8:0:2::fe/64 dev eth0");
  const configuration = "networks:\n  - interface: eth0\n  - interface: eth1\n";
  await startAppliance(t, vlan, { configuration, namespace: router });
  const forward = encodeMessage({
    type: MessageType.relayForward,
    hopCount: 0,
    linkAddress: "2001:db8:0:2::fe",
    peerAddress: "fe80::5054:ff:fe0b:1",
    options: [{ code: OptionCode.relayMessage, data: SOLICIT }],
  });
  assert.equal(await answers(relay.namespace, "eth0", "ff05::1:3", 547, forward), 1);
});

test("an interface that was taken away and comes back under its name, MAC and address answers again", async (t) => {
  const vlan = makeVlan(t);
  const { namespace } = vlan.client("machine");
  const plug = (): void => {
    vlan.server.ip(`link add plug0 address 02:1a:b0:00:01:01 type veth peer name m0 netns ${namespace.name}
      link set plug0 up\naddr add 2001:db8:0:9::1/64 dev plug0`);
    namespace.ip("link set m0 up");
  };
  plug();
  const appliance = await startAppliance(t, vlan, { configuration: "networks:\n  - interface: plug0\n" });
  assert.equal(await answers(namespace, "m0", "ff02::1:2", 546, SOLICIT), 1);
  const from = appliance.lines.length;
  vlan.server.ip("link del plug0");
  plug();
  await appliance.waitFor((line) => line.event === "appliance.reloaded", 15, from);
  // A link that has just come up may lose what is sent in its first second.
  let heard = 0;
  for (let n = 0; n < 4 && heard === 0; n++) heard = await answers(namespace, "m0", "ff02::1:2", 546, SOLICIT);
  assert.equal(heard, 1);
});
