import { z } from "zod";
import { checkEndpoint, checkUrl } from "../destination.ts";
import { metricsOf } from "../metrics.ts";
import type { FieldError } from "../problem.ts";
import { defineTestType, familyMismatch } from "./define.ts";
import { ipVersionField, portField, timeoutField } from "./fields.ts";

/** The agent's own server as destination. */
export const EDGE = "edge";
/** Longest run, seconds: whoever fills a line must soon be done. */
const RUN_S = 60;
/** For finding the address, the idle round trips and the end, seconds. */
const AROUND_S = 5;
/** For the connections of a phase to be made, seconds. */
const CONNECT_S = 1;
/** Least time after the warm-up, seconds: four slices. */
const MEASURED_S = 1;

const bandwidthParams = z.strictObject({
  direction: z.enum(["both", "down", "up"]).default("both").describe("What to measure"),
  streams: z.number().int().min(1).max(16).default(8).describe("Connections at once, to fill the line"),
  single: z.boolean().default(true).describe("Also measure with one connection, which shows the path's health"),
  duration: z.number().min(2).max(15).default(8).describe("Seconds a phase may take; a steady one ends earlier"),
  warm_up: z.number().min(0).max(10).default(2).describe("Seconds at a phase's start that do not count"),
  max_bytes: z
    .number()
    .int()
    .min(1_000_000)
    .max(50_000_000_000)
    .default(500_000_000)
    .describe("Bytes one run may use, both ways together"),
  month_bytes: z
    .number()
    .int()
    .min(1_000_000)
    .max(100_000_000_000_000)
    .default(20_000_000_000)
    .describe("Bytes all bandwidth runs of this agent may use in a calendar month (UTC)"),
  skip_above_mbps: z
    .number()
    .min(0)
    .max(100_000)
    .default(5)
    .describe("Skip the run when the interface carries more than this in either direction, Mbit/s; 0 never skips"),
  port: portField(80),
  timeout: timeoutField(5, 20, "Seconds to wait for a connection and for the first byte"),
  ip_version: ipVersionField,
});
export type BandwidthParams = z.output<typeof bandwidthParams>;

/** Phases of a run: each direction with many connections, then with one where that is asked for and is not the same. */
export function phaseCount({ direction, single, streams }: BandwidthParams): number {
  return (direction === "both" ? 2 : 1) * (single && streams > 1 ? 2 : 1);
}

const runSeconds = (params: BandwidthParams): number =>
  phaseCount(params) * (params.duration + CONNECT_S) + params.timeout + AROUND_S;

export type BandwidthDestination =
  | { readonly kind: "edge" }
  | { readonly kind: "url"; readonly url: string; readonly host: string; readonly version: 0 | 4 | 6 }
  | { readonly kind: "host"; readonly host: string; readonly version: 0 | 4 | 6; readonly port: number | undefined };

/** What a destination names: the agent's server, a URL, or a host with or without a port. */
export function readBandwidthDestination(text: string): BandwidthDestination | { readonly problem: string } {
  const input = text.trim();
  if (input === EDGE) return { kind: "edge" };
  if (input.includes("://")) {
    const url = checkUrl(input);
    return url.ok ? { kind: "url", url: url.url, host: url.host, version: url.version } : { problem: url.message };
  }
  const endpoint = checkEndpoint(input);
  if (!endpoint.ok) return { problem: endpoint.message };
  return { kind: "host", host: endpoint.host, version: endpoint.version, port: endpoint.port };
}

function checkBandwidth(destination: string, params: BandwidthParams, interval_s?: number): FieldError[] {
  const aim = readBandwidthDestination(destination);
  if ("problem" in aim) return [{ path: "destination", message: aim.problem }];
  const errors = aim.kind === "edge" ? [] : familyMismatch(aim.version, params.ip_version);
  const seconds = runSeconds(params);
  if (params.duration - params.warm_up < MEASURED_S) {
    const message = `is ${params.warm_up}, which leaves less than ${MEASURED_S} s of the ${params.duration} s of a phase`;
    errors.push({ path: "params.warm_up", message });
  }
  if (seconds > RUN_S) {
    const message = `makes a run of up to ${seconds} s; a run may take ${RUN_S} s, so shorten it or measure less`;
    errors.push({ path: "params.duration", message });
  } else if (interval_s !== undefined && seconds > interval_s) {
    errors.push({ path: "params.duration", message: `makes a run of up to ${seconds} s, longer than the interval` });
  }
  if (params.max_bytes > params.month_bytes) {
    errors.push({ path: "params.max_bytes", message: `is ${params.max_bytes}, more than month_bytes allows in a month` });
  }
  return errors;
}

/** Names no host for `edge`: the agent's own server, which it speaks to anyway and only the agent knows. */
function contacts(destination: string): string[] {
  const aim = readBandwidthDestination(destination);
  return "problem" in aim || aim.kind === "edge" ? [] : [aim.host];
}

export const bandwidth = defineTestType({
  type: "bandwidth",
  label: "Bandwidth",
  summary: "Download and upload with one and with many connections, and latency under load, within a byte budget",
  destination: {
    hint: "edge (the agent's server), a URL, or host[:port] of a reflector or another speed server.",
    example: "edge, 192.0.2.10:8862 or https://files.example/100MB.bin",
  },
  params: bandwidthParams,
  metrics: metricsOf("bandwidth"),
  headline: ["bw_down_mbps", "bw_up_mbps", "bloat_down_ms", "rpm_down"],
  // 180 runs a month: what a steady line of 50 Mbit/s needs stays within the default month.
  default_interval_s: 14_400,
  peer: "reflector",
  check: checkBandwidth,
  contacts,
  // As many packets as the line carries; its bytes as the type counts them, without headers, which are some 5 % more.
  traffic: ({ max_bytes }) => ({ packets_per_s: Number.POSITIVE_INFINITY, bytes: max_bytes }),
  moved: (_params, { bw_bytes }) => (typeof bw_bytes === "number" ? bw_bytes : undefined),
  deadline_ms: (params) => Math.min(RUN_S, runSeconds(params)) * 1000,
});
