// What a STAMP stream says about the two directions and the two clocks. Pure; times in milliseconds.
import * as statistics from "../statistics.ts";
import type { AnsweredPacket, StampPacket } from "./sender.ts";

export type Way = "up" | "down";

/** Packets answered in time whose times can be used. */
type Timed = AnsweredPacket & { readonly rtt_ms: number };

const isTimed = (answer: AnsweredPacket | null): answer is Timed => answer !== null && answer.rtt_ms !== null;

/** The times of each packet, in the order of sending; null where it was lost or late, or carried none. */
const timesOf = (packets: readonly Pick<StampPacket, "fate" | "answer">[]): (Timed | null)[] =>
  packets.map(({ fate, answer }) => (fate === "answered" && isTimed(answer) ? answer : null));

/** Round trips without the reflector's stay, (T4 − T1) − (T3 − T2), by packet. */
export const roundTrips = (packets: readonly StampPacket[]): (number | null)[] =>
  timesOf(packets).map((times) => times?.rtt_ms ?? null);

/** Transit of one packet in one direction: the delay plus an offset of the clocks that is the same for all of them. */
export const transitOf = ({ t1, t2, t3, t4 }: AnsweredPacket, way: Way): number => (way === "up" ? t2 - t1 : t4 - t3);

/** Transits by packet; only their differences mean anything. */
export const transits = (packets: readonly StampPacket[], way: Way): (number | null)[] =>
  timesOf(packets).map((times) => (times === null ? null : transitOf(times, way)));

export interface Variation {
  /** J of RFC 3550 section 6.4.1 over the packets in the order of their arrival. */
  readonly jitter: number | undefined;
  /** Mean |D| of neighbours that both arrived (RFC 3393). */
  readonly ipdv_mean: number | undefined;
  /** 95th percentile over the minimum (RFC 5481); from 20 packets on. */
  readonly pdv_p95: number | undefined;
}

/** Variation of the delay in one direction. The clocks' offset cancels in every figure. */
export function variation(packets: readonly StampPacket[], way: Way): Variation {
  const arrived = timesOf(packets).filter((times) => times !== null);
  const arrival = ({ t2, t4 }: AnsweredPacket) => (way === "up" ? t2 : t4);
  const inOrder = [...arrived].sort((a, b) => arrival(a) - arrival(b)).map((times) => transitOf(times, way));
  const high = inOrder.length < statistics.PERCENTILE_MIN.p95 ? undefined : statistics.percentile(inOrder, 95);
  return {
    jitter: statistics.jitterRfc3550(inOrder),
    ipdv_mean: statistics.mean(statistics.delayVariations(transits(packets, way))),
    pdv_p95: high === undefined ? undefined : high - Math.min(...inOrder),
  };
}

export interface Offset {
  /** Reflector's clock minus ours. */
  readonly estimate: number;
  /** The true offset is no further from the estimate than this. */
  readonly error: number;
}

/** Two clocks that nothing disciplines may drift apart by so much of the time that passes (200 parts per million). */
const DRIFT = 2e-4;
/** Timestamps of both ends as they are read and stored. */
const RESOLUTION_MS = 0.002;

/** The step of the reflector's timestamps where they are whole milliseconds, else what a timestamp loses on its way here. */
function resolution(times: readonly Timed[]): number {
  const isWhole = (time: number) => Math.abs(time - Math.round(time)) < RESOLUTION_MS;
  return times.every(({ t2, t3 }) => isWhole(t2) && isWhole(t3)) ? 1 : RESOLUTION_MS;
}

/**
 * Whether the offset between the clocks stayed what it was. Every exchange holds it between T3 − T4 and T2 − T1; when one
 * interval lies beside another by more than clocks drift, one of the clocks was set, or the reflector's does not run.
 */
export function isSteady(packets: readonly Pick<StampPacket, "fate" | "answer">[]): boolean {
  const times = timesOf(packets).filter((each) => each !== null);
  const [first, last] = [times[0], times.at(-1)];
  if (first === undefined || last === undefined) return true;
  const low = Math.max(...times.map(({ t3, t4 }) => t3 - t4));
  const high = Math.min(...times.map(({ t1, t2 }) => t2 - t1));
  return low - high <= 2 * resolution(times) + DRIFT * (last.t4 - first.t1);
}

/**
 * The offset between the clocks from the exchange with the shortest round trip (RFC 5905 section 8): the middle between the
 * least and the most it can be. `ours_ms` is how far our own timestamps may be off.
 */
export function clockOffset(packets: readonly StampPacket[], ours_ms: number): Offset | undefined {
  const times = timesOf(packets).filter((each) => each !== null);
  const [first, ...others] = times;
  if (first === undefined) return undefined;
  const best = others.reduce((least, each) => (each.rtt_ms < least.rtt_ms ? each : least), first);
  const estimate = (best.t2 - best.t1 + (best.t3 - best.t4)) / 2;
  return { estimate, error: best.rtt_ms / 2 + resolution(times) + ours_ms };
}

/** Packets of the stream that came back, in the order in which the reflector (`up`) or we (`down`, `both`) got them. */
function arrivals(packets: readonly StampPacket[], way: Way | "both"): AnsweredPacket[] {
  const answers = packets.flatMap(({ answer }) => (answer === null ? [] : [answer]));
  const [first] = answers;
  if (first === undefined || way !== "up") return answers.sort((a, b) => a.t4 - b.t4);
  const number = (answer: AnsweredPacket) => (answer.reflector_seq - first.reflector_seq) | 0;
  return answers.sort((a, b) => number(a) - number(b));
}

/** Sequence numbers in the order of arrival, as each direction counts them. */
export function arrivalOrder(packets: readonly StampPacket[], way: Way | "both"): number[] {
  const answers = arrivals(packets, way);
  const origin = answers[0]?.reflector_seq ?? 0;
  return answers.map(({ seq, reflector_seq }) => (way === "down" ? (reflector_seq - origin) | 0 : seq));
}

/** Largest reordering extent (RFC 4737 section 4.2.1): how many places behind the first packet sent after it one arrived; 0 in order. */
export function reorderExtent(order: readonly number[]): number {
  // Of the packets so far, only those above all before them can be the first that is greater.
  const records: { readonly values: number[]; readonly places: number[] } = { values: [], places: [] };
  let most = 0;
  order.forEach((value, place) => {
    const top = records.values.at(-1);
    if (top === undefined || value > top) {
      records.values.push(value);
      records.places.push(place);
      return;
    }
    const first = records.places[statistics.firstAtLeast(records.values, value + 1)];
    if (first !== undefined) most = Math.max(most, place - first);
  });
  return most;
}

/** Losses nearer to each other than so many received packets belong to one burst (RFC 3611 section 4.7.2). */
const GAP_MIN = 16;

/**
 * Share of packets lost outside of bursts, in percent (RFC 3611 section 4.7.2): a burst begins and ends with a loss, holds at
 * least two, and no 16 received ones in a row. Undefined when everything is one burst.
 */
export function gapDensity(received: readonly boolean[]): number | undefined {
  const lost = received.flatMap((arrived, place) => (arrived ? [] : [place]));
  let inBursts = 0;
  let burstLosses = 0;
  let from = 0;
  lost.forEach((place, i) => {
    const next = lost[i + 1];
    if (next !== undefined && next - place - 1 < GAP_MIN) return;
    if (i > from) {
      inBursts += place - (lost[from] ?? place) + 1;
      burstLosses += i - from + 1;
    }
    from = i + 1;
  });
  const packets = received.length - inBursts;
  return packets <= 0 ? undefined : (100 * (lost.length - burstLosses)) / packets;
}
