// The loss scale: one colour and one word for each step, everywhere.
import { formatPercent } from "./format.ts";

export type LossLevel = "unknown" | "none" | "low" | "mid" | "high";

const LOW_BELOW = 2;
const MID_BELOW = 6;

export function lossLevel(pct: number | null | undefined): LossLevel {
  if (pct === null || pct === undefined || !Number.isFinite(pct)) return "unknown";
  if (pct <= 0) return "none";
  if (pct < LOW_BELOW) return "low";
  return pct < MID_BELOW ? "mid" : "high";
}

/** Metrics that are the share of packets or connects that got no answer, a type's own each. */
const ROUND_TRIP_LOSS: readonly string[] = ["ping_loss_pct", "path_loss_pct", "tcp_failed_pct", "udp_loss_pct"];
/** What got lost one way; where that is all there is, the worse of the two ways stands for the run. */
const ONE_WAY_LOSS: readonly string[] = [
  "udp_loss_up_pct",
  "udp_loss_down_pct",
  "voip_effective_loss_up_pct",
  "voip_effective_loss_down_pct",
];

export const LOSS_METRICS: readonly string[] = [...ROUND_TRIP_LOSS, ...ONE_WAY_LOSS];
export const isLossMetric = (metric: string) => LOSS_METRICS.includes(metric);
/** Whether a run's loss is this very metric; of the two ways each has its own. */
export const isRoundTripLoss = (metric: string) => ROUND_TRIP_LOSS.includes(metric);

/** Loss of a run, of the worse direction where each counts its own; null where its type counts none. */
export function lossOf(metrics: Readonly<Record<string, unknown>>): number | null {
  const found = LOSS_METRICS.map((name) => metrics[name]).filter((value) => typeof value === "number");
  return found.length > 0 ? Math.max(...found) : null;
}

export function lossTone(value: unknown): "warn" | "bad" | undefined {
  const level = lossLevel(typeof value === "number" ? value : null);
  if (level === "high") return "bad";
  return level === "low" || level === "mid" ? "warn" : undefined;
}

/** "4.8 % loss", where `what` was lost. */
export function lossBadge(value: unknown, what: string): { tone: "ok" | "warn" | "bad"; text: string } | null {
  return typeof value === "number" ? { tone: lossTone(value) ?? "ok", text: `${formatPercent(value)} % ${what}` } : null;
}

/** CSS variable of a level; the palette itself is in style.css. */
export const LOSS_VARIABLE: Record<LossLevel, string> = {
  unknown: "--ss-none",
  none: "--ss-accent",
  low: "--ss-loss-low",
  mid: "--ss-loss-mid",
  high: "--ss-loss-high",
};

export const lossLegend = (what: string): readonly (readonly [LossLevel, string])[] => [
  ["none", `0 % ${what}`],
  ["low", `< ${LOW_BELOW} %`],
  ["mid", `< ${MID_BELOW} %`],
  ["high", `≥ ${MID_BELOW} %`],
];
