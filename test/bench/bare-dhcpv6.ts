/**
 * The least that a durable DHCPv6 server on this platform can cost: node:dgram, the store, and nothing between them but an address
 * for each DUID. It checks nothing and decides nothing: `node bare-dhcpv6.ts LINKLOCAL INTERFACE DIR`.
 */
import { createSocket } from "node:dgram";
import { openStore } from "@netboot6/store";

const [linkLocal = "", on = "", dir = ""] = process.argv.slice(2);
const SOLICIT = 1;
const [ADVERTISE, REPLY] = [2, 7];
const [CLIENT_ID, IA_NA] = [1, 3];
const SERVER_ID = Buffer.from("0002000a0003000102005400aa01", "hex");
const IA_ADDRESS = Buffer.from("0005001820010db800000001000100000000000000000bb800000fa0", "hex");

const store = await openStore(dir);
const options = { type: "udp6", reuseAddr: true, ipv6Only: true } as const;
const lookup = (address: string, _: unknown, callback: (error: null, address: string, family: 6) => void): void =>
  callback(null, address, 6);
const group = createSocket({ ...options, lookup, recvBufferSize: 4 * 1024 * 1024 });
const answers = createSocket({ ...options, lookup });
const known = new Map<string, number>();

function optionOf(message: Buffer, wanted: number): Buffer {
  for (let at = 4; at + 4 <= message.length; at += 4 + message.readUInt16BE(at + 2))
    if (message.readUInt16BE(at) === wanted) return message.subarray(at, at + 4 + message.readUInt16BE(at + 2));
  throw new Error(`the load sent no option ${wanted}`);
}

group.on("message", (message, from) => {
  const clientId = optionOf(message, CLIENT_ID);
  const duid = clientId.toString("hex", 4);
  let n = known.get(duid);
  if (n === undefined) {
    n = known.size + 1;
    known.set(duid, n);
  }
  const header = Buffer.from([message[0] === SOLICIT ? ADVERTISE : REPLY, ...message.subarray(1, 4)]);
  const ia = Buffer.from(optionOf(message, IA_NA).subarray(0, 16));
  ia.writeUInt16BE(12 + IA_ADDRESS.length, 2);
  const address = Buffer.from(IA_ADDRESS);
  address.writeUInt32BE(n, 16);
  const answer = Buffer.concat([header, SERVER_ID, clientId, ia, address]);
  const to = from.address.slice(0, from.address.indexOf("%"));
  if (message[0] === SOLICIT) answers.send(answer, from.port, to);
  else {
    const lease = { address: `2001:db8:0:1:1::${n.toString(16)}`, duid, iaid: 1, state: "bound", validUntil: Date.now() / 1000 + 4000 };
    store.commit([{ kind: "lease", key: lease.address, value: lease }]).then(() => answers.send(answer, from.port, to));
  }
});
answers.bind({ address: `${linkLocal}%${on}`, port: 547, exclusive: true }, () => {
  group.bind({ address: `ff02::1:2%${on}`, port: 547, exclusive: true }, () => {
    group.addMembership("ff02::1:2", `::%${on}`);
    console.log("ready");
  });
});
process.once("SIGTERM", () => process.exit(0));
