import assert from "node:assert/strict";
import { test } from "node:test";
import { readSs } from "./held-up.ts";

/** As `ss -tinH` told it of real connections; what it tells beside is left out. */
const told = (times: string): string =>
  `ESTAB 0 609756 [2001:db8::1]:8080 [2001:db8::2]:32858\n\t bbr wscale:10,10 rto:208 backoff:4 rtt:5.274/10.505 mss:1428 ${times} rwnd_limited:5556ms(100.0%) notsent:609756`;

test("a machine that answers the kernel's questions and takes nothing; one of which nothing is heard; one that is only slow", () => {
  assert.equal(readSs(told("lastsnd:5548 lastrcv:5692 lastack:2308")), "machine");
  assert.equal(readSs(told("lastsnd:14556 lastrcv:14700 lastack:7956")), "machine");
  assert.equal(readSs(told("lastsnd:7660 lastrcv:8980 lastack:7440")), "network");
  assert.equal(readSs(told("lastsnd:1800 lastrcv:9000 lastack:5100")), "network", "what is in flight is sent again and again");
  assert.equal(readSs(told("lastsnd:120 lastrcv:9000 lastack:80")), "nobody");
  for (const nothing of ["", "ESTAB 0 0 [::1]:80 [::1]:90\n", "lastsnd: lastack:"]) assert.equal(readSs(nothing), null);
});
