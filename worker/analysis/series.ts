// Buckets for charts. Pure: points in, columns out. A bucket without data is absent; it is never zero and never bridged.
import { LIMITS } from "#contract/limits";
import { median, percentile } from "./percentile.ts";

/** One value of one metric. `value` is null when the run had none (all lost); sent and received come with ping results. */
export interface Point {
  t: number;
  value: number | null;
  sent?: number | undefined;
  received?: number | undefined;
}

export interface Columns {
  t: number[];
  count: number[];
  min: (number | null)[];
  median: (number | null)[];
  p95: (number | null)[];
  max: (number | null)[];
  loss_pct?: (number | null)[];
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/** The finest round bucket width in seconds that keeps a range of `ms` within `points` buckets. */
export function resolution(ms: number, points: number): number {
  const wanted = ms / 1000 / Math.min(points, LIMITS.seriesPoints);
  return STEPS_S.find((step) => step >= wanted) ?? Math.ceil(wanted / 86_400) * 86_400;
}

/** Groups points into buckets of `step_s` seconds aligned to the epoch, oldest first. */
export function bucket(points: readonly Point[], step_s: number): Columns {
  const step = step_s * 1000;
  const groups = new Map<number, Point[]>();
  for (const point of points) {
    const start = Math.floor(point.t / step) * step;
    const group = groups.get(start);
    if (group === undefined) groups.set(start, [point]);
    else group.push(point);
  }
  const columns: Columns = { t: [], count: [], min: [], median: [], p95: [], max: [] };
  const loss: (number | null)[] = [];
  for (const [start, group] of [...groups].sort(([a], [b]) => a - b)) {
    const values = group.flatMap((point) => (point.value === null ? [] : [point.value])).sort((a, b) => a - b);
    columns.t.push(start);
    columns.count.push(group.length);
    columns.min.push(values[0] ?? null);
    columns.median.push(median(values));
    columns.p95.push(percentile(values, 95));
    columns.max.push(values.at(-1) ?? null);
    loss.push(lossOf(group));
  }
  if (points.some((point) => point.sent !== undefined)) columns.loss_pct = loss;
  return columns;
}

/** Loss of a group as lost over sent, never as a mean of percentages; null where nothing was sent. */
function lossOf(group: readonly Point[]): number | null {
  let sent = 0;
  let received = 0;
  for (const point of group) {
    if (point.sent === undefined || point.received === undefined) continue;
    sent += point.sent;
    received += point.received;
  }
  return sent === 0 ? null : (100 * (sent - received)) / sent;
}

/** Bucket starts in which any of these moments lies, ascending, each once. */
export function bucketStarts(moments: readonly number[], step_s: number): number[] {
  const step = step_s * 1000;
  return [...new Set(moments.map((t) => Math.floor(t / step) * step))].sort((a, b) => a - b);
}
