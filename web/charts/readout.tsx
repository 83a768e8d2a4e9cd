// What the charts show under the cursor, or else newest, in words and figures.
import { useContext } from "preact/hooks";
import { formatText, metricLabel } from "../format.ts";
import { isRoundTripLoss } from "../loss.ts";
import type { Point } from "../state/points.ts";
import { clockTime, cursorText } from "../time.ts";
import { Bands, bandsText } from "./bands.tsx";
import { cursor, pointAt } from "./cursor.ts";

interface ReadoutProps {
  points: readonly Point[];
  stepMs: number;
  /** The view's end and length. */
  to: number;
  spanMs: number;
  /** Metric and the word to show it with. */
  metrics: readonly (readonly [string, string])[];
  /** The metrics are the chart's lines, in their order: each is shown as it is drawn. */
  lines?: boolean;
}

export function Readout({ points, stepMs, to, spanMs, metrics, lines = false }: ReadoutProps) {
  const at = cursor.value;
  const bands = useContext(Bands);
  const point = points[at === null ? pointAt(points, to, spanMs) : pointAt(points, at, stepMs * 1.5)];
  if (!point) {
    return (
      <span class="readout">
        {at !== null && <strong>{cursorText(at, spanMs)}</strong>} no data
        {at !== null && <HostSays text={bandsText(bands, at, stepMs)} />}
      </span>
    );
  }
  const time = point.seq === null ? cursorText(point.t, spanMs) : clockTime(point.t);
  return (
    <span class="readout">
      <strong>{time}</strong>
      {point.failed && <span class="text-bad">failed</span>}
      <HostSays text={bandsText(bands, at ?? point.t, stepMs)} />
      {metrics.map(([metric, word], index) => (
        <span title={metricLabel(metric)}>
          {lines && <span class={`swatch-line swatch-line-${index}`} aria-hidden="true" />}
          {word} <b>{formatText(metric, isRoundTripLoss(metric) ? point.loss : point.values[metric]?.mid)}</b>
        </span>
      ))}
    </span>
  );
}

/** What the measuring host was up to at that moment. */
function HostSays({ text }: { text: string }) {
  return text === "" ? null : <span class="host-says">{text}</span>;
}
