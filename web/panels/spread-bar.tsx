// Smallest to largest on a common scale, with a mark at the median.
interface SpreadBarProps {
  low: number | null;
  mid: number | null;
  high: number | null;
  /** What the bar's whole width stands for. */
  scale: number;
  label: string;
}

export function SpreadBar({ low, mid, high, scale, label }: SpreadBarProps) {
  if (mid === null || scale <= 0) return null;
  const at = (value: number) => Math.max(0, Math.min(100, (value / scale) * 100));
  const left = at(low ?? mid);
  return (
    <span class="spread" title={label} aria-hidden="true">
      <span class="spread-range" style={{ left: `${left}%`, width: `${Math.max(0, at(high ?? mid) - left)}%` }} />
      <span class="spread-mid" style={{ left: `${at(mid)}%` }} />
    </span>
  );
}
