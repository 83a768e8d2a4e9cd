// The slices of one phase of a throughput run: bars of 250 ms, the warm-up hatched, since it does not count.
import { formatText } from "../format.ts";
import type { BandwidthPhase } from "./bandwidth-words.ts";

const WIDTH = 320;
const HEIGHT = 84;
const GAP = 1;

interface SliceChartProps {
  phase: BandwidthPhase;
  /** What the run made of the slices that count, Mbit/s. */
  rate: number | null;
  /** Mbit/s at the top. */
  top: number;
  label: string;
}

export function SliceChart({ phase, rate, top, label }: SliceChartProps) {
  const { slices, warm } = phase;
  if (slices.length === 0 || top <= 0) return <p class="text-secondary small">This phase kept no slices.</p>;
  const step = WIDTH / slices.length;
  const y = (value: number) => HEIGHT - Math.min(1, value / top) * (HEIGHT - 4);
  const spoken = `${label}: ${slices.length} slices, the first ${warm} warm-up; ${formatText("bw_down_mbps", Math.min(...slices))} to ${formatText("bw_down_mbps", Math.max(...slices))}`;
  return (
    <svg class="slices" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={spoken}>
      <title>{spoken}</title>
      {warm > 0 && <Hatching width={warm * step} />}
      {slices.map((value, index) => (
        <rect
          key={index}
          class={index < warm ? "slice slice-warm" : "slice"}
          x={index * step}
          y={y(value)}
          width={Math.max(0.5, step - GAP)}
          height={HEIGHT - y(value)}
        />
      ))}
      {rate !== null && rate > 0 && <path class="slice-rate" d={`M0 ${y(rate)}H${WIDTH}`} vector-effect="non-scaling-stroke" />}
    </svg>
  );
}

const HATCH_STEP = 8;

/** Behind the bars that do not count. */
function Hatching({ width }: { width: number }) {
  const lines = Array.from({ length: Math.ceil((width + HEIGHT) / HATCH_STEP) }, (_, index) => index * HATCH_STEP - HEIGHT);
  const path = lines
    .map((start) => {
      // Each line is cut off where the warm-up ends.
      const from = Math.max(0, start);
      const to = Math.min(width, start + HEIGHT);
      return to <= from ? "" : `M${from} ${HEIGHT - (from - start)}L${to} ${HEIGHT - (to - start)}`;
    })
    .join("");
  return <path class="slice-hatch" d={path} vector-effect="non-scaling-stroke" />;
}
