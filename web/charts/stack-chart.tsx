// Parts that add up to a whole, stacked at each point of time.
import { useMemo } from "preact/hooks";
import { formatText } from "../format.ts";
import { findGaps, type Point } from "../state/points.ts";
import type { Painting } from "./canvas.ts";
import { ceilingOfHighs, gapsSince, paintFailures, paintStart, slotOf } from "./smoke.ts";
import { type Layer, stackOf } from "./stack.ts";
import { TimeChart } from "./time-chart.tsx";

interface StackChartProps {
  /** "http to crm.example from lyon-gw-01" */
  name: string;
  /** Bottom first. */
  layers: readonly Layer[];
  points: readonly Point[];
  from: number;
  to: number;
  stepMs: number;
  createdAt: number;
  created: string;
  height: number;
  onZoom?: ((from: number, to: number) => void) | undefined;
}

function paintStack(
  { context, area, colours, x, y }: Painting,
  points: readonly Point[],
  stepMs: number,
  layers: readonly Layer[],
) {
  context.save();
  context.beginPath();
  context.rect(area.left, area.top, area.right - area.left, area.bottom - area.top);
  context.clip();
  points.forEach((point, index) => {
    const { left, width } = slotOf(points, index, stepMs, x);
    for (const { phase, low, high } of stackOf(point, layers)) {
      context.fillStyle = colours.phase[phase];
      context.fillRect(left, y(high), Math.max(1, width - (width > 5 ? 1 : 0)), Math.max(0, y(low) - y(high)));
    }
  });
  context.restore();
}

export function StackChart({ name, layers, points, from, to, stepMs, createdAt, created, height, onZoom }: StackChartProps) {
  const inView = useMemo(() => points.filter((point) => point.end >= from && point.t <= to), [points, from, to]);
  const gaps = useMemo(() => gapsSince(findGaps(inView, stepMs, from, to), createdAt), [inView, stepMs, from, to, createdAt]);
  const totals = inView.flatMap((point) => stackOf(point, layers).at(-1)?.high ?? []);
  const ceiling = ceilingOfHighs(totals);
  const newest = totals.at(-1);
  const failed = inView.filter((point) => point.failed).length;
  return (
    <>
      <TimeChart
        label={`Phases of ${name}: ${inView.length} points, ${failed} failed, newest ${formatText("http_total_ms", newest)}`}
        height={height}
        from={from}
        to={to}
        unit="ms"
        max={ceiling?.max}
        scaleless={!ceiling}
        gaps={gaps}
        stepMs={stepMs}
        onZoom={onZoom}
        paint={(painting) => {
          paintStart(painting, createdAt, created);
          paintStack(painting, inView, stepMs, layers);
          paintFailures(painting, inView, stepMs);
        }}
      />
      {ceiling && ceiling.peak !== null && (
        <p class="chart-note">Peaks reach {formatText("http_total_ms", ceiling.peak)}; the axis stops below.</p>
      )}
    </>
  );
}
