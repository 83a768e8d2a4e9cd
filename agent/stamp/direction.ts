// Which way each lost packet was lost, from the reflector's own count. Pure.
//
// A stateful reflector numbers what it answers one by one (RFC 8762 section 4.3): a packet that is missing and left a gap in the
// numbers got there and lost its answer; one that left none never got there. What that does not settle is called unattributed
// and split nowhere.
import { firstAtLeast } from "../statistics.ts";
import type { Exchange } from "./ledger.ts";

/**
 * How the reflector numbers its answers: from 0 in each `session`; one count `shared` by all its sessions; `stateless`, a copy of
 * our number; `unusable`, none of these. Null without an answer.
 */
export type Numbering = "session" | "shared" | "stateless" | "unusable" | null;

export interface LossSplit {
  readonly numbering: Numbering;
  /** Packets of the stream lost before and after the reflector, as far as that is known; null where nothing can be said. */
  readonly up: number | null;
  readonly down: number | null;
  /** Lost ones whose direction is not known. */
  readonly unattributed: number;
  /** Where each lost packet of the stream was lost, by its place; `lost` where only the number of them is known. */
  readonly fates: ReadonlyMap<number, "lost_up" | "lost_down" | "lost">;
}

export interface Exchanges {
  /** In the order they were sent. */
  readonly exchanges: readonly Exchange[];
  /** Further numbers under which packets were answered again. */
  readonly spare: readonly { readonly wire: number; readonly sequence: number }[];
  /** Packets of which it is too early to say that they are lost. */
  undecided(exchange: Exchange): boolean;
  /** Whether the reflector is known to begin at 0. */
  readonly startsAtZero: boolean;
}

/** Missing packets between two answered ones, and how many numbers were given to answers that never came; exact where both agree. */
interface Gap {
  readonly missing: readonly Exchange[];
  least: number;
  most: number;
  /** Whether its numbers may belong to packets missing near by. */
  mixed: boolean;
}

/**
 * Numbers too many in a run mean that somebody else is counted too, or that questions were doubled on the way and the second
 * answer lost. Where more than so many of those hidden behind a loss of ours are to be expected, the split is not trusted.
 */
const COINCIDENCES_MOST = 0.05;

/** Distance of two numbers that wrap at 2^32. */
const distance = (from: number, to: number): number => (to - from) | 0;

/** Whether a reflector copies our numbers instead of counting: every answer has the number of its question. */
export function isStateless(exchanges: readonly Exchange[]): boolean {
  const answered = exchanges.filter(({ reply }) => reply !== undefined);
  return answered.length > 0 && answered.every(({ wire, reply }) => reply?.sequence === wire);
}

interface Answered {
  readonly exchange: Exchange;
  /** The reflector's number, counted from its first in this run. */
  readonly number: number;
}

/** Answered packets in the order in which the reflector got them. */
function inReflectorOrder(exchanges: readonly Exchange[], origin: number): Answered[] {
  const answered = exchanges.flatMap((exchange): Answered[] =>
    exchange.reply === undefined ? [] : [{ exchange, number: distance(origin, exchange.reply.sequence) }],
  );
  return answered.sort((a, b) => a.number - b.number);
}

/** Stretches of answered packets that overtook each other; between two stretches the order is the one of sending. */
function stretches(answered: readonly Answered[]): Answered[][] {
  const least: number[] = new Array(answered.length).fill(0);
  for (let i = answered.length - 1, low = Number.POSITIVE_INFINITY; i >= 0; i--) {
    low = Math.min(low, answered[i]?.exchange.wire ?? low);
    least[i] = low;
  }
  const found: Answered[][] = [];
  let high = Number.NEGATIVE_INFINITY;
  for (const [i, each] of answered.entries()) {
    if (high < (least[i] ?? 0)) found.push([]);
    found.at(-1)?.push(each);
    high = Math.max(high, each.exchange.wire);
  }
  return found;
}

