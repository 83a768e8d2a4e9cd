// What a udp result keeps beside its metrics: the run second by second, how the delay varied, where packets were lost. Pure.
import type { StampPacket } from "../stamp/sender.ts";
import { isSteady, roundTrips, transits, type Way } from "../stamp/statistics.ts";
import { median, round3 } from "../statistics.ts";

/** Upper bounds of the classes of delay over the minimum, ms; one more class holds what is above the last. */
export const VARIATION_BOUNDS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500] as const;
/** Columns of the picture a terminal shows. */
export const COLUMNS = 60;
/** Losses named one by one. */
const LOSSES_MOST = 100;

const least = (values: readonly (number | null)[]): number =>
  values.reduce<number>((low, value) => (value === null ? low : Math.min(low, value)), Number.POSITIVE_INFINITY);

/** Delay over the minimum by packet, ms: what RFC 5481 calls PDV. */
const overMinimum = (packets: readonly StampPacket[], way: Way): (number | null)[] => {
  const values = transits(packets, way);
  const low = least(values);
  return values.map((value) => (value === null ? null : value - low));
};

function histogram(values: readonly (number | null)[]): number[] {
  const counts: number[] = new Array(VARIATION_BOUNDS.length + 1).fill(0);
  for (const value of values) {
    if (value === null) continue;
    const at = VARIATION_BOUNDS.findIndex((bound) => value <= bound);
    const place = at === -1 ? VARIATION_BOUNDS.length : at;
    counts[place] = (counts[place] ?? 0) + 1;
  }
  return counts;
}

/** Packets by the second of the stream they were due in. */
function bySecond(packets: readonly StampPacket[], interval_ms: number): StampPacket[][] {
  const seconds: StampPacket[][] = [];
  for (const packet of packets) {
    const second = Math.floor((packet.seq * interval_ms) / 1000 + 1e-9);
    while (seconds.length <= second) seconds.push([]);
    seconds[second]?.push(packet);
  }
  return seconds;
}

const roundedOrNull = (value: number | undefined): number | null =>
  value === undefined || !Number.isFinite(value) ? null : round3(value);

/** Largest value of a stretch; null where nothing came. */
const peak = (values: readonly (number | null)[]): number | null =>
  roundedOrNull(
    values.reduce<number>((high, value) => (value === null ? high : Math.max(high, value)), Number.NEGATIVE_INFINITY),
  );

/** Columns of one array for each second, so that it stays small. */
function series(packets: readonly StampPacket[], interval_ms: number): Record<string, unknown> {
  const seconds = bySecond(packets, interval_ms);
  const count = (fate: StampPacket["fate"]) => seconds.map((each) => each.filter((packet) => packet.fate === fate).length);
  const rtts = seconds.map((each) => roundTrips(each).filter((rtt) => rtt !== null));
  return {
    step_s: 1,
    sent: seconds.map((each) => each.length),
    received: count("answered"),
    lost_up: count("lost_up"),
    lost_down: count("lost_down"),
    rtt_median: rtts.map((each) => roundedOrNull(median(each))),
    rtt_max: rtts.map(peak),
  };
}

/** Runs of lost packets: [first, how many, fate], the first hundred. */
function losses(packets: readonly StampPacket[]): [number, number, string][] {
  const runs: [number, number, string][] = [];
  for (const { seq, fate } of packets) {
    if (fate === "answered" || fate === "undecided") continue;
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === seq && last[2] === fate) last[1] += 1;
    else runs.push([seq, 1, fate]);
  }
  return runs.slice(0, LOSSES_MOST);
}

/** A list cut into at most 60 columns of equal width. */
function columns<Item>(items: readonly Item[]): Item[][] {
  const width = Math.max(1, Math.ceil(items.length / COLUMNS));
  return Array.from({ length: Math.ceil(items.length / width) }, (_, i) => items.slice(i * width, (i + 1) * width));
}

/** The stream in detail; `interval_ms` as asked. */
export function streamDetail(packets: readonly StampPacket[], interval_ms: number): Record<string, unknown> {
  const steady = isSteady(packets);
  const [up, down] = steady ? [overMinimum(packets, "up"), overMinimum(packets, "down")] : [[], []];
  return {
    series: series(packets, interval_ms),
    losses: losses(packets),
    ...(steady
      ? {
          variation: { bounds_ms: VARIATION_BOUNDS, up: histogram(up), down: histogram(down) },
          // Of each column the largest delay over the minimum, null where nothing arrived, and how many were lost.
          profile: {
            up: columns(up).map(peak),
            down: columns(down).map(peak),
            lost: columns(packets).map((each) => each.filter(({ fate }) => fate !== "answered" && fate !== "undecided").length),
          },
        }
      : {}),
  };
}
