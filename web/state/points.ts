// Points of a chart, from single results or from buckets of a series, and the gaps between them.
import type { SeriesReply } from "#contract/api";
import type { HostReading, Result } from "#contract/result";
import { lossOf } from "../loss.ts";
import { notMeasured } from "../not-measured.ts";
import { roundTrips } from "./results.ts";

/** A metric within one point: a single value four times, or a bucket's distribution. */
export interface Spread {
  readonly low: number | null;
  readonly mid: number | null;
  readonly p95: number | null;
  readonly high: number | null;
}

export interface Point {
  /** Start, epoch ms. */
  readonly t: number;
  /** End of the measurement or of the bucket. */
  readonly end: number;
  /** Null for a bucket. */
  readonly seq: number | null;
  /** Nothing in it answered. */
  readonly failed: boolean;
  readonly loss: number | null;
  readonly values: Readonly<Record<string, Spread>>;
  /** Sorted round trips of a single run. */
  readonly rtts: readonly number[] | null;
}

export interface Gap {
  readonly from: number;
  readonly to: number;
}

const single = (value: number): Spread => ({ low: value, mid: value, p95: value, high: value });

function spreads(metrics: Readonly<Record<string, unknown>>): Record<string, Spread> {
  const values: Record<string, Spread> = {};
  for (const [name, value] of Object.entries(metrics)) {
    // A flag that is set stands as 1, so that charts can mark it.
    if (typeof value === "number" || value === true) values[name] = single(Number(value));
  }
  return values;
}

export function pointOfResult(result: Result): Point {
  const t = Date.parse(result.started_at);
  const loss = lossOf(result.metrics);
  return {
    t,
    end: t + result.duration_ms,
    seq: result.seq,
    failed: result.status === "failed" || loss === 100,
    loss,
    values: spreads(result.metrics),
    rtts: roundTrips(result.detail),
  };
}

/** Runs that were not measured have no place among those that were: there the chart has no data. */
export const pointsOfResults = (results: readonly Result[]): Point[] =>
  results.filter((result) => notMeasured(result) === null).map(pointOfResult);

export function pointOfHost(host: HostReading): Point {
  const t = Date.parse(host.started_at);
  return { t, end: t + host.duration_ms, seq: host.seq, failed: false, loss: null, values: spreads(host.metrics), rtts: null };
}

type Series = SeriesReply["series"][number];

/** Buckets of one client and test (or host): its metrics' series put together by time. The bucket still open ends at `readAt`. */
export function pointsOfSeries(series: readonly Series[], resolutionS: number, readAt: number): Point[] {
  const byTime = new Map<number, { values: Record<string, Spread>; loss: number | null }>();
  for (const one of series) {
    one.t.forEach((t, index) => {
      const bucket = byTime.get(t) ?? { values: {}, loss: null };
      bucket.values[one.metric] = {
        low: one.min[index] ?? null,
        mid: one.median[index] ?? null,
        p95: one.p95[index] ?? null,
        high: one.max[index] ?? null,
      };
      bucket.loss ??= one.loss_pct?.[index] ?? null;
      byTime.set(t, bucket);
    });
  }
  return [...byTime]
    .sort(([a], [b]) => a - b)
    .map(([t, { values, loss }]) => {
      // Without a pooled loss, the bucket's worst run is the honest one to show.
      const shownLoss = loss ?? lossOf(Object.fromEntries(Object.entries(values).map(([name, { high }]) => [name, high])));
      const end = Math.max(t, Math.min(t + resolutionS * 1000, readAt));
      // Runs without a single value (a name that did not resolve) failed as well, though nothing was sent that could be lost.
      const failed = shownLoss === 100 || Object.values(values).every((spread) => spread.mid === null);
      return { t, end, seq: null, failed, loss: shownLoss, values, rtts: null };
    });
}

/** Host samples are never failed runs: a sample of which a chart shows nothing is a part without a figure. */
export const pointsOfHostSeries = (series: readonly Series[], resolutionS: number, readAt: number): Point[] =>
  pointsOfSeries(series, resolutionS, readAt).map((point) => ({ ...point, failed: false }));

/** Stored buckets with live points added; one measured before the last bucket was read is already in it. */
export function withLive(stored: readonly Point[], live: readonly Point[]): Point[] {
  const last = stored.at(-1);
  const from = last ? last.end : Number.NEGATIVE_INFINITY;
  return [...stored, ...live.filter((point) => point.end > from && (!last || point.t > last.t)).sort((a, b) => a.t - b.t)];
}

export const GAP_FACTOR = 2.5;
/** The newest result is still on its way this long; that is no gap. */
const ARRIVAL_MS = 15_000;

/**
 * Stretches without data in `from`..`to`. Points further apart than 2.5 × `stepMs` (the larger of interval and
 * resolution) leave one between them; so do the edges of the view.
 */
export function findGaps(points: readonly Pick<Point, "t" | "end">[], stepMs: number, from: number, to: number): Gap[] {
  const longest = GAP_FACTOR * stepMs;
  const gaps: Gap[] = [];
  let edge = from;
  let inside = false;
  for (const point of points) {
    const lastStart = inside ? edge : from;
    if (point.t - lastStart > longest) gaps.push({ from: inside ? Math.min(point.t, lastStart + stepMs) : from, to: point.t });
    edge = point.t;
    inside = true;
  }
  if (to - edge > Math.max(longest, ARRIVAL_MS)) gaps.push({ from: inside ? edge + stepMs : from, to });
  return gaps.filter((gap) => gap.to > from && gap.from < to);
}
