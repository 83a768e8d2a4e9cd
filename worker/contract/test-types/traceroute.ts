import { z } from "zod";
import { checkHost, ipVersion } from "../destination.ts";
import { type MetricName, metricsOf } from "../metrics.ts";
import type { FieldError } from "../problem.ts";
import { defineTestType, familyMismatch, hostContact, type Traffic } from "./define.ts";
import { dscpField, ipVersionField, timeoutField } from "./fields.ts";
import { inOneSecond, markTraffic, probeBytes } from "./traffic.ts";

/** Largest probe payload: what the tools send, 65000 bytes of packet, less the IPv6 and UDP headers (RFC 8200, 768). */
export const TRACEROUTE_PAYLOAD_MAX = 64_952;

/** What a traceroute with a DSCP tells of it, by the same probes as a QoS test. */
const DSCP_METRICS: readonly MetricName[] = ["qos_dscp_sent", "qos_bleached_at_hop", "qos_preserved"];

const tracerouteParams = z.strictObject({
  method: z.enum(["auto", "udp", "icmp", "tcp"]).default("auto").describe("Probe protocol; auto is UDP, then ICMP, then TCP"),
  port: z.number().int().min(1).max(65_535).optional().describe("Destination port; default 33434 for UDP, 443 for TCP"),
  flows: z.number().int().min(1).max(16).default(6).describe("Flows probed side by side, so that parallel paths are seen"),
  rounds: z.number().int().min(1).max(100).default(1).describe("Times the whole path is probed in a run"),
  interval: z.number().min(0.2).max(60).default(1).describe("Seconds between the starts of two rounds"),
  count: z.number().int().min(1).max(10).default(1).describe("Probes for each hop and flow in a round"),
  max_hops: z.number().int().min(1).max(64).default(30).describe("Hops to look for at most"),
  timeout: timeoutField(1, 5, "Seconds to wait for each answer"),
  deadline: z.number().min(1).max(300).default(30).describe("Seconds the whole run may take"),
  packet_size: z
    .number()
    .int()
    .min(1)
    .max(TRACEROUTE_PAYLOAD_MAX)
    .optional()
    .describe("Payload bytes; default what the tool sends"),
  dscp: dscpField,
  ip_version: ipVersionField,
  names: z.boolean().default(true).describe("Whether to look up the names of hops"),
});
export type TracerouteParams = z.output<typeof tracerouteParams>;

function checkTraceroute(destination: string, params: TracerouteParams, interval_s?: number): FieldError[] {
  const host = checkHost(destination);
  if (!host.ok) return [{ path: "destination", message: host.message }];
  const errors: FieldError[] = [...familyMismatch(ipVersion(host.host), params.ip_version)];
  if (params.method === "icmp" && params.port !== undefined) {
    errors.push({ path: "params.port", message: "is given, but ICMP has no ports" });
  }
  if (params.method === "tcp" && params.packet_size !== undefined) {
    errors.push({ path: "packet_size", message: "is given, but TCP probes carry no payload" });
  }
  const busy = (params.rounds - 1) * params.interval;
  const room = Math.min(params.deadline, interval_s ?? Number.POSITIVE_INFINITY);
  if (busy >= room) {
    const limit = room === params.deadline ? "deadline" : "interval";
    errors.push({
      path: "params.rounds",
      message: `${params.rounds} rounds ${params.interval} s apart take ${busy.toFixed(1)} s, longer than the ${limit} of ${room} s`,
    });
  }
  return errors;
}

/** Protocols that `auto` tries one after the other. */
const METHODS = 3;
/** Where a protocol allows one flow only, each hop is asked so often at least. */
const LONE_COUNT = 3;
/** Beside the sweeps: steps that are asked again, echo requests that look into silence, and for each hop those of random flows. */
const MORE = { confirming: 16, echo: 20, census: 8 } as const;
/** Behind the IP header, as traceroute's probes are by themselves, and a SYN. */
const PROBE_BYTES = 60;

/** A round asks every hop by each flow, then those that stayed silent again. */
function traffic(params: TracerouteParams): Traffic {
  const { flows, count, rounds, interval, timeout, max_hops } = params;
  const round = max_hops * (Math.max(flows * count, LONE_COUNT) + flows + 2) + MORE.confirming;
  const once = MORE.echo + MORE.census * max_hops;
  const tries = params.method === "auto" ? METHODS : 1;
  const marks = params.dscp === undefined ? { packets_per_s: 0, bytes: 0 } : markTraffic(max_hops);
  // A protocol makes way for the next when nothing answered in time.
  const busiest = round * Math.max(inOneSecond(tries, timeout), inOneSecond(rounds, interval)) + once;
  return {
    packets_per_s: Math.ceil(busiest) + marks.packets_per_s,
    bytes: probeBytes(round * (rounds + tries - 1) + once, (params.packet_size ?? PROBE_BYTES) + 8) + marks.bytes,
  };
}

/** Hops behind the target that may be on their way when it answers. */
const AHEAD = 16;

/** A path that was followed to its end costs what its length does; where other protocols were tried before, all of it may be spent. */
function moved(params: TracerouteParams, metrics: { path_hop_count?: unknown; path_method?: unknown }): number | undefined {
  const { path_hop_count: hops, path_method: method } = metrics;
  const first = params.method === "auto" ? "udp" : params.method;
  if (typeof hops !== "number" || method !== first) return undefined;
  return traffic({ ...params, method: first, max_hops: Math.min(params.max_hops, hops + AHEAD) }).bytes;
}

export const traceroute = defineTestType({
  type: "traceroute",
  label: "Traceroute",
  summary: "The path to a host: every hop, parallel paths, changes, loops and where answers stop",
  destination: { hint: "A host name or an IP address, without scheme, port or path.", example: "crm.example or 192.0.2.10" },
  params: tracerouteParams,
  metrics: [...metricsOf("traceroute"), ...DSCP_METRICS],
  headline: ["path_rtt_median", "path_hop_count", "path_changed", "path_loss_pct"],
  default_interval_s: 60,
  peer: "address",
  check: checkTraceroute,
  contacts: (destination) => hostContact(checkHost(destination)),
  traffic,
  moved,
  deadline_ms: (params) => params.deadline * 1000,
});
