// Latency of one test on one client. The browser tests read what it shows from its data attributes.
import { useMemo, useRef } from "preact/hooks";
import { formatText } from "../format.ts";
import { findGaps, type Point } from "../state/points.ts";
import { ceilingOf, gapsSince, PING_SMOKE, paintSmoke, paintStart, type SmokeMetrics } from "./smoke.ts";
import { TimeChart } from "./time-chart.tsx";

interface LatencyChartProps {
  name: string;
  points: readonly Point[];
  from: number;
  to: number;
  stepMs: number;
  createdAt: number;
  /** What happened at `createdAt`. */
  created?: string;
  height: number;
  /** What is drawn; ping's round trips where nothing is said. */
  metrics?: SmokeMetrics;
  onZoom?: ((from: number, to: number) => void) | undefined;
}

export function LatencyChart({
  name,
  points,
  from,
  to,
  stepMs,
  createdAt,
  created = "test created",
  height,
  metrics = PING_SMOKE,
  onZoom,
}: LatencyChartProps) {
  const element = useRef<HTMLDivElement>(null);
  const shownSeq = useRef(0);
  const inView = useMemo(() => points.filter((point) => point.end >= from && point.t <= to), [points, from, to]);
  const gaps = useMemo(() => gapsSince(findGaps(inView, stepMs, from, to), createdAt), [inView, stepMs, from, to, createdAt]);
  const ceiling = ceilingOf(inView, metrics);
  const failed = inView.filter((point) => point.failed).length;

  const drawn = () => {
    const data = element.current?.dataset;
    if (!data) return;
    data.points = String(inView.length);
    const newest = inView.reduce<Point | null>((best, point) => ((point.seq ?? 0) > (best?.seq ?? 0) ? point : best), null);
    if (!newest?.seq || newest.seq <= shownSeq.current) return;
    shownSeq.current = newest.seq;
    data.lastSeq = String(newest.seq);
    data.lastShownMs = String(Math.round(Date.now() - newest.end));
  };

  return (
    <div ref={element} data-testid="latency-chart">
      <TimeChart
        label={`Latency of ${name}: ${inView.length} points, ${failed} without an answer, ${gaps.length} gaps`}
        height={height}
        from={from}
        to={to}
        unit="ms"
        max={ceiling?.max}
        scaleless={!ceiling}
        gaps={gaps}
        stepMs={stepMs}
        onZoom={onZoom}
        onDrawn={drawn}
        paint={(painting) => {
          paintStart(painting, createdAt, created);
          paintSmoke(painting, inView, stepMs, metrics);
        }}
      />
      {ceiling && ceiling.peak !== null && (
        <p class="chart-note">Peaks reach {formatText("ping_rtt_max", ceiling.peak)}; the axis stops below.</p>
      )}
    </div>
  );
}
