import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { ARCH_NAMES, archName, archNumber, CPUS, isUefiPxe } from "./arch.ts";
import { jsonSchema } from "./json-schema.ts";

const top = join(import.meta.dirname, "../../..");

test("appliance.schema.json is what the schema gives: run `npm run schema -w packages/config`", () => {
  const written = JSON.parse(readFileSync(join(import.meta.dirname, "../appliance.schema.json"), "utf8"));
  assert.deepEqual(written, JSON.parse(jsonSchema()));
});

test("the appliance.yaml at top level names it in its first line", () => {
  const [first = ""] = readFileSync(join(top, "appliance.yaml"), "utf8").split("\n");
  const file = /^# yaml-language-server: \$schema=(.*)$/.exec(first)?.[1] ?? "";
  assert.ok(JSON.parse(readFileSync(join(top, file), "utf8")).properties.networks);
});

test("every key of the reference is in the JSON Schema with a description or a default, and so on down", () => {
  type Schema = { properties?: Record<string, Schema>; items?: Schema | Schema[]; anyOf?: Schema[]; additionalProperties?: Schema | false };
  const walk = (value: unknown, schemas: readonly Schema[], path: string): void => {
    const flat = schemas.flatMap((schema) => [schema, ...(schema.anyOf ?? [])]).flatMap((schema) => [schema, ...(schema.anyOf ?? [])]);
    if (Array.isArray(value))
      for (const item of value)
        walk(
          item,
          flat.flatMap(({ items }) => items ?? []),
          `${path}[]`,
        );
    else if (value && typeof value === "object")
      for (const [key, child] of Object.entries(value)) {
        const found = flat.flatMap(({ properties, additionalProperties }) => properties?.[key] ?? (additionalProperties || []));
        assert.notEqual(found.length, 0, `${path}.${key}`);
        if (path !== ".machines[].vars") walk(child, found, `${path}.${key}`);
      }
  };
  const reference = parse(readFileSync(join(import.meta.dirname, "fixtures/reference.yaml"), "utf8"));
  walk(reference, [JSON.parse(jsonSchema())], "");
});

test("architectures are named both ways, and those that boot by TFTP are known", () => {
  assert.equal(ARCH_NAMES.length, 42);
  for (const [number, name] of ARCH_NAMES.entries()) assert.deepEqual([archName(number), archNumber(name)], [name, number]);
  const named = { "x86-bios": 0, "ia32-uefi": 6, "x64-uefi": 7, ebc: 9, "arm64-uefi": 11, "x64-uefi-http": 16, "arm64-uefi-http": 19 };
  const later = {
    "pcbios-http": 20,
    "arm64-uboot-http": 24,
    "riscv64-uefi": 27,
    "s390-basic": 31,
    "loongarch64-uefi-http": 40,
    "arm-rpiboot": 41,
  };
  for (const [name, number] of Object.entries({ ...named, ...later })) assert.equal(archNumber(name), number);
  assert.equal(archName(99), "arch-99");
  assert.deepEqual([0, 7, 9, 11, 16, 20].filter(isUefiPxe), [7, 9, 11]);
  assert.ok(CPUS.includes("x64"));
});
