/**
 * The answer to what real clients sent, byte for byte. `samples/CLIENT/NN-type.hex` is a client's datagram as captured;
 * `NN-type.answer.hex` is our answer. UPDATE_SAMPLES=1 writes the answers anew: read the difference before you commit it.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  type ClientServerMessage,
  decodeIa,
  decodeIaAddress,
  decodeMessage,
  decodeVendorClass,
  findOption,
  isRelayMessage,
  type Message,
  MessageType,
  messageName,
  OptionCode,
  readClientFacts,
} from "@netboot6/codec";
import { handle, type Outcome } from "./server.ts";
import { type TestServer, testServer } from "./test-server.ts";

const SAMPLES = join(import.meta.dirname, "..", "samples");
const LINK_LOCAL = "fe80::5054:ff:fe0b:1";
const MACHINE_ADDRESS = "2001:db8:0:1:5054:ff:fe0b:1";
const HTTP_PROGRAM = "http://[2001:db8:0:1::1]/ipxe/x86_64/ipxe.efi";
const TFTP_PROGRAM = "tftp://[2001:db8:0:1::1]/ipxe/x86_64/ipxe.efi";
const SCRIPT = "http://[2001:db8:0:1::1]/boot.ipxe";

const readHex = (file: string): Uint8Array => Uint8Array.from(Buffer.from(readFileSync(file, "latin1").trim(), "hex"));

/** Where a client's datagrams come from: the samples' machine, a client with a stable-private address, or a relay. */
const sourceOf = (client: string): string =>
  client.startsWith("relay") ? "2001:db8:0:1::fe" : client.startsWith("dhcpcd") ? "fe80::c0ff:ee" : LINK_LOCAL;

async function send(server: TestServer, client: string, bytes: Uint8Array): Promise<Outcome> {
  const relayed = client.startsWith("relay");
  return handle(
    server.state,
    {
      bytes,
      source: sourceOf(client),
      sourcePort: relayed ? 547 : 546,
      interface: relayed ? null : "prov0",
      destination: relayed ? "2001:db8:0:1::1" : "ff02::1:2",
    },
    server.now,
  );
}

function innermost(bytes: Uint8Array): ClientServerMessage {
  const message = decodeMessage(bytes);
  assert.ok(message.ok, "our answer decodes");
  let current: Message = message.value;
  while (isRelayMessage(current)) {
    const inner = decodeMessage(findOption(current.options, OptionCode.relayMessage) ?? new Uint8Array());
    assert.ok(inner.ok);
    current = inner.value;
  }
  return current;
}

const textOption = (message: ClientServerMessage, code: number): string | null => {
  const data = findOption(message.options, code);
  return data ? Buffer.from(data).toString("utf8") : null;
};

/** What firmware refuses answers over, whoever asked (EDK2 HttpBootDhcp6.c, PxeBcDhcp6.c). */
function checkAnswer(question: ClientServerMessage, answer: ClientServerMessage, label: string): void {
  const asked = readClientFacts(question);
  assert.ok(asked.ok);
  assert.equal(answer.transactionId, question.transactionId, label);
  assert.deepEqual(findOption(answer.options, OptionCode.clientId), findOption(question.options, OptionCode.clientId), label);
  const codes = answer.options.map((option) => option.code);
  const url = codes.indexOf(OptionCode.bootfileUrl);
  if (url >= 0) assert.ok((codes[url + 1] ?? 256) < 256, `${label}: after the URL comes an option with a code below 256`);
  assert.equal(
    codes.includes(OptionCode.rapidCommit),
    asked.value.rapidCommit && answer.type === MessageType.reply && question.type === MessageType.solicit,
    `${label}: rapid commit only when asked`,
  );
  if (answer.type === MessageType.advertise) assert.deepEqual(findOption(answer.options, OptionCode.preference), Uint8Array.of(255), label);
  const vendor = findOption(answer.options, OptionCode.vendorClass);
  const http = asked.value.vendorClass?.classes[0]?.startsWith("HTTPClient") ?? false;
  const boots = asked.value.requested?.has(OptionCode.bootfileUrl) ?? false;
  if (http && boots && question.type !== MessageType.release) {
    const decoded = vendor && decodeVendorClass(vendor);
    assert.ok(decoded?.ok, `${label}: HTTPClient is answered with a vendor class`);
    assert.deepEqual(decoded.value, { enterprise: 343, classes: ["HTTPClient"] });
  } else assert.equal(vendor, undefined, `${label}: a vendor class is for HTTPClient alone`);
  const wanted = http
    ? HTTP_PROGRAM
    : asked.value.userClasses.includes("iPXE")
      ? SCRIPT
      : asked.value.architectures[0] === 7
        ? TFTP_PROGRAM
        : null;
  if (wanted !== null && boots) assert.equal(textOption(answer, OptionCode.bootfileUrl)?.replace("/arm64/", "/x86_64/"), wanted, label);
}

