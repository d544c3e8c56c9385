/** Who may ask for what. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Door, type Head, refusal } from "./guard.ts";

const HEAD: Head = { method: "GET", host: "[::1]:8067", authorization: undefined, origin: undefined, site: undefined };
const OPEN: Door = { token: null, loopback: true };
const CLOSED: Door = { token: "word", loopback: true };
const WITH_TOKEN = { ...HEAD, authorization: "Bearer word" };
const status = (head: Partial<Head>, door: Door): number => refusal({ ...HEAD, ...head }, door)?.status ?? 200;

test("only an IPv6 literal or localhost is taken as the Host: a name may be made to point here", () => {
  for (const host of ["[::1]:8067", "[2001:db8::1]", "localhost:8067", "localhost"]) assert.equal(status({ host }, OPEN), 200, host);
  for (const host of [
    "evil.example",
    "evil.example:8067",
    "[::1].evil.example",
    "[evil]",
    "::1",
    "[::1x",
    "x::1]",
    "127.0.0.1",
    "",
    undefined,
  ])
    assert.equal(status({ host }, OPEN), 421, String(host));
  const detail = (host: string): string | undefined => refusal({ ...HEAD, host }, OPEN)?.detail;
  assert.deepEqual(["evil.example", ""].map(detail), [
    "the Host header names evil.example; use the address",
    "the Host header names nobody; use the address",
  ]);
});

test("on loopback reading is open, with a token or without; changes need the token", () => {
  assert.equal(status({}, OPEN), 200);
  assert.equal(status({}, CLOSED), 200);
  assert.equal(status({ method: "HEAD" }, OPEN), 200);
  assert.equal(status({ site: "cross-site", origin: "http://evil.example" }, OPEN), 200, "a link to it; its page reads nothing of it");
  for (const method of ["PUT", "POST", "DELETE", "PATCH"]) {
    assert.equal(status({ method }, OPEN), 403, "none is configured");
    assert.equal(status({ method }, CLOSED), 401);
    assert.equal(status({ method, authorization: "Bearer wort" }, CLOSED), 401);
    assert.equal(status({ ...WITH_TOKEN, method }, CLOSED), 200);
  }
});

test("off loopback all of it needs the token", () => {
  assert.equal(status({}, { token: "word", loopback: false }), 401);
  assert.equal(status(WITH_TOKEN, { token: "word", loopback: false }), 200);
});

test("another site's page changes nothing, even with the token", () => {
  const method = "DELETE";
  const write = { ...WITH_TOKEN, method };
  assert.equal(status({ ...write, origin: "http://[::1]:8067", site: "same-origin" }, CLOSED), 200);
  assert.equal(status({ ...write, site: "none" }, CLOSED), 200, "an operator's own");
  for (const origin of ["http://evil.example", "http://[::1]:9999", "https://[::1]:8067", "null"])
    assert.equal(status({ ...write, origin }, CLOSED), 403, origin);
  for (const site of ["cross-site", "same-site"]) assert.equal(status({ ...write, site }, CLOSED), 403, site);
});
