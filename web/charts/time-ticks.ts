// Round times for a time axis, in the viewer's time zone.
import { clockTime, dateText, hourText } from "../time.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  5000,
  15_000,
  30_000,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
];

/** Smallest round step that needs at most `count` labels. */
export function stepOf(from: number, to: number, count: number): number {
  const least = (to - from) / Math.max(2, count);
  return STEPS.find((step) => step >= least) ?? 7 * DAY;
}

/** Multiples of `step` since local midnight, so that labels read 06:00 and not 05:47. */
export function timeTicks(from: number, to: number, step: number): number[] {
  const start = new Date(from);
  start.setHours(0, 0, 0, 0);
  const ticks: number[] = [];
  if (step >= DAY) {
    // By calendar day: a day with a clock change has 23 or 25 hours.
    for (const day = start; day.getTime() <= to; day.setDate(day.getDate() + step / DAY)) {
      if (day.getTime() >= from) ticks.push(day.getTime());
    }
    return ticks;
  }
  const first = start.getTime() + Math.ceil((from - start.getTime()) / step) * step;
  for (let at = first; at <= to; at += step) ticks.push(at);
  return ticks;
}

/** The date at midnight, else the time of day. */
export function tickText(at: number, step: number): string {
  const time = new Date(at);
  if (step >= DAY || (time.getHours() === 0 && time.getMinutes() === 0 && time.getSeconds() === 0)) return dateText(at);
  return step < MINUTE ? clockTime(at) : hourText(at);
}