const bounds = (values: readonly number[]): { low: number; high: number } => ({
  low: Math.min(...values),
  high: Math.max(...values),
});

/** How many of these ascending whole numbers lie between two others. */
const countBetween = (sorted: readonly number[], low: number, high: number): number =>
  Math.max(0, firstAtLeast(sorted, high) - firstAtLeast(sorted, low + 1));

/** Every gap of the run: before the first answered packet, inside and between stretches, after the last. */
function gapsOf({ exchanges, spare, undecided, startsAtZero }: Exchanges, origin: number): Gap[] {
  const known = new Set(spare.map(({ sequence }) => distance(origin, sequence)));
  const answered = inReflectorOrder(exchanges, origin);
  for (const { number } of answered) known.add(number);
  const sorted = [...known].sort((a, b) => a - b);
  const between = (from: number, to: number) => exchanges.slice(from, Math.max(from, to)).filter(isMissing);
  const isMissing = (exchange: Exchange) => exchange.reply === undefined && !undecided(exchange);
  const unexplained = (low: number, high: number) => Math.max(0, high - low - 1) - countBetween(sorted, low, high);
  // Wire numbers begin at the first exchange's.
  const first = exchanges[0]?.wire ?? 0;
  const place = (wire: number) => wire - first;
  const parts = stretches(answered).map((part) => ({
    wires: bounds(part.map(({ exchange }) => exchange.wire)),
    numbers: bounds(part.map(({ number }) => number)),
  }));
  const gaps: Gap[] = parts.flatMap(({ wires, numbers }, i) => {
    const inside = gap(between(place(wires.low), place(wires.high)), unexplained(numbers.low, numbers.high));
    const next = parts[i + 1];
    if (next === undefined) return [inside];
    const after = between(place(wires.high) + 1, place(next.wires.low));
    return [inside, gap(after, unexplained(numbers.high, next.numbers.low))];
  });
  const head = between(0, place(parts[0]?.wires.low ?? first));
  const tail = between(place(parts.at(-1)?.wires.high ?? first) + 1, exchanges.length);
  return [leading(head, parts[0]?.numbers.low ?? 0, origin, startsAtZero), ...gaps, gap(tail, 0, tail.length)];
}

const gap = (missing: readonly Exchange[], least: number, most = least): Gap => ({ missing, least, most, mixed: false });

/** What is missing before the first answer: known where the reflector began at 0. */
function leading(missing: readonly Exchange[], lowest: number, origin: number, startsAtZero: boolean): Gap {
  const before = (origin + lowest) >>> 0;
  const isKnown = before === 0 || (startsAtZero && before <= missing.length);
  return isKnown ? gap(missing, before) : gap(missing, 0, Math.min(before, missing.length));
}

/**
 * Numbers too many in one gap belong to packets that were overtaken: such a packet is missing in a gap near by and got its
 * number here. Where questions were doubled too, that is only possible, not certain. Answers how many remain unexplained.
 */
function settleOvertaking(gaps: readonly Gap[], reach: number, certain: boolean): number {
  const hasRoom = (at: number) => {
    const { missing, least, most } = gaps[at] ?? gap([], 0);
    return least === most && missing.length > most;
  };
  // Looked through outwards from each gap; what is full leaves, so that no hostile count makes this long.
  const roomy = [...gaps.keys()].filter(hasRoom);
  const crowded: number[] = [];
  let left = 0;
  for (const [at, from] of gaps.entries()) {
    let surplus = from.least - from.missing.length;
    if (surplus <= 0) continue;
    crowded.push(at);
    from.least = from.missing.length;
    from.most = from.missing.length;
    let above = firstAtLeast(roomy, at);
    let below = above - 1;
    while (surplus > 0) {
      const before = at - (roomy[below] ?? Number.NEGATIVE_INFINITY);
      const after = (roomy[above] ?? Number.POSITIVE_INFINITY) - at;
      const other = gaps[before <= after ? at - before : at + after];
      if (other === undefined || Math.min(before, after) > reach) break;
      const taken = Math.min(surplus, other.missing.length - other.most);
      other.most += taken;
      if (certain) other.least += taken;
      surplus -= taken;
      if (before <= after) below -= 1;
      else above += 1;
    }
    const seen = roomy.slice(below + 1, above);
    roomy.splice(below + 1, seen.length, ...seen.filter(hasRoom));
    left += surplus;
  }
  markMixed(gaps, crowded, reach);
  return left;
}

