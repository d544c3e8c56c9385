/**
 * The least that a durable DHCPv6 server on this platform can cost: our sockets, the store, and nothing between them but an address
 * for each DUID. It checks nothing and decides nothing: `node bare-dhcpv6.ts LINKLOCAL INTERFACE DIR`.
 */
import { readFileSync } from "node:fs";
import { openStore } from "@netboot6/store";
import { type Datagram, hasPreparedLeft, UdpSocket } from "@netboot6/udp";

const [linkLocal = "", on = "", dir = ""] = process.argv.slice(2);
const SOLICIT = 1;
const [ADVERTISE, REPLY] = [2, 7];
const [CLIENT_ID, IA_NA] = [1, 3];
const SERVER_ID = Buffer.from("0002000a0003000102005400aa01", "hex");
const IA_ADDRESS = Buffer.from("0005001820010db800000001000100000000000000000bb800000fa0", "hex");

const store = await openStore(dir);
const known = new Map<string, number>();
/** How many answers wait for the disk, and how many were the most since none did: a lone one leaves from the store's thread, as ours. */
let waiting = 0;
let together = 0;

function optionOf(message: Buffer, wanted: number): Buffer {
  for (let at = 4; at + 4 <= message.length; at += 4 + message.readUInt16BE(at + 2))
    if (message.readUInt16BE(at) === wanted) return message.subarray(at, at + 4 + message.readUInt16BE(at + 2));
  throw new Error(`the load sent no option ${wanted}`);
}

const scope = Number(readFileSync(`/sys/class/net/${on}/ifindex`, "latin1"));
const options = { scope, port: 547, receiveBufferBytes: 4 * 1024 * 1024 };
const failed = (why: string): never => {
  throw new Error(why);
};
const answers = new UdpSocket({ ...options, address: linkLocal }, () => {}, failed);
const receive = ({ bytes, address: client, port }: Datagram): void => {
  const message = Buffer.from(bytes);
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
  if (message[0] === SOLICIT) answers.send(answer, client, port, scope);
  else {
    const lease = { address: `2001:db8:0:1:1::${n.toString(16)}`, duid, iaid: 1, state: "bound", validUntil: Date.now() / 1000 + 4000 };
    const isFew = waiting === 0 && together <= 1;
    together = waiting++ === 0 ? 1 : together + 1;
    const prepared = isFew && answers.prepare(answer, client, port, scope);
    store.commit([{ kind: "lease", key: lease.address, value: lease }], prepared ? Date.now() + 5000 : 0).then(() => {
      waiting--;
      if (!prepared || !hasPreparedLeft()) answers.send(answer, client, port, scope);
    });
  }
};
const group = new UdpSocket({ ...options, address: "ff02::1:2" }, receive, failed);
group.join("ff02::1:2", scope);
console.log("ready");
process.once("SIGTERM", () => process.exit(0));
