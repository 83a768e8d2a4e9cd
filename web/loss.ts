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
export const LOSS_METRICS: readonly string[] = ["ping_loss_pct", "path_loss_pct", "tcp_failed_pct"];
export const isLossMetric = (metric: string) => LOSS_METRICS.includes(metric);

/** Loss of a run, null where its type counts none. */
export function lossOf(metrics: Readonly<Record<string, unknown>>): number | null {
  const found = LOSS_METRICS.map((name) => metrics[name]).find((value) => typeof value === "number");
  return typeof found === "number" ? found : null;
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
