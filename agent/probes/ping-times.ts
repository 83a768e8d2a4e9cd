// The round trips behind rounded lines. iputils keeps the microseconds but prints three digits of each (steps of 1 ms from
// 100 ms on); its summary, and the statistics it prints when asked in between, are exact. Together they say more. Pure.
import type { PingRoundTrips, PingSnapshot } from "../parsers/ping.ts";

/** A round trip as printed. Milliseconds. */
export interface PrintedTime {
  readonly rtt: number;
  /** Worth of the last digit. */
  readonly step: number;
}

export interface SharpTimes {
  /** Milliseconds, in the order of the lines. */
  readonly times: readonly number[];
  /** No time is further off than this, milliseconds. */
  readonly resolution: number;
}

/** Where a time may lie, whole microseconds, both ends included. */
interface Span {
  low: number;
  high: number;
}

const micro = (ms: number): number => Math.round(ms * 1000);

/** Times that print as this: rounded half up, as iputils does since 2018, or cut off, as before. */
function printedSpan({ rtt, step }: PrintedTime, rounded: boolean): Span {
  const value = micro(rtt);
  const width = micro(step);
  const low = rounded ? value - Math.floor(width / 2) : value;
  return { low, high: low + width - 1 };
}

function narrow(span: Span, low: number, high: number): void {
  span.low = Math.max(span.low, low);
  span.high = Math.min(span.high, high);
}

/** Statistics after so many replies; the summary at the end has no moving average. */
type Milestone = Omit<PingSnapshot, "ewma"> & { readonly ewma?: number };

/**
 * What one reply added between two milestones. The mean is floor(sum / n); the moving average is floor(A / 8) with
 * A = 8 t at first and A += t − floor(A / 8) after, all in whole microseconds (iputils, ping_common.c).
 */
function addedSpan(before: Milestone | undefined, now: Milestone): Span {
  const n = now.received;
  if (before === undefined) return { low: micro(now.mean), high: micro(now.mean) };
  const span: Span = { low: 0, high: Number.MAX_SAFE_INTEGER };
  const sum = n * micro(now.mean) - (n - 1) * micro(before.mean);
  narrow(span, sum - (n - 2), sum + n - 1);
  if (now.ewma !== undefined && before.ewma !== undefined) {
    const average = 8 * micro(now.ewma) - 7 * micro(before.ewma);
    narrow(span, average - 7, average + 7);
  }
  if (now.min < before.min) narrow(span, micro(now.min), micro(now.min));
  if (now.max > before.max) narrow(span, micro(now.max), micro(now.max));
  return span;
}

/** Narrows each reply's span by the milestones right before and after it; one that contradicts its line is left out. */
function applyMilestones(spans: readonly Span[], milestones: readonly Milestone[]): void {
  const byCount = new Map(milestones.map((milestone) => [milestone.received, milestone]));
  spans.forEach((span, i) => {
    const now = byCount.get(i + 1);
    const before = byCount.get(i);
    if (now === undefined || (i > 0 && before === undefined)) return;
    const added = addedSpan(before, now);
    if (added.low > span.high || added.high < span.low || added.low > added.high) return;
    narrow(span, added.low, added.high);
  });
}

const holds = (span: Span, value: number): boolean => span.low <= value && value <= span.high;
const width = (span: Span): number => span.high - span.low;

/**
 * Some reply took the least time and some the most: the narrowest spans that allow it become those. Where several do, this is a
 * guess within their widths. Undefined where no reply can be the one.
 */
function pinEnds(spans: readonly Span[], min: number, max: number): Span[] | undefined {
  const pinned = spans.map((span) => ({ ...span }));
  const taken = new Set<Span>();
  for (const end of min === max ? [min] : [min, max]) {
    const able = pinned.filter((span) => !taken.has(span) && holds(span, end));
    const [first] = able;
    if (first === undefined) return undefined;
    const chosen = able.reduce((best, span) => (width(span) < width(best) ? span : best), first);
    narrow(chosen, end, end);
    taken.add(chosen);
  }
  return pinned;
}

/** Widest span, µs; one that alone can be the least or the greatest is known exactly. */
function widest(spans: readonly Span[], ends: readonly number[]): number {
  const known = ends.flatMap((end) => {
    const able = spans.filter((span) => holds(span, end));
    return able.length === 1 ? able : [];
  });
  return spans.reduce((most, span) => Math.max(most, known.includes(span) ? 0 : width(span)), 1);
}

/** Places every time at the same share of its span, so that their mean is the exact one; undefined where none can be. */
function place(spans: readonly Span[], mean: number): number[] | undefined {
  const n = spans.length;
  const low = spans.reduce((sum, span) => sum + span.low, 0);
  const high = spans.reduce((sum, span) => sum + span.high, 0);
  // The printed mean is cut to a microsecond: the sum lies in n·mean … n·mean + n − 1.
  if (n * mean + n - 1 < low || n * mean > high) return undefined;
  const share = high === low ? 0 : Math.min(1, Math.max(0, (n * mean + (n - 1) / 2 - low) / (high - low)));
  return spans.map((span) => (span.low + share * (span.high - span.low)) / 1000);
}

function attempt(
  printed: readonly PrintedTime[],
  exact: PingRoundTrips,
  snapshots: readonly PingSnapshot[],
  rounded: boolean,
): SharpTimes | undefined {
  const [min, max] = [micro(exact.min), micro(exact.max)];
  const spans = printed.map((line) => printedSpan(line, rounded));
  for (const span of spans) narrow(span, min, max);
  if (spans.some((span) => span.low > span.high)) return undefined;
  if (snapshots.length > 0) applyMilestones(spans, [...snapshots, { ...exact, received: printed.length }]);
  const pinned = pinEnds(spans, min, max);
  const times = (pinned && place(pinned, micro(exact.mean))) ?? place(spans, micro(exact.mean));
  return times && { times, resolution: widest(spans, [min, max]) / 1000 };
}

/**
 * The times of a run's lines, each within what its line, the summary and the snapshots allow, with the summary's mean.
 * `printed` holds every line the summary counted, duplicates too. Undefined where the summary does not describe these lines.
 */
export function sharpen(
  printed: readonly PrintedTime[],
  exact: PingRoundTrips,
  snapshots: readonly PingSnapshot[] = [],
): SharpTimes | undefined {
  if (printed.length === 0) return undefined;
  return attempt(printed, exact, snapshots, true) ?? attempt(printed, exact, snapshots, false);
}
