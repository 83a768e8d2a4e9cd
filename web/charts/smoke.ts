// The latency picture: the median coloured by loss, over the distribution of every packet in greys.
import { lossLevel } from "../loss.ts";
import { GAP_FACTOR, type Gap, type Point } from "../state/points.ts";
import type { Painting } from "./canvas.ts";
import { paintWord } from "./canvas.ts";

/** The metrics of one distribution. A type that keeps no maximum names its highest percentile. */
export interface SmokeMetrics {
  readonly min: string;
  readonly median: string;
  readonly p95: string;
  readonly max: string;
  /** What colours the median; null where a type counts no loss. */
  readonly loss: string | null;
}

/** Everything the picture needs, each once. */
export const metricsOfSmoke = (names: SmokeMetrics): string[] => [
  ...new Set([names.min, names.median, names.p95, names.max, ...(names.loss === null ? [] : [names.loss])]),
];

export const PING_SMOKE: SmokeMetrics = {
  min: "ping_rtt_min",
  median: "ping_rtt_median",
  p95: "ping_rtt_p95",
  max: "ping_rtt_max",
  loss: "ping_loss_pct",
};

/** Runs wider than this on screen show the spread of their single packets. */
const PACKETS_FROM_PX = 5;
const MEDIAN_PX = 2.5;
const FAILED_PX = 9;
/** Quantile pairs of single packets, widest first: each lies over the one before and darkens it. */
const PACKET_BANDS: readonly (readonly [number, number])[] = [
  [0, 1],
  [0.1, 0.9],
  [0.2, 0.8],
  [0.3, 0.7],
];

export interface Slot {
  readonly left: number;
  readonly width: number;
}

/** Where a point is drawn: up to the next one, but never over a stretch without data. */
export function slotOf(points: readonly Point[], index: number, stepMs: number, x: (ms: number) => number): Slot {
  const point = points[index];
  if (!point) return { left: 0, width: 0 };
  const next = points[index + 1];
  const before = points[index - 1];
  const lastWidth = before ? Math.min(stepMs, point.t - before.t) : stepMs;
  const gap = next && next.t - point.t > GAP_FACTOR * stepMs;
  const end = next ? Math.min(next.t, point.t + stepMs * (gap ? 1 : 1.5)) : point.t + lastWidth;
  const left = x(point.t);
  return { left, width: Math.max(1.5, x(end) - left) };
}

/** Nearest-rank value of sorted numbers. */
export function quantile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.round(share * (sorted.length - 1))] ?? null;
}

function bandsOf(point: Point, width: number, names: SmokeMetrics): [number, number][] {
  const bands: [number, number][] = [];
  const add = (low: number | null | undefined, high: number | null | undefined) => {
    if (typeof low === "number" && typeof high === "number") bands.push([low, high]);
  };
  if (point.rtts && width >= PACKETS_FROM_PX) {
    for (const [low, high] of PACKET_BANDS) add(quantile(point.rtts, low), quantile(point.rtts, high));
    return bands;
  }
  const min = point.values[names.min];
  const median = point.values[names.median];
  const p95 = point.values[names.p95];
  const max = point.values[names.max];
  add(min?.low, max?.high);
  add(min?.low, p95?.mid);
  add(median?.low, median?.high);
  return bands;
}

export function paintSmoke(painting: Painting, points: readonly Point[], stepMs: number, names: SmokeMetrics): void {
  const { context, area, colours, x, y } = painting;
  context.save();
  context.beginPath();
  context.rect(area.left, area.top - 1, area.right - area.left, area.bottom - area.top + 2);
  context.clip();
  context.fillStyle = colours.smoke;
  points.forEach((point, index) => {
    const { left, width } = slotOf(points, index, stepMs, x);
    for (const [low, high] of bandsOf(point, width, names)) {
      const top = y(high);
      context.fillRect(left, top, width, Math.max(1, y(low) - top));
    }
  });
  paintMedians(painting, points, stepMs, names);
  paintFailures(painting, points, stepMs);
  context.restore();
}

