// One or two metrics as lines over time.
import { useMemo } from "preact/hooks";
import { formatText, metricLabel } from "../format.ts";
import { findGaps, type Point } from "../state/points.ts";
import { linePoints } from "./line-points.ts";
import { gapsSince } from "./smoke.ts";
import { type Line, TimeChart } from "./time-chart.tsx";

interface MetricChartProps {
  metrics: readonly string[];
  unit: string;
  points: readonly Point[];
  from: number;
  to: number;
  stepMs: number;
  /** Earlier there was nothing to measure. */
  createdAt?: number;
  height?: number;
  suggestedMax?: number;
  onZoom?: ((from: number, to: number) => void) | undefined;
}

export function MetricChart({
  metrics,
  unit,
  points,
  from,
  to,
  stepMs,
  createdAt = 0,
  height = 130,
  suggestedMax,
  onZoom,
}: MetricChartProps) {
  const inView = useMemo(() => points.filter((point) => point.end >= from && point.t <= to), [points, from, to]);
  const breaks = useMemo(() => findGaps(inView, stepMs, from, to), [inView, stepMs, from, to]);
  const gaps = useMemo(() => gapsSince(breaks, createdAt), [breaks, createdAt]);
  const lines = useMemo<Line[]>(
    () =>
      metrics.map((metric, index) => ({
        label: metricLabel(metric),
        colour: index === 0 ? "accent" : "second",
        dashed: index > 0,
        points: linePoints(inView, metric, breaks),
      })),
    [metrics, inView, breaks],
  );
  const newest = inView.at(-1);
  const summary = metrics.map((metric) => `${metricLabel(metric)} ${formatText(metric, newest?.values[metric]?.mid)}`).join(", ");
  return (
    <TimeChart
      label={`${summary}; ${inView.length} points, ${gaps.length} gaps`}
      height={height}
      from={from}
      to={to}
      unit={unit}
      suggestedMax={suggestedMax}
      scaleless={!lines.some((line) => line.points.some((point) => Number.isFinite(point.y)))}
      lines={lines}
      gaps={gaps}
      stepMs={stepMs}
      onZoom={onZoom}
    />
  );
}