for (const client of readdirSync(SAMPLES)) {
  test(`${client}: each of its messages is answered, byte for byte`, async () => {
    const server = await testServer();
    const addresses = new Set<string>();
    for (const name of readdirSync(join(SAMPLES, client)).filter((file) => file.endsWith(".hex") && !file.includes(".answer."))) {
      const label = `${client}/${name}`;
      const bytes = readHex(join(SAMPLES, client, name));
      const { send: answer, events } = await send(server, client, bytes);
      assert.ok(answer, `${label} is answered: ${JSON.stringify(events)}`);
      const file = join(SAMPLES, client, name.replace(".hex", ".answer.hex"));
      const hex = Buffer.from(answer.bytes).toString("hex");
      if (process.env.UPDATE_SAMPLES) writeFileSync(file, `${hex}\n`);
      assert.ok(existsSync(file), `${label}: no recorded answer`);
      assert.equal(hex, readFileSync(file, "latin1").trim(), label);
      assert.ok(answer.bytes.length <= 1472, `${label}: EDK2 ignores larger answers`);
      const question = innermost(bytes);
      const reply = innermost(answer.bytes);
      checkAnswer(question, reply, label);
      for (const { code, data } of reply.options) {
        if (code !== OptionCode.iaNa || question.type === MessageType.release) continue;
        const ia = decodeIa(data);
        assert.ok(ia.ok);
        for (const inner of ia.value.options) {
          const address = inner.code === OptionCode.iaAddress ? decodeIaAddress(inner.data) : null;
          if (address?.ok && address.value.valid > 0) addresses.add(address.value.address);
        }
      }
      server.now += 1000;
    }
    if (/^(ovmf-pxe6-then|whole-chain)/.test(client))
      assert.ok(addresses.has(MACHINE_ADDRESS), `${client} has the address it forms itself`);
  });
}

test("one machine keeps one address from firmware through iPXE, though DUID and IAID change", async () => {
  const server = await testServer();
  const seen: string[] = [];
  for (const name of ["01-solicit", "05-request", "09-release", "13-solicit", "15-request"]) {
    const question = readHex(join(SAMPLES, "ovmf-pxe6-then-ipxe-efi", `${name}.hex`));
    const { send: answer } = await send(server, "ovmf-pxe6-then-ipxe-efi", question);
    assert.ok(answer);
    const ia = decodeIa(findOption(innermost(answer.bytes).options, OptionCode.iaNa) ?? new Uint8Array());
    assert.ok(ia.ok);
    const address = findOption(ia.value.options, OptionCode.iaAddress);
    const decoded = address && decodeIaAddress(address);
    if (decoded?.ok) seen.push(decoded.value.address);
    server.now += 1000;
  }
  assert.deepEqual(seen, [MACHINE_ADDRESS, MACHINE_ADDRESS, MACHINE_ADDRESS, MACHINE_ADDRESS]);
  assert.equal([...server.state.machines.all()].length, 1);
  assert.equal(messageName(13), "Relay-reply");
});