function paintMedians({ context, colours, x, y }: Painting, points: readonly Point[], stepMs: number, names: SmokeMetrics): void {
  points.forEach((point, index) => {
    const value = point.values[names.median]?.mid;
    if (value === null || value === undefined) return;
    const { left, width } = slotOf(points, index, stepMs, x);
    context.fillStyle = names.loss === null ? colours.accent : colours.loss[lossLevel(point.loss)];
    context.fillRect(left, y(value) - MEDIAN_PX / 2, width, MEDIAN_PX);
    paintStep(context, y(value), y(points[index - 1]?.values[names.median]?.mid ?? value), left, adjoins(points, index, stepMs));
  });
}

const adjoins = (points: readonly Point[], index: number, stepMs: number) =>
  (points[index]?.t ?? 0) - (points[index - 1]?.t ?? Number.NEGATIVE_INFINITY) <= stepMs * 1.5;

/** A faint riser between neighbouring medians keeps the line readable where it jumps. */
function paintStep(context: CanvasRenderingContext2D, here: number, before: number, left: number, joined: boolean): void {
  if (!joined || Math.abs(here - before) < MEDIAN_PX) return;
  context.globalAlpha = 0.45;
  context.fillRect(left - 0.5, Math.min(here, before), 1, Math.abs(here - before));
  context.globalAlpha = 1;
}

/** Runs that nothing answered stand as red ticks on the floor of the chart. */
export function paintFailures({ context, area, colours, x }: Painting, points: readonly Point[], stepMs: number): void {
  context.fillStyle = colours.bad;
  points.forEach((point, index) => {
    if (!point.failed) return;
    const { left, width } = slotOf(points, index, stepMs, x);
    context.fillRect(left, area.bottom - FAILED_PX, Math.max(2, Math.min(width - 1, 6)), FAILED_PX);
  });
}

/** The part of the view before there was anything to measure: plain, with a line where that begins. */
export function paintStart({ context, area, colours, x }: Painting, createdAt: number, word: string): void {
  const at = x(createdAt);
  if (at <= area.left + 1) return;
  if (at >= area.right) {
    paintWord(
      context,
      `all of this is before: ${word}`,
      (area.left + area.right) / 2,
      (area.top + area.bottom) / 2,
      colours.muted,
    );
    return;
  }
  context.save();
  context.strokeStyle = colours.muted;
  context.setLineDash([3, 3]);
  context.beginPath();
  context.moveTo(at, area.top);
  context.lineTo(at, area.bottom);
  context.stroke();
  context.restore();
  if (at - area.left > 120) paintWord(context, `${word} ▸`, at - 56, area.top + 12, colours.muted);
}

/** Loss of each point as a bar; a lossless one leaves a hairline, so that "no loss" differs from "no data". */
export function paintLossBars({ context, area, colours, x, y }: Painting, points: readonly Point[], stepMs: number): void {
  points.forEach((point, index) => {
    if (point.loss === null) return;
    const { left, width } = slotOf(points, index, stepMs, x);
    const top = y(point.loss);
    context.fillStyle = colours.loss[lossLevel(point.loss)];
    context.fillRect(
      left,
      Math.min(top, area.bottom - 1.5),
      Math.max(1, width - (width > 4 ? 1 : 0)),
      Math.max(1.5, area.bottom - top),
    );
  });
}

export interface Ceiling {
  readonly max: number;
  /** Highest value when the axis stops below it. */
  readonly peak: number | null;
}

const OUTLIER_FACTOR = 3;

/** Top of the latency axis, null when nothing answered. */
export function ceilingOf(points: readonly Point[], names: SmokeMetrics): Ceiling | null {
  return ceilingOfHighs(
    points
      .map((point) => point.values[names.max]?.high ?? point.values[names.p95]?.high ?? point.values[names.median]?.high ?? null)
      .filter((value) => value !== null),
  );
}

/** Room for nearly every value; rare peaks may be cut off, and then that is said. */
export function ceilingOfHighs(values: readonly number[]): Ceiling | null {
  const highs = values.toSorted((a, b) => a - b);
  const peak = highs.at(-1);
  if (peak === undefined) return null;
  const usual = quantile(highs, 0.97) ?? peak;
  if (highs.length >= 20 && peak > usual * OUTLIER_FACTOR) return { max: usual * 1.6, peak };
  return { max: peak * 1.12, peak: null };
}

export const gapsSince = (gaps: readonly Gap[], createdAt: number): Gap[] =>
  gaps.filter((gap) => gap.to > createdAt).map((gap) => ({ from: Math.max(gap.from, createdAt), to: gap.to }));
