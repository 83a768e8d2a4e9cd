import { z } from "zod";
import { checkHost, ipVersion } from "../destination.ts";
import { metricsOf } from "../metrics.ts";
import type { FieldError } from "../problem.ts";
import { defineTestType, familyMismatch, fitting, hostContact, overrun, type Traffic } from "./define.ts";
import { dscpField, ipVersionField, packetSizeField } from "./fields.ts";
import { CONNECTION_BYTES, fragments, inOneSecond, ipBytes } from "./traffic.ts";

/** Largest ICMP payload: 65535 less the IPv4 and ICMP headers (RFC 791, 792), or less the ICMPv6 header (RFC 8200, 4443). */
export const PING_PAYLOAD_MAX = { 4: 65_507, 6: 65_527 } as const;

const DEFAULT_COUNT = 20;
const DEFAULT_SPACING_S = 0.2;
const DEFAULT_TIMEOUT_S = 2;

const pingParams = z.strictObject({
  packet_size: packetSizeField("Payload bytes"),
  count: z.number().int().min(1).max(1000).optional().describe("Echo requests a run; default what fits the interval, at most 20"),
  interval: z.number().min(0.2).max(60).default(DEFAULT_SPACING_S).describe("Seconds between two requests"),
  timeout: z.number().min(0.1).max(60).default(DEFAULT_TIMEOUT_S).describe("Seconds to wait for each reply"),
  ip_version: ipVersionField,
  dscp: dscpField,
  df: z.boolean().optional().describe("Forbid fragmentation"),
});
export type PingParams = z.output<typeof pingParams>;

/** Requests a run sends: as asked, else as many as start within the test's interval at its spacing, 1 to 20. */
export function pingCount(params: PingParams, interval_s?: number): number {
  if (params.count !== undefined) return params.count;
  if (interval_s === undefined) return DEFAULT_COUNT;
  return Math.max(1, Math.min(DEFAULT_COUNT, fitting(interval_s, params.interval)));
}

function checkPing(destination: string, params: PingParams, interval_s?: number): FieldError[] {
  const errors: FieldError[] = [];
  const host = checkHost(destination);
  if (!host.ok) return [{ path: "destination", message: host.message }];
  const literal = ipVersion(host.host);
  errors.push(...familyMismatch(literal, params.ip_version));
  const version = literal === 6 || params.ip_version === 6 ? 6 : 4;
  const max = PING_PAYLOAD_MAX[version];
  if (params.packet_size > max) {
    errors.push({
      path: "packet_size",
      message: `is ${params.packet_size}, but an IPv${version} echo request carries at most ${max} bytes`,
    });
  }
  if (params.count !== undefined) errors.push(...overrun("requests", params.count, params.interval, interval_s));
  return errors;
}

const ECHO_HEADER = 8;

/** Handshakes stand in where ICMP may not be sent: they cost more than small requests do. */
function traffic(params: PingParams, interval_s?: number): Traffic {
  const count = pingCount(params, interval_s);
  const message = params.packet_size + ECHO_HEADER;
  return {
    packets_per_s: inOneSecond(count, params.interval) * fragments(message),
    bytes: count * Math.max(2 * ipBytes(message), CONNECTION_BYTES),
  };
}

export const ping = defineTestType({
  type: "ping",
  label: "Ping",
  summary: "Round-trip time, loss and jitter by ICMP echo",
  destination: { hint: "A host name or an IP address, without scheme, port or path.", example: "crm.example or 192.0.2.10" },
  params: pingParams,
  metrics: metricsOf("ping"),
  headline: ["ping_rtt_median", "ping_loss_pct", "ping_rtt_p95", "ping_jitter_rfc3550"],
  default_interval_s: 10,
  peer: "address",
  check: checkPing,
  contacts: (destination) => hostContact(checkHost(destination)),
  traffic,
  moved: ({ packet_size }, { ping_sent }) =>
    typeof ping_sent === "number" ? ping_sent * 2 * ipBytes(packet_size + ECHO_HEADER) : undefined,
  deadline_ms: (params) => ((pingCount(params) - 1) * params.interval + params.timeout + 3) * 1000,
});
