// A share of something, as a short bar with its figure to the right.
import { formatNumber, formatPercent } from "../format.ts";
import { lossLevel } from "../loss.ts";
import { Unknown } from "./figure.tsx";

const WARN_FROM = 80;
const BAD_FROM = 95;

interface MeterProps {
  value: number | null;
  label: string;
  why: string;
  /** What the colour says: how full something is, or how much was lost. */
  scale?: "full" | "loss";
}

export function Meter({ value, label, why, scale = "full" }: MeterProps) {
  if (value === null) return <Unknown why={why} />;
  const full = value >= BAD_FROM ? "bad" : value >= WARN_FROM ? "warn" : "plain";
  const tone = scale === "loss" ? `loss-${lossLevel(value)}` : full;
  return (
    <span class="meter">
      <span class="meter-track" aria-hidden="true">
        <span class={`meter-fill meter-${tone}`} style={{ width: `${Math.max(0, Math.min(100, value))}%` }} />
      </span>
      <span class="meter-value">
        <span class="visually-hidden">{label} </span>
        {scale === "loss" ? formatPercent(value) : value >= 10 ? Math.round(value) : formatNumber(Math.round(value * 10) / 10)}
        <span class="unit"> %</span>
      </span>
    </span>
  );
}
