// What results tell witnesses: whether a target failed, the path in short, a check in short. Details come from agents and are read
// with suspicion. Pure.
import { z } from "zod";
import { ipVersion } from "#contract/destination";
import type { Evidence, SeenPath, WitnessCheck, WitnessHop } from "#contract/events";
import { type MetricName, metricDefinition } from "#contract/metrics";
import type { ResultError, WireResult } from "#contract/result";
import { isTestTypeName, testType } from "#contract/test-types/index";
import { rfc3339 } from "../time.ts";

/** Loss from which a target counts as failing though some packets came back, percent, and of how many packets it must be. */
const LOSS = { pct: 50, of: 4 } as const;

/** A count of sent packets beside the loss among them. */
const LOSS_METRICS: readonly (readonly [loss: MetricName, sent: MetricName])[] = [
  ["ping_loss_pct", "ping_sent"],
  ["udp_loss_pct", "udp_sent"],
];

/** The loss a result measured, percent; null where its type measures none. */
export function lossOf({ metrics }: Pick<WireResult, "metrics">): number | null {
  for (const [loss, sent] of LOSS_METRICS) {
    const [pct, count] = [metrics[loss], metrics[sent]];
    if (typeof pct === "number" && typeof count === "number" && count >= LOSS.of) return pct;
  }
  return null;
}

/**
 * Whether a result says that its target fails: a run that failed by the fault of target, network or resolver, or lost half its
 * packets or more. `unknown` for what the agent or its tool could not measure, whole or in part.
 */
export function judge(result: Pick<WireResult, "status" | "error" | "metrics">): "failed" | "fine" | "unknown" {
  if (result.error?.code === "cut_off") return "unknown";
  if ((lossOf(result) ?? 0) >= LOSS.pct) return "failed";
  if (result.status !== "failed") return "fine";
  const source = result.error?.source;
  return source === "target" || source === "network" || source === "resolver" ? "failed" : "unknown";
}

const HOPS_AT_MOST = 64;
const ADDRS_AT_MOST = 4;
const MESSAGE_LENGTH = 300;

const figure = z.number().nullable().catch(null);
const count = z.number().int().min(0).max(1_000_000).catch(0);
const hopSchema = z.object({
  ttl: z.number().int().min(1).max(255),
  addrs: z.array(z.unknown()).catch([]),
  sent: count,
  received: count,
  rtt_median: figure,
  loss_pct: figure,
  asns: z.array(z.object({ asn: z.number().int() }).nullable().catch(null)).catch([]),
});

const readError = (error: ResultError | null): ResultError | null =>
  error === null ? null : { ...error, message: error.message.slice(0, MESSAGE_LENGTH) };

/** Hops of a traceroute result's detail, ascending; whatever is not one is left out. */
function readHops(detail: WireResult["detail"]): WitnessHop[] {
  const listed = Array.isArray(detail.hops) ? detail.hops.slice(0, HOPS_AT_MOST) : [];
  const hops = new Map<number, WitnessHop>();
  for (const raw of listed) {
    const parsed = hopSchema.safeParse(raw);
    if (!parsed.success) continue;
    const { addrs, asns, ...hop } = parsed.data;
    const read = addrs.filter((addr): addr is string => typeof addr === "string" && addr.length <= 64 && ipVersion(addr) !== 0);
    hops.set(hop.ttl, { ...hop, addrs: read.slice(0, ADDRS_AT_MOST), asn: asns[0]?.asn ?? null });
  }
  return [...hops.values()].sort((a, b) => a.ttl - b.ttl);
}

/** A traceroute result in short. `at` is epoch milliseconds by the edge's clock. */
export function seenPath(clientId: string, result: WireResult, at: number): SeenPath {
  const { metrics } = result;
  const { path_reached: reached, path_rtt_median: rtt, path_method: method } = metrics;
  return {
    result_id: `${clientId}.${result.seq}`,
    at: rfc3339(at),
    destination: result.destination.slice(0, 300),
    address: result.address,
    method: typeof method === "string" ? method.slice(0, 20) : null,
    status: result.status,
    error: readError(result.error),
    reached: typeof reached === "boolean" ? reached : null,
    rtt_median: typeof rtt === "number" ? rtt : null,
    hops: readHops(result.detail),
  };
}

/** Whether a result is a path that reached its target. */
export const isGoodPath = (result: Pick<WireResult, "type" | "status" | "metrics">): boolean =>
  result.type === "traceroute" && result.status === "ok" && result.metrics.path_reached === true;

/** Any other result in short. */
export function witnessCheck(clientId: string, result: WireResult, at: number): WitnessCheck {
  const name = isTestTypeName(result.type) ? testType(result.type).headline[0] : undefined;
  const value = name === undefined || metricDefinition(name).unit !== "ms" ? null : result.metrics[name];
  return {
    result_id: `${clientId}.${result.seq}`,
    type: result.type,
    at: rfc3339(at),
    status: result.status,
    error: readError(result.error),
    opinion: judge(result),
    latency_ms: typeof value === "number" ? value : null,
  };
}

/** Bytes of JSON that the evidence of an event may take. */
const EVIDENCE_BYTES = 60 * 1024;

const sizeOf = (evidence: Evidence): number => new TextEncoder().encode(JSON.stringify(evidence)).byteLength;

function cutPath(path: SeenPath | null, hops: number, addrs: number): SeenPath | null {
  if (path === null) return null;
  return { ...path, hops: path.hops.slice(0, hops).map((hop) => ({ ...hop, addrs: hop.addrs.slice(0, addrs) })) };
}

/** Evidence that fits its place: of very long paths fewer addresses are kept, then fewer hops of the other clients' paths. */
export function bounded(evidence: Evidence): Evidence {
  const cut = (hops: number, addrs: number, others: number): Evidence => ({
    ...evidence,
    path: cutPath(evidence.path, hops, addrs),
    last_good: cutPath(evidence.last_good, hops, addrs),
    siblings: evidence.siblings.map((one) => ({ ...one, path: cutPath(one.path, others, addrs) })),
  });
  for (const fits of [evidence, cut(HOPS_AT_MOST, 2, HOPS_AT_MOST), cut(40, 1, 40), cut(40, 1, 10)]) {
    if (sizeOf(fits) <= EVIDENCE_BYTES) return fits;
  }
  return { ...cut(20, 1, 0), diff: null };
}
