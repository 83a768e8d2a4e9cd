// Up to four metrics of one unit as lines over time.
import { useMemo } from "preact/hooks";
import { formatText, metricLabel } from "../format.ts";
import { findGaps, type Point } from "../state/points.ts";
import { paintMarks } from "./canvas.ts";
import { linePoints } from "./line-points.ts";
import { gapsSince, paintFailures, paintStart } from "./smoke.ts";
import { type Line, type LineStyle, TimeChart } from "./time-chart.tsx";

interface MetricChartProps {
  metrics: readonly string[];
  unit: string;
  points: readonly Point[];
  from: number;
  to: number;
  stepMs: number;
  /** Earlier there was nothing to measure. */
  createdAt?: number;
  /** What happened at `createdAt`; a line says so. */
  created?: string | undefined;
  height?: number;
  /** Ends of the axis, where 0 and the highest value are not the ones to show. */
  min?: number | undefined;
  max?: number | undefined;
  suggestedMax?: number;
  /** A value holds until the next one. */
  stepped?: boolean;
  /** A flag whose runs are marked. */
  mark?: string | undefined;
  onZoom?: ((from: number, to: number) => void) | undefined;
}

const STYLES: readonly LineStyle[] = ["accent", "second", "third", "fourth"];

const marked = (points: readonly Point[], flag: string) => points.filter((point) => point.values[flag]).map((point) => point.t);

export function MetricChart({
  metrics,
  unit,
  points,
  from,
  to,
  stepMs,
  createdAt = 0,
  created,
  height = 130,
  min,
  max,
  suggestedMax,
  stepped = false,
  mark,
  onZoom,
}: MetricChartProps) {
  const inView = useMemo(() => points.filter((point) => point.end >= from && point.t <= to), [points, from, to]);
  const breaks = useMemo(() => findGaps(inView, stepMs, from, to), [inView, stepMs, from, to]);
  const gaps = useMemo(() => gapsSince(breaks, createdAt), [breaks, createdAt]);
  const lines = useMemo<Line[]>(
    () =>
      metrics.map((metric, index) => ({
        label: metricLabel(metric),
        style: STYLES[index] ?? "accent",
        stepped,
        points: linePoints(inView, metric, breaks),
      })),
    [metrics, inView, breaks, stepped],
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
      min={min}
      max={max}
      suggestedMax={suggestedMax}
      scaleless={!lines.some((line) => line.points.some((point) => Number.isFinite(point.y)))}
      lines={lines}
      gaps={gaps}
      stepMs={stepMs}
      onZoom={onZoom}
      paint={(painting) => {
        if (created !== undefined) paintStart(painting, createdAt, created);
        paintFailures(painting, inView, stepMs);
        if (mark !== undefined) paintMarks(painting, marked(inView, mark));
      }}
    />
  );
}
