// The newest latencies as a small line; a run without an answer breaks it and leaves a mark.
import { formatText } from "../format.ts";
import { lossLevel } from "../loss.ts";

const WIDTH = 96;
const HEIGHT = 26;
const PAD = 3;

/** Stretches of the line between runs without an answer. */
export function sparkPaths(values: readonly (number | null)[]): string[] {
  const known = values.filter((value) => value !== null);
  const low = Math.min(...known);
  const high = Math.max(...known);
  // A steady line stays in the middle instead of blowing its noise up to full height.
  const span = Math.max(high - low, high * 0.2, 0.001);
  // Halved before they are added, so that no value an agent makes up runs over.
  const base = low / 2 + high / 2 - span / 2;
  const step = values.length > 1 ? (WIDTH - 2 * PAD) / (values.length - 1) : 0;
  const paths: string[] = [];
  let path = "";
  values.forEach((value, index) => {
    if (value === null) {
      if (path) paths.push(path);
      path = "";
      return;
    }
    const x = (PAD + index * step).toFixed(1);
    const y = (HEIGHT - PAD - ((value - base) / span) * (HEIGHT - 2 * PAD)).toFixed(1);
    path += path === "" ? `M${x} ${y}h.1` : `L${x} ${y}`;
  });
  if (path) paths.push(path);
  return paths;
}

interface SparklineProps {
  values: readonly (number | null)[];
  loss: number | null;
  /** What the values are; its unit is said with them. */
  metric: string;
}

export function Sparkline({ values, loss, metric }: SparklineProps) {
  if (values.length === 0) return <span class="text-secondary small">no runs yet</span>;
  const known = values.filter((value) => value !== null);
  const step = values.length > 1 ? (WIDTH - 2 * PAD) / (values.length - 1) : 0;
  const lost = values.length - known.length;
  const text =
    known.length === 0
      ? `none of the last ${values.length} runs was answered`
      : `last ${values.length} runs: ${formatText(metric, Math.min(...known))} to ${formatText(metric, Math.max(...known))}${lost > 0 ? `, ${lost} without an answer` : ""}`;
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img" aria-label={text}>
      <title>{text}</title>
      {values.map((value, index) =>
        value === null ? <path class="spark-lost" d={`M${(PAD + index * step).toFixed(1)} ${HEIGHT - 1}v-6`} /> : null,
      )}
      {known.length > 0 && sparkPaths(values).map((path) => <path class={`spark-line loss-${lossLevel(loss)}`} d={path} />)}
    </svg>
  );
}
