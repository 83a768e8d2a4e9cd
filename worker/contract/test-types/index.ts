// The registry of test types: one line each.
import type { z } from "zod";
import { peerDestination } from "../destination.ts";
import type { FieldError } from "../problem.ts";
import { fieldErrors } from "../problem.ts";
import { bandwidth } from "./bandwidth.ts";
import type { TestType } from "./define.ts";
import { dns } from "./dns.ts";
import { http } from "./http.ts";
import { mtu } from "./mtu.ts";
import { ping } from "./ping.ts";
import { qos } from "./qos.ts";
import { tcp } from "./tcp.ts";
import { tls } from "./tls.ts";
import { traceroute } from "./traceroute.ts";
import { udp } from "./udp.ts";
import { voip } from "./voip.ts";

export const TEST_TYPES = { ping, traceroute, tcp, tls, dns, http, mtu, udp, bandwidth, voip, qos } as const;

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
    const apart =
      defaults.success && peerDestination(destination) === undefined
        ? type.check(destination, defaults.data).filter((error) => error.path === "destination")
        : [];
    return { ok: false, errors: [...apart, ...errors] };
  }
  const peer = peerDestination(destination);
  if (peer !== undefined && type.peer === undefined) {
    return { ok: false, errors: [{ path: "destination", message: `names a client, which a ${name} test cannot measure` }] };
  }
  // Where a client will be found is known when the test runs; until then an address of its family stands for it (RFC 5737, 3849).
  const aim = peer === undefined ? destination : parsed.data.ip_version === 6 ? "2001:db8::1" : "192.0.2.1";
  const errors = type.check(aim, parsed.data, interval_s);
  return errors.length > 0 ? { ok: false, errors } : { ok: true, params: parsed.data };
}
