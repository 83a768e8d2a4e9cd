// The loss scale: one colour and one word for each step, everywhere.

export type LossLevel = "unknown" | "none" | "low" | "mid" | "high";

const LOW_BELOW = 2;
const MID_BELOW = 6;

export function lossLevel(pct: number | null | undefined): LossLevel {
  if (pct === null || pct === undefined || !Number.isFinite(pct)) return "unknown";
  if (pct <= 0) return "none";
  if (pct < LOW_BELOW) return "low";
  return pct < MID_BELOW ? "mid" : "high";
}

/** CSS variable of a level; the palette itself is in style.css. */
export const LOSS_VARIABLE: Record<LossLevel, string> = {
  unknown: "--ss-none",
  none: "--ss-accent",
  low: "--ss-loss-low",
  mid: "--ss-loss-mid",
  high: "--ss-loss-high",
};

export const LOSS_LEGEND: readonly (readonly [LossLevel, string])[] = [
  ["none", "0 % loss"],
  ["low", `< ${LOW_BELOW} %`],
  ["mid", `< ${MID_BELOW} %`],
  ["high", `≥ ${MID_BELOW} %`],
];
