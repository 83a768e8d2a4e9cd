// The buffer in front of the loudspeaker: which packets of a stream were there when their turn came. Pure.
// Transit times may be those of two clocks that never met: only differences within one direction are used.
import { burstRatio } from "../statistics.ts";

/** One packet of a stream, in order of sending. */
export interface StreamPacket {
  /** When it was sent, ms from any fixed moment. */
  readonly sent_ms: number;
  /**
   * Arrival by the receiver's clock minus departure by the sender's, ms; null for a packet that the network lost, undefined
   * for one that arrived while nobody knows when.
   */
  readonly transit_ms: number | null | undefined;
}

export type PlayoutBuffer =
  | { readonly kind: "fixed"; readonly ms: number }
  | { readonly kind: "adaptive"; readonly least_ms: number };

export interface Playout {
  readonly lost: number;
  /** Arrived after their turn, among those whose arrival is known: as bad as lost (RFC 3611 section 4.7.1). */
  readonly late: number;
  readonly loss_pct: number;
  readonly late_pct: number;
  /** Lost and late together, percent of the packets sent. */
  readonly effective_loss_pct: number;
  /** BurstR of the packets not played (ITU-T G.107 7.5); undefined where all or none were played. */
  readonly burst_ratio: number | undefined;
  /** Mean delay that the buffer adds to the fastest packets, ms. */
  readonly buffer_ms: number;
  /** Mean transit time of the fastest packets, ms, with the clocks' unknown offset in it. */
  readonly fastest_ms: number;
}

/** Packets are "fastest" among those sent within so many seconds: clocks drift and routes change. */
const NEIGHBOURHOOD_S = 10;
/** The adaptive buffer: what it begins with and may grow to, ms. */
const START_MS = 60;
const MOST_MS = 200;
/** It keeps its first length for so many packets, and looks back on so many. */
const SETTLING = 50;
const HISTORY = 500;
/** Share of the packets looked back on that may come later than the buffer waits. */
const MAY_BE_LATE = 0.005;
/** It shrinks by at most so much a packet, ms: voice played a twentieth faster is not noticed. */
const SHRINK_MS = 1;
/** Lengths it aims at, ms: real ones hold whole pieces of voice, and the next packet may be a little later than all before. */
const STEP_MS = 10;

interface Arrival {
  readonly index: number;
  readonly at_ms: number;
  /** Transit above that of the fastest packets around it, ms. */
  readonly above_ms: number;
}

/** For each packet the transit of the fastest ones around it, by whole seconds. */
function fastestAround(packets: readonly StreamPacket[]): (packet: StreamPacket) => number {
  const start = packets[0]?.sent_ms ?? 0;
  const second = (sent_ms: number) => Math.floor((sent_ms - start) / 1000);
  const minima = new Map<number, number>();
  for (const { sent_ms, transit_ms } of packets) {
    if (typeof transit_ms !== "number") continue;
    minima.set(second(sent_ms), Math.min(transit_ms, minima.get(second(sent_ms)) ?? Number.POSITIVE_INFINITY));
  }
  const around = new Map<number, number>();
  for (const at of minima.keys()) {
    let least = Number.POSITIVE_INFINITY;
    for (let i = at - NEIGHBOURHOOD_S; i <= at + NEIGHBOURHOOD_S; i++) {
      least = Math.min(least, minima.get(i) ?? Number.POSITIVE_INFINITY);
    }
    around.set(at, least);
  }
  return ({ sent_ms, transit_ms }) => around.get(second(sent_ms)) ?? transit_ms ?? 0;
}

/** Remembers how late the last packets were, to a millisecond, and says how long a buffer they would have needed. */
class Lateness {
  readonly #counts = new Uint16Array(MOST_MS + 1);
  readonly #ring: number[] = [];
  #seen = 0;

  get seen(): number {
    return this.#seen;
  }

  add(above_ms: number): void {
    const bin = Math.min(MOST_MS, Math.ceil(above_ms));
    const slot = this.#seen % HISTORY;
    const gone = this.#ring[slot];
    if (gone !== undefined) this.#counts[gone] = (this.#counts[gone] ?? 1) - 1;
    this.#ring[slot] = bin;
    this.#counts[bin] = (this.#counts[bin] ?? 0) + 1;
    this.#seen += 1;
  }

  /** The shortest buffer, in whole steps, that would have kept enough of them, ms. */
  needed(): number {
    const spare = Math.floor(Math.min(this.#seen, HISTORY) * MAY_BE_LATE);
    let later = 0;
    for (let bin = MOST_MS; bin > 0; bin--) {
      later += this.#counts[bin] ?? 0;
      if (later > spare) return Math.ceil(bin / STEP_MS) * STEP_MS;
    }
    return 0;
  }
}

/** The packets that a buffer of one length misses. */
function playFixed(arrivals: readonly Arrival[], ms: number) {
  return { late: arrivals.filter(({ above_ms }) => above_ms > ms), buffer_ms: ms };
}

/**
 * The packets that a buffer misses which learns from the ones before: it waits as long as 99.5 % of the last 500 needed, at once
 * longer when it must, slowly shorter when it may (a histogram of delays, as Moon, Kurose and Towsley 1998 propose).
 */
function playAdaptive(arrivals: readonly Arrival[], least_ms: number) {
  const history = new Lateness();
  const late: Arrival[] = [];
  let delay = Math.max(START_MS, least_ms);
  let sum = 0;
  for (const arrival of [...arrivals].sort((a, b) => a.at_ms - b.at_ms)) {
    sum += delay;
    if (arrival.above_ms > delay) late.push(arrival);
    history.add(arrival.above_ms);
    const wanted = Math.max(history.needed(), history.seen < SETTLING ? START_MS : least_ms);
    delay = Math.max(wanted, delay - SHRINK_MS);
  }
  return { late, buffer_ms: arrivals.length === 0 ? delay : sum / arrivals.length };
}

/**
 * Plays a stream. Of packets that arrived at an unknown time as many are taken for late as of the others. Undefined when no
 * arrival is known, for then nothing is known of the buffer.
 */
export function playOut(packets: readonly StreamPacket[], buffer: PlayoutBuffer): Playout | undefined {
  const fastest = fastestAround(packets);
  let sum = 0;
  const arrivals = packets.flatMap((packet, index): Arrival[] => {
    if (typeof packet.transit_ms !== "number") return [];
    const least = fastest(packet);
    sum += least;
    return [{ index, at_ms: packet.sent_ms + packet.transit_ms, above_ms: packet.transit_ms - least }];
  });
  if (arrivals.length === 0) return undefined;
  const { late, buffer_ms } = buffer.kind === "fixed" ? playFixed(arrivals, buffer.ms) : playAdaptive(arrivals, buffer.least_ms);
  const played = packets.map(({ transit_ms }) => transit_ms !== null);
  for (const { index } of late) played[index] = false;
  const lost = packets.filter(({ transit_ms }) => transit_ms === null).length;
  const loss_pct = (100 * lost) / packets.length;
  const late_pct = (late.length / arrivals.length) * (100 - loss_pct);
  return {
    lost,
    late: late.length,
    loss_pct,
    late_pct,
    effective_loss_pct: loss_pct + late_pct,
    burst_ratio: burstRatio(played),
    buffer_ms,
    fastest_ms: sum / arrivals.length,
  };
}
