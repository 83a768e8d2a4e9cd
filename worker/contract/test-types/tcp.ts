import { z } from "zod";
import { checkEndpoint } from "../destination.ts";
import { metricsOf } from "../metrics.ts";
import type { FieldError } from "../problem.ts";
import { defineTestType, familyMismatch, hostContact, overrun, type Traffic } from "./define.ts";
import { dscpField, ipVersionField, portField, timeoutField } from "./fields.ts";
import { CONNECTION_BYTES, inOneSecond, tcpBytes } from "./traffic.ts";

const SEND_BYTES_MAX = 16 * 1024 * 1024;
/** Longest time for the bytes of `send_bytes` to be acknowledged, seconds. */
const SEND_S = 30;
/** For finding the address and for reading the kernel's figures, seconds. */
const AROUND_S = 3;

const tcpParams = z.strictObject({
  port: portField(443),
  count: z.number().int().min(1).max(100).default(5).describe("Connects a run"),
  interval: z.number().min(0.05).max(60).default(0.2).describe("Seconds between two connects"),
  timeout: timeoutField(3, 60, "Seconds to wait for each connect"),
  ip_version: ipVersionField,
  send_bytes: z
    .number()
    .int()
    .min(0)
    .max(SEND_BYTES_MAX)
    .default(0)
    .describe("Bytes to send on one connection, watched until they are acknowledged; 0 is the handshake only"),
  dscp: dscpField,
});
export type TcpParams = z.output<typeof tcpParams>;

function checkTcp(destination: string, params: TcpParams, interval_s?: number): FieldError[] {
  const endpoint = checkEndpoint(destination);
  if (!endpoint.ok) return [{ path: "destination", message: endpoint.message }];
  return [
    ...familyMismatch(endpoint.version, params.ip_version),
    ...overrun("connects", params.count, params.interval, interval_s),
  ];
}

/** The connection that sends bytes is one more. */
const traffic = ({ count, interval, send_bytes }: TcpParams): Traffic => ({
  packets_per_s: inOneSecond(count, interval) + (send_bytes > 0 ? 1 : 0),
  bytes: (count + 1) * CONNECTION_BYTES + tcpBytes(send_bytes),
});

export const tcp = defineTestType({
  type: "tcp",
  label: "TCP",
  summary: "Connect time, and what the kernel knows of the path: round trip, window, retransmissions",
  destination: {
    hint: "A host name or an IP address, with or without a port.",
    example: "crm.example:443, 192.0.2.10 or [2001:db8::10]:22",
  },
  params: tcpParams,
  metrics: metricsOf("tcp"),
  headline: ["tcp_connect_ms", "tcp_failed_pct", "tcp_min_rtt_ms", "tcp_retrans_segs"],
  default_interval_s: 30,
  check: checkTcp,
  contacts: (destination) => hostContact(checkEndpoint(destination)),
  traffic,
  deadline_ms: ({ count, interval, timeout, send_bytes }) =>
    ((count - 1) * interval + timeout + (send_bytes > 0 ? SEND_S : 0) + AROUND_S) * 1000,
});
