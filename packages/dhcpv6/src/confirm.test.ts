/** Confirm: RFC 9915 §18.3.3. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeStatus, findOption, MessageType, OptionCode, Status } from "@netboot6/codec";
import { clientId, droppedWhy, iaNa, iaPd, ias, reply, send, statusOf } from "./test-messages.ts";
import { testServer } from "./test-server.ts";

test("§18.3.3: Confirm is told whether its addresses are on the link, and without any there is silence", async () => {
  const server = await testServer();
  const status = (address: string): number | null => {
    const data = findOption(reply(send(server, MessageType.confirm, [clientId(1), iaNa(1, address)])).options, OptionCode.statusCode);
    const decoded = data && decodeStatus(data);
    return decoded?.ok ? decoded.value.code : null;
  };
  assert.equal(status("2001:db8:0:1::5"), Status.success);
  assert.equal(status("2001:db8:dead::5"), Status.notOnLink);
  assert.match(droppedWhy(send(server, MessageType.confirm, [clientId(1), iaNa(1)])), /without addresses/);
});

test("§18.3.3: one address that is not on the link is enough; nothing is bound or extended", async () => {
  const server = await testServer();
  const outcome = send(server, MessageType.confirm, [clientId(1), iaNa(1, "2001:db8:0:1::5"), iaNa(2, "2001:db8:dead::5")]);
  assert.equal(statusOf(reply(outcome).options), Status.notOnLink);
  assert.deepEqual([outcome.leases, ias(reply(outcome))], [[], []]);
});

test("§18.3.3: without an IA there is silence; prefixes are on no link and confirm nothing", async () => {
  const server = await testServer();
  assert.match(droppedWhy(send(server, MessageType.confirm, [clientId(1)])), /without addresses/);
  assert.match(droppedWhy(send(server, MessageType.confirm, [clientId(1), iaPd(1, "2001:db8:fff::/60")])), /without addresses/);
});
