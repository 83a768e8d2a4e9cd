// A share of something, as a short bar with its figure to the right.
import { formatNumber } from "../format.ts";
import { Unknown } from "./figure.tsx";

const WARN_FROM = 80;
const BAD_FROM = 95;

export function Meter({ value, label, why }: { value: number | null; label: string; why: string }) {
  if (value === null) return <Unknown why={why} />;
  const tone = value >= BAD_FROM ? "bad" : value >= WARN_FROM ? "warn" : "plain";
  return (
    <span class="meter">
      <span class="meter-track" aria-hidden="true">
        <span class={`meter-fill meter-${tone}`} style={{ width: `${Math.max(0, Math.min(100, value))}%` }} />
      </span>
      <span class="meter-value">
        <span class="visually-hidden">{label} </span>
        {value >= 10 ? Math.round(value) : formatNumber(Math.round(value * 10) / 10)}
        <span class="unit"> %</span>
      </span>
    </span>
  );
}
