// What the charts show under the cursor, or else newest, in words and figures.
import { formatText, metricLabel } from "../format.ts";
import { isRoundTripLoss } from "../loss.ts";
import type { Point } from "../state/points.ts";
import { clockTime, cursorText } from "../time.ts";
import { cursor, pointAt } from "./cursor.ts";

interface ReadoutProps {
  points: readonly Point[];
  stepMs: number;
  /** The view's end and length. */
  to: number;
  spanMs: number;
  /** Metric and the word to show it with. */
  metrics: readonly (readonly [string, string])[];
}

export function Readout({ points, stepMs, to, spanMs, metrics }: ReadoutProps) {
  const at = cursor.value;
  const point = points[at === null ? pointAt(points, to, spanMs) : pointAt(points, at, stepMs * 1.5)];
  if (!point) {
    return <span class="readout">{at !== null && <strong>{cursorText(at, spanMs)}</strong>} no data</span>;
  }
  const time = point.seq === null ? cursorText(point.t, spanMs) : clockTime(point.t);
  return (
    <span class="readout">
      <strong>{time}</strong>
      {point.failed && <span class="text-bad">failed</span>}
      {metrics.map(([metric, word]) => (
        <span title={metricLabel(metric)}>
          {word} <b>{formatText(metric, isRoundTripLoss(metric) ? point.loss : point.values[metric]?.mid)}</b>
        </span>
      ))}
    </span>
  );
}