/** Which of the missing ones near by were the overtaken ones is not known. */
function markMixed(gaps: readonly Gap[], crowded: readonly number[], reach: number): void {
  for (const [at, each] of gaps.entries()) {
    const nearest = crowded[firstAtLeast(crowded, at - reach)];
    each.mixed = nearest !== undefined && nearest <= at + reach;
  }
}

/** How many packets that were sent later the most overtaken one arrived behind; two gaps stand for each packet. */
function overtakingReach(exchanges: readonly Exchange[], origin: number): number {
  let most = 0;
  let highest = Number.NEGATIVE_INFINITY;
  for (const { exchange } of inReflectorOrder(exchanges, origin)) {
    most = Math.max(most, highest - exchange.wire);
    highest = Math.max(highest, exchange.wire);
  }
  return most === 0 ? 0 : 2 * (most + 1);
}

interface Split {
  up: number;
  down: number;
  unattributed: number;
  readonly fates: Map<number, "lost_up" | "lost_down" | "lost">;
}

/** Adds what one gap tells to the split. Packets around the stream are missing in it as well, and may hold some of its numbers. */
function settle({ missing, least, most, mixed }: Gap, split: Split): void {
  const stream = missing.filter(({ role }) => role === "stream");
  if (stream.length === 0) return;
  const extra = missing.length - stream.length;
  // What this host's kernel did not send cannot have arrived.
  const gone = stream.filter(({ unsent }) => unsent !== undefined).length;
  const room = stream.length - gone;
  const high = Math.min(room, most);
  const low = Math.min(high, Math.max(0, least - extra));
  split.down += low;
  split.up += stream.length - high;
  split.unattributed += high - low;
  for (const { index, unsent } of stream) {
    const isUp = unsent !== undefined || (high === 0 && !mixed);
    split.fates.set(index, isUp ? "lost_up" : low === room && !mixed ? "lost_down" : "lost");
  }
}

/** Attributes every lost packet of the stream to a direction, as far as the reflector's numbers settle it. */
export function attributeLoss(run: Exchanges): LossSplit {
  const { exchanges, spare, undecided } = run;
  const replies = exchanges.flatMap(({ reply }) => (reply === undefined ? [] : [reply]));
  const lost = exchanges.filter((each) => each.role === "stream" && each.reply === undefined && !undecided(each));
  const nothing = (numbering: Numbering): LossSplit => {
    const fates = new Map(lost.map(({ index }) => [index, "lost"] as const));
    return { numbering, up: null, down: null, unattributed: lost.length, fates };
  };
  const origin = replies[0]?.sequence;
  if (origin === undefined) return nothing(null);
  if (isStateless(exchanges)) return nothing("stateless");
  if (new Set(replies.map(({ sequence }) => sequence)).size < replies.length) return nothing("unusable");
  const gaps = gapsOf(run, origin);
  const surplus = settleOvertaking(gaps, overtakingReach(exchanges, origin), spare.length === 0);
  const split: Split = { up: 0, down: 0, unattributed: 0, fates: new Map() };
  for (const each of gaps) settle(each, split);
  const hidden = surplus + (spare.length * split.down) / exchanges.length;
  if ((hidden * lost.length) / exchanges.length > COINCIDENCES_MOST) return nothing("unusable");
  const lowest = Math.min(...replies.map(({ sequence }) => sequence));
  return { numbering: lowest < exchanges.length ? "session" : "shared", ...split };
}
