import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Chain, type Linked } from "./chain.ts";

interface Member extends Linked<Member> {
  readonly name: number;
}

test("whatever is appended, again too, and taken out, the oldest is the one that was appended longest ago", () => {
  const step = fc.record({ act: fc.constantFrom("append", "append", "delete"), name: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const members = Array.from({ length: 10 }, (_, name): Member => ({ name, older: null, newer: null }));
      const chain = new Chain<Member>();
      let order: number[] = [];
      for (const { act, name } of steps) {
        order = order.filter((each) => each !== name);
        if (act === "append") order.push(name);
        chain[act](members[name] as Member);
        const found: number[] = [];
        for (let member = chain.oldest; member; member = member.newer) found.push(member.name);
        assert.deepEqual(found, order);
        assert.equal(chain.size, order.length);
        for (const each of members) assert.equal(chain.has(each), order.includes(each.name));
      }
    }),
  );
});
