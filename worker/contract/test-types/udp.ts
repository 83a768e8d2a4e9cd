import { z } from "zod";
import { checkEndpoint } from "../destination.ts";
import { metricsOf } from "../metrics.ts";
import type { FieldError } from "../problem.ts";
import { defineTestType, familyMismatch, fitting, hostContact, overrun } from "./define.ts";
import { ipVersionField, packetSizeField, portField, timeoutField } from "./fields.ts";
import { STAMP_AROUND_S, STAMP_BYTES_MIN, STAMP_PORT, streamTraffic } from "./stamp.ts";

/** Largest UDP payload: 65535 less the IPv4 and UDP headers (RFC 791, 768). */
const UDP_PAYLOAD_MAX = 65_507;
const DEFAULT_COUNT = 500;
const DEFAULT_SPACING_S = 0.02;
/** Longest stream, seconds. */
const STREAM_S_MAX = 300;
/** For finding the address and asking after the clock, seconds. */
const AROUND_S = 4;

const udpParams = z.strictObject({
  packet_size: packetSizeField("UDP payload bytes, 44 or more; at least 112 are sent to a reflector with a key"),
  count: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .describe("Packets a run; default what fits the test's interval, at most 500"),
  interval: z.number().min(0.005).max(10).default(DEFAULT_SPACING_S).describe("Seconds between two packets"),
  timeout: timeoutField(2, 60, "Seconds to wait for each answer"),
  port: portField(STAMP_PORT),
  ip_version: ipVersionField,
});
export type UdpParams = z.output<typeof udpParams>;

/**
 * Packets a run sends: as asked, else as many as fit between two runs with time left for the last answers (at least half of the
 * test's interval is used), 1 to 500.
 */
export function udpCount(params: UdpParams, interval_s?: number): number {
  if (params.count !== undefined) return params.count;
  const least = Math.min(DEFAULT_COUNT, 1 + fitting(STREAM_S_MAX, params.interval));
  if (interval_s === undefined) return least;
  const room = interval_s - Math.min(interval_s / 2, params.timeout + 1);
  return Math.max(1, Math.min(least, fitting(room, params.interval)));
}

function checkUdp(destination: string, params: UdpParams, interval_s?: number): FieldError[] {
  const endpoint = checkEndpoint(destination);
  if (!endpoint.ok) return [{ path: "destination", message: endpoint.message }];
  const { packet_size, count, interval } = params;
  const errors = familyMismatch(endpoint.version, params.ip_version);
  if (packet_size < STAMP_BYTES_MIN.open) {
    errors.push({ path: "packet_size", message: `is ${packet_size}, but a STAMP packet has at least 44 bytes (RFC 8762)` });
  }
  if (packet_size > UDP_PAYLOAD_MAX) {
    errors.push({ path: "packet_size", message: `is ${packet_size}, but a UDP packet carries at most ${UDP_PAYLOAD_MAX} bytes` });
  }
  if (count === undefined) return errors;
  const long = (count - 1) * interval;
  if (long > STREAM_S_MAX) {
    const message = `${count} packets ${interval} s apart take ${long.toFixed(0)} s; a run may last ${STREAM_S_MAX} s`;
    errors.push({ path: "params.count", message });
  } else {
    errors.push(...overrun("packets", count, interval, interval_s));
  }
  return errors;
}

export const udp = defineTestType({
  type: "udp",
  label: "UDP",
  summary: "Loss, jitter and reordering in each direction, by a STAMP stream against a reflector",
  destination: {
    hint: "A STAMP reflector: a host name or an IP address, with or without a port.",
    example: "reflector.example, 192.0.2.10:8862 or [2001:db8::10]:862",
  },
  params: udpParams,
  metrics: metricsOf("udp"),
  headline: [
    "udp_rtt_median",
    "udp_loss_pct",
    "udp_loss_up_pct",
    "udp_loss_down_pct",
    "udp_jitter_rfc3550_up",
    "udp_jitter_rfc3550_down",
  ],
  default_interval_s: 60,
  peer: "reflector",
  check: checkUdp,
  contacts: (destination) => hostContact(checkEndpoint(destination)),
  traffic: (params, interval_s) => streamTraffic(udpCount(params, interval_s), params.interval, params.packet_size),
  deadline_ms: (params) =>
    ((udpCount(params) - 1) * params.interval + params.timeout + STAMP_AROUND_S.opening + STAMP_AROUND_S.closing + AROUND_S) *
    1000,
});
