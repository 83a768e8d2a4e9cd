// What a result becomes that this host measured while it reached nothing. Pure.
import type { HostFlagName } from "#contract/flags";
import { METRIC_NAMES, type MetricName } from "#contract/metrics";
import type { Measurement, ResultError } from "#contract/result";
import { MetricSheet } from "./probes/probe.ts";

const CUT_OFF: HostFlagName = "cut_off";

/** Metrics that count what did not come back, or follow from it. */
const LOSS = new Set<MetricName>(
  METRIC_NAMES.filter((name) =>
    /_loss_|_lost(_|$)|_received$|_failed_pct$|_burst_ratio|_gap_density$|^voip_(mos|r_factor)/.test(name),
  ),
);
/**
 * Types of separate round trips: what came back in time is true whatever happened to the rest. All others read something from
 * silence (a path's end, a size, a rate, a verdict), so that of a hurt run nothing can be kept.
 */
const SEPARATE: readonly string[] = ["ping", "udp", "tcp", "dns"];
/** A run whose every packet came back says that there was a way out. */
const TELLING: readonly string[] = ["ping", "tcp", "dns", "tls", "http"];
/** Codes of the agent's own that are what a cut line looks like from inside. */
const OWN_CODES: readonly string[] = ["no_route", "deadline", "peer_unavailable"];

type Judged = Pick<Measurement, "type" | "status" | "error" | "metrics" | "flags">;

const lostAny = ({ metrics }: Pick<Judged, "metrics">): boolean =>
  Object.entries(metrics).some(
    ([name, value]) => /_loss_(up_|down_)?pct$|_failed_pct$/.test(name) && typeof value === "number" && value > 0,
  );

/** Whether a cut line could explain what a run did not get. */
export function isSuspect(result: Judged): boolean {
  const { status, error } = result;
  if (status === "ok") return lostAny(result);
  if (error === null) return true;
  return ["target", "network", "resolver"].includes(error.source) || OWN_CODES.includes(error.code);
}

/** Whether a run shows that its packets came and went. */
export const isTelling = (result: Judged): boolean => result.status === "ok" && TELLING.includes(result.type) && !lostAny(result);

/** What was seen, in short: figures alone, since they have to fit beside everything else. */
function before({ status, error, metrics }: Measurement): Record<string, unknown> {
  return { status, error, metrics: Object.fromEntries(Object.entries(metrics).filter(([, value]) => value !== null)) };
}

/**
 * The result of a run that ran into a cut line. One that failed, or of which nothing can be kept, measured nothing: code `cut_off`,
 * source `agent`, every metric null (`no_route`). One of separate round trips keeps those that came back and loses what counts
 * the others: partial, with the same error. What was seen is in `detail.before`.
 */
export function cutOffResult(result: Measurement, why: string): Measurement {
  const error: ResultError = { code: "cut_off", source: "agent", message: why.slice(0, 1000) };
  const flags = [...new Set<string>([CUT_OFF, ...result.flags])].slice(0, 16);
  const kept = result.status !== "failed" && SEPARATE.includes(result.type);
  const sheet = new MetricSheet();
  for (const [name, value] of Object.entries(result.metrics) as [MetricName, Measurement["metrics"][MetricName]][]) {
    const gone = !kept || LOSS.has(name);
    sheet.set(name, gone ? null : value, gone ? "no_route" : (result.reasons[name] ?? "unsupported"));
  }
  const { metrics, reasons } = sheet;
  const about = result.detail.peer === undefined ? {} : { peer: result.detail.peer };
  const detail = { ...(kept ? result.detail : about), before: before(result) };
  return { ...result, status: kept ? "partial" : "failed", error, metrics, reasons, detail, flags };
}
