// The registry of test types: one line each.
import type { z } from "zod";
import type { FieldError } from "../problem.ts";
import { fieldErrors } from "../problem.ts";
import type { TestType } from "./define.ts";
import { dns } from "./dns.ts";
import { http } from "./http.ts";
import { mtu } from "./mtu.ts";
import { ping } from "./ping.ts";
import { tcp } from "./tcp.ts";
import { tls } from "./tls.ts";
import { traceroute } from "./traceroute.ts";

export const TEST_TYPES = { ping, traceroute, tcp, tls, dns, http, mtu } as const;

export type TestTypeName = keyof typeof TEST_TYPES;
export const TEST_TYPE_NAMES = Object.keys(TEST_TYPES) as [TestTypeName, ...TestTypeName[]];
export type ParamsOf<Name extends TestTypeName> = z.output<(typeof TEST_TYPES)[Name]["params"]>;

export function isTestTypeName(name: string): name is TestTypeName {
  return Object.hasOwn(TEST_TYPES, name);
}

/** The type by name, seen through its common interface. */
export function testType(name: TestTypeName): TestType {
  return TEST_TYPES[name] as unknown as TestType;
}

export type CheckedTest = { ok: true; params: Record<string, unknown> } | { ok: false; errors: FieldError[] };

/**
 * Parameters with defaults filled in, or every field that is wrong. `params` holds `packet_size` too where the type has one.
 * Paths name `params.<name>`, except `destination` and `packet_size`.
 */
export function checkTest(name: TestTypeName, destination: string, params: unknown, interval_s?: number): CheckedTest {
  const type = testType(name);
  const parsed = type.params.safeParse(params);
  if (!parsed.success) {
    const errors = fieldErrors(parsed.error, ["params"]).map((error) => ({
      ...error,
      path: error.path === "params.packet_size" ? "packet_size" : error.path,
    }));
    // The destination is wrong or right whatever the parameters are: everything is named at once.
    const defaults = type.params.safeParse({});
    const apart = defaults.success ? type.check(destination, defaults.data).filter((error) => error.path === "destination") : [];
    return { ok: false, errors: [...apart, ...errors] };
  }
  const errors = type.check(destination, parsed.data, interval_s);
  return errors.length > 0 ? { ok: false, errors } : { ok: true, params: parsed.data };
}
