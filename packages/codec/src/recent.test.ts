import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Recent } from "./recent.ts";

test("whatever is set, deleted and taken, the oldest is the one that was set longest ago", () => {
  const step = fc.record({ act: fc.constantFrom("set", "set", "touch", "delete", "take"), key: fc.nat(30) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const recent = new Recent<number, number>();
      let order: [number, number][] = [];
      for (const [i, { act, key }] of steps.entries()) {
        if (act === "take") assert.deepEqual(recent.takeOldest(), order.shift());
        else if (act === "touch") {
          const known = order.find(([each]) => each === key);
          order = [...order.filter((each) => each !== known), ...(known ? [known] : [])];
          assert.equal(recent.touch(key), known?.[1]);
        } else {
          order = order.filter(([each]) => each !== key);
          if (act === "set") {
            order.push([key, i]);
            recent.set(key, i);
          } else recent.delete(key);
        }
        assert.deepEqual(
          recent.keys().map((each) => [each, recent.get(each)]),
          order,
        );
        assert.equal(recent.size, order.length);
      }
    }),
  );
});
