// Loss of one test on one client, as bars.
import { useMemo } from "preact/hooks";
import { findGaps, type Point } from "../state/points.ts";
import { gapsSince, paintLossBars } from "./smoke.ts";
import { TimeChart } from "./time-chart.tsx";

interface LossChartProps {
  points: readonly Point[];
  from: number;
  to: number;
  stepMs: number;
  createdAt: number;
  onZoom?: ((from: number, to: number) => void) | undefined;
}

/** The axis never zooms in further: a single lost packet is no catastrophe. */
const LEAST_MAX_PCT = 5;

export function LossChart({ points, from, to, stepMs, createdAt, onZoom }: LossChartProps) {
  const inView = useMemo(() => points.filter((point) => point.end >= from && point.t <= to), [points, from, to]);
  const gaps = useMemo(() => gapsSince(findGaps(inView, stepMs, from, to), createdAt), [inView, stepMs, from, to, createdAt]);
  const worst = inView.reduce((most, point) => Math.max(most, point.loss ?? 0), 0);
  return (
    <TimeChart
      label={`Loss: at most ${worst} % in a run or bucket`}
      height={104}
      from={from}
      to={to}
      unit="%"
      max={Math.min(100, Math.max(LEAST_MAX_PCT, worst * 1.15))}
      gaps={gaps}
      stepMs={stepMs}
      onZoom={onZoom}
      paint={(painting) => paintLossBars(painting, inView, stepMs)}
    />
  );
}
