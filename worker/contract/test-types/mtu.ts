import { z } from "zod";
import { checkHost, ipVersion } from "../destination.ts";
import { metricsOf } from "../metrics.ts";
import type { FieldError } from "../problem.ts";
import { defineTestType, familyMismatch, hostContact, type Traffic } from "./define.ts";
import { ipVersionField, timeoutField } from "./fields.ts";
import { ipBytes } from "./traffic.ts";

/** Bytes of an IP packet: the least any IPv6 link must carry (RFC 8200 5), and the usual jumbo frame with room. */
export const MTU_RANGE = { min: 1280, max: 9216 } as const;

const mtuParams = z.strictObject({
  max: z
    .number()
    .int()
    .min(MTU_RANGE.min)
    .max(MTU_RANGE.max)
    .optional()
    .describe("Largest packet to try, bytes of IP; default the MTU of the outgoing interface, at most 9216"),
  timeout: timeoutField(1, 5, "Seconds to wait for the first replies; then the round trips seen decide"),
  deadline: z.number().min(1).max(120).default(15).describe("Seconds for the whole run"),
  ip_version: ipVersionField,
});
export type MtuParams = z.output<typeof mtuParams>;

function checkMtu(destination: string, params: MtuParams, interval_s?: number): FieldError[] {
  const host = checkHost(destination);
  if (!host.ok) return [{ path: "destination", message: host.message }];
  const errors = familyMismatch(ipVersion(host.host), params.ip_version);
  if (params.timeout >= params.deadline) {
    errors.push({ path: "params.timeout", message: `is not shorter than the deadline of ${params.deadline} s` });
  }
  if (interval_s !== undefined && params.deadline > interval_s) {
    errors.push({ path: "params.deadline", message: `is longer than the interval of ${interval_s} s` });
  }
  return errors;
}

/** Sizes tried side by side, the least time between two packets of one, and small packets beside them. Seconds. */
const SEARCH = { sizes: 5, spacing: 0.055, small_per_s: 40, small_bytes: 64 } as const;

function traffic({ max, deadline }: MtuParams): Traffic {
  const large_per_s = SEARCH.sizes / SEARCH.spacing;
  const bytes_per_s = large_per_s * (max ?? MTU_RANGE.max) + SEARCH.small_per_s * ipBytes(SEARCH.small_bytes);
  return { packets_per_s: Math.ceil(large_per_s + SEARCH.small_per_s), bytes: Math.ceil(2 * deadline * bytes_per_s) };
}

export const mtu = defineTestType({
  type: "mtu",
  label: "Path MTU",
  summary: "Largest packet that reaches the target whole, with and without ICMP; black holes and where they begin",
  destination: { hint: "A host name or an IP address, without scheme, port or path.", example: "crm.example or 192.0.2.10" },
  params: mtuParams,
  metrics: metricsOf("mtu"),
  headline: ["path_mtu", "pmtu_blackhole", "pmtu_limiting_hop", "pmtu_icmp_mtu"],
  default_interval_s: 600,
  peer: "address",
  check: checkMtu,
  contacts: (destination) => hostContact(checkHost(destination)),
  traffic,
  moved: ({ max = MTU_RANGE.max }, { pmtu_probes }) => (typeof pmtu_probes === "number" ? 2 * pmtu_probes * max : undefined),
  deadline_ms: (params) => params.deadline * 1000,
});
