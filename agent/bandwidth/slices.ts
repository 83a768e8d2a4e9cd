// From bytes over time to a rate: slices of 250 ms, and when they agree. Pure.
import { mean, percentile } from "../statistics.ts";

/** A slice of a phase, milliseconds. */
export const SLICE_MS = 250;
/** A finer one, for phases that their byte budget ended before there were enough slices. */
export const FINE_MS = 50;
const FINE_LEAST = 4;
/** More than this, from one half to the next, is a rate that still grows. */
const GROWTH = 1.25;
const ROUND_TRIPS = 6;
/** So many slices in a row have to agree for the rate to be steady, within this share of their mean. */
export const STEADY_SLICES = 4;
const STEADY_SPREAD = 0.03;
/** Slices that are one rate, if not a steady one. */
const SHORT_SLICES = 3;
const SHORT_SPREAD = 0.1;

/** How many bytes of one connection had arrived at which moment: a line through points, never falling. */
export class Curve {
  readonly #points: { at: number; bytes: number }[] = [];

  /** Adds the newest point; false when it goes back in time or in bytes, and then it is not taken. */
  add(at: number, bytes: number): boolean {
    const last = this.#points.at(-1);
    if (last !== undefined && (at < last.at || bytes < last.bytes)) return false;
    if (last?.at === at) last.bytes = bytes;
    else this.#points.push({ at, bytes });
    return true;
  }

  get length(): number {
    return this.#points.length;
  }

  /** Moment of the first and of the newest point; undefined while there is none. */
  get first(): number | undefined {
    return this.#points[0]?.at;
  }

  get last(): number | undefined {
    return this.#points.at(-1)?.at;
  }

  /** Bytes of the newest point. */
  get bytes(): number {
    return this.#points.at(-1)?.bytes ?? 0;
  }

  /** Bytes at a moment, on the straight line between its neighbours; before the first point none, after the last no more. */
  valueAt(at: number): number {
    let before = this.#points[0];
    if (before === undefined || at < before.at) return 0;
    for (const point of this.#points) {
      if (point.at > at) return before.bytes + ((point.bytes - before.bytes) * (at - before.at)) / (point.at - before.at);
      before = point;
    }
    return before.bytes;
  }
}

/** Rates of the whole slices between two moments over all curves together, Mbit/s. */
export function slicesOf(curves: readonly Curve[], from: number, to: number, width = SLICE_MS): number[] {
  const totalAt = (at: number) => curves.reduce((sum, curve) => sum + curve.valueAt(at), 0);
  const slices: number[] = [];
  let before = totalAt(from);
  // A timer may be some microseconds early.
  for (let end = from + width; end <= to + 1; end += width) {
    const now = totalAt(end);
    slices.push(((now - before) * 8) / width / 1000);
    before = now;
  }
  return slices;
}

function agree(slices: readonly number[], spread: number): boolean {
  const middle = mean(slices);
  if (middle === undefined || middle <= 0) return false;
  return Math.max(...slices) - Math.min(...slices) <= spread * middle;
}

/** Whether the last slices agree, all of them from `warm` on. */
export const isSteady = (slices: readonly number[], warm: number): boolean =>
  slices.length - warm >= STEADY_SLICES && agree(slices.slice(-STEADY_SLICES), STEADY_SPREAD);

/** The last slices, as many as agree within a tenth of their mean; those from `from` on. */
function agreeing(slices: readonly number[], from: number): readonly number[] {
  let counted: readonly number[] = [];
  for (let n = SHORT_SLICES; n <= slices.length - from; n++) {
    const last = slices.slice(-n);
    if (!agree(last, SHORT_SPREAD)) break;
    counted = last;
  }
  return counted;
}

/**
 * The slices a rate is told from: those after the warm-up, three at least. Of a line that became steady, those since it was:
 * before, the connections were still finding its rate. Where the byte budget ended the phase before the warm-up was over,
 * the last ones if three or more agree; else none, since a ramp is no rate.
 */
export function countedSlices(slices: readonly number[], warm: number, ended: string): readonly number[] {
  if (ended === "steady") return agreeing(slices, warm);
  const after = slices.slice(warm);
  if (after.length >= (ended === "budget" ? STEADY_SLICES : SHORT_SLICES)) return after;
  return ended === "budget" ? agreeing(slices, 1) : [];
}

/**
 * p50 of the slices, each seen with the ones after it over a second: what a lost segment, or a process held up, keeps back in
 * one slice comes with the next, and alone they would say too little and too much.
 */
export function rateOf(slices: readonly number[]): number | undefined {
  const width = Math.min(STEADY_SLICES, slices.length);
  const seconds = slices.slice(width - 1).flatMap((_, index) => mean(slices.slice(index, index + width)) ?? []);
  const rate = percentile(seconds, 50);
  return rate === undefined || rate <= 0 ? undefined : rate;
}

/**
 * Of the fine slices of a phase too short for others the second half, where the rate has stopped growing; else none. It has
 * to last for several round trips: within one, slow start does not show that it grows.
 */
export function settledHalf(fine: readonly number[], rtt_ms: number): readonly number[] {
  const half = fine.slice(Math.floor(fine.length / 2));
  if (fine.length < FINE_LEAST || half.length * FINE_MS < ROUND_TRIPS * rtt_ms) return [];
  const middle = Math.ceil(half.length / 2);
  const [before, after] = [mean(half.slice(0, middle)) ?? 0, mean(half.slice(middle)) ?? 0];
  return before > 0 && after <= GROWTH * before ? half : [];
}

/** From the start to the end of the first slice that reaches 90 % of the rate, ms. */
export function rampOf(slices: readonly number[], rate: number): number | undefined {
  const index = slices.findIndex((slice) => slice >= 0.9 * rate);
  return index < 0 ? undefined : (index + 1) * SLICE_MS;
}
