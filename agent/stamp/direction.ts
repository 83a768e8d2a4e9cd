// Which way each lost packet was lost, from the reflector's own count. Pure.
//
// A stateful reflector numbers what it answers one by one (RFC 8762 section 4.3): a packet that is missing and left a gap in the
// numbers got there and lost its answer; one that left none never got there. What that does not settle is called unattributed
// and split nowhere.
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

/** Missing packets between two answered ones, and the numbers missing between their answers. */
interface Gap {
  readonly missing: readonly Exchange[];
  /** Numbers that were given to answers which never came; null when it is not known how many. */
  numbers: number | null;
  /** No more numbers than this, where it is not known how many. */
  readonly most: number;
}

/**
 * Numbers too many in a run mean that somebody else is counted too, or that questions were doubled on the way and the second
 * answer lost. Above this many expected to coincide with a loss of ours, the split is not trusted.
 */
const COINCIDENCES_MOST = 0.1;

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

/** Every gap of the run: before the first answered packet, inside and between stretches, after the last. */
function gapsOf({ exchanges, spare, undecided, startsAtZero }: Exchanges, origin: number): Gap[] {
  const known = new Set(spare.map(({ sequence }) => distance(origin, sequence)));
  const answered = inReflectorOrder(exchanges, origin);
  for (const { number } of answered) known.add(number);
  const sorted = [...known].sort((a, b) => a - b);
  const between = (from: number, to: number) => exchanges.slice(from, Math.max(from, to)).filter(isMissing);
  const isMissing = (exchange: Exchange) => exchange.reply === undefined && !undecided(exchange);
  const unexplained = (low: number, high: number) =>
    Math.max(0, high - low - 1) - sorted.filter((number) => number > low && number < high).length;
  // Wire numbers begin at the first exchange's.
  const first = exchanges[0]?.wire ?? 0;
  const place = (wire: number) => wire - first;
  const parts = stretches(answered).map((part) => ({
    wires: bounds(part.map(({ exchange }) => exchange.wire)),
    numbers: bounds(part.map(({ number }) => number)),
  }));
  const gaps: Gap[] = parts.flatMap(({ wires, numbers }, i) => {
    const inside = {
      missing: between(place(wires.low), place(wires.high)),
      numbers: unexplained(numbers.low, numbers.high),
      most: 0,
    };
    const next = parts[i + 1];
    if (next === undefined) return [inside];
    const after = between(place(wires.high) + 1, place(next.wires.low));
    return [inside, { missing: after, numbers: unexplained(numbers.high, next.numbers.low), most: 0 }];
  });
  const head = between(0, place(parts[0]?.wires.low ?? first));
  const tail = between(place(parts.at(-1)?.wires.high ?? first) + 1, exchanges.length);
  return [
    leading(head, parts[0]?.numbers.low ?? 0, origin, startsAtZero),
    ...gaps,
    { missing: tail, numbers: null, most: tail.length },
  ];
}

/** What is missing before the first answer: known where the reflector began at 0. */
function leading(missing: readonly Exchange[], lowest: number, origin: number, startsAtZero: boolean): Gap {
  const before = (origin + lowest) >>> 0;
  const isKnown = before === 0 || (startsAtZero && before <= missing.length);
  return { missing, numbers: isKnown ? before : null, most: Math.min(before, missing.length) };
}

/**
 * Numbers too many in one gap belong to packets that were overtaken: such a packet is missing in a gap near by and got its
 * number here. Answers how many remain unexplained.
 */
function settleOvertaking(gaps: readonly Gap[], reach: number): number {
  let left = 0;
  gaps.forEach((gap, at) => {
    let surplus = (gap.numbers ?? 0) - gap.missing.length;
    if (surplus <= 0) return;
    gap.numbers = gap.missing.length;
    for (let step = 1; step <= reach && surplus > 0; step++) {
      for (const other of [gaps[at - step], gaps[at + step]]) {
        if (other === undefined || other.numbers === null) continue;
        const taken = Math.min(surplus, Math.max(0, other.missing.length - other.numbers));
        other.numbers += taken;
        surplus -= taken;
      }
    }
    left += Math.max(0, surplus);
  });
  return left;
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
function settle({ missing, numbers, most }: Gap, split: Split): void {
  const stream = missing.filter(({ role }) => role === "stream");
  if (stream.length === 0) return;
  const extra = missing.length - stream.length;
  // What this host's kernel did not send cannot have arrived.
  const gone = stream.filter(({ unsent }) => unsent !== undefined).length;
  const room = stream.length - gone;
  const high = Math.min(room, numbers ?? most);
  const low = numbers === null ? 0 : Math.min(high, Math.max(0, numbers - extra));
  split.down += low;
  split.up += stream.length - high;
  split.unattributed += high - low;
  for (const { index, unsent } of stream) {
    const isUp = high === 0 || unsent !== undefined;
    split.fates.set(index, isUp ? "lost_up" : low === room ? "lost_down" : "lost");
  }
}

/** Attributes every lost packet of the stream to a direction, as far as the reflector's numbers settle it. */
export function attributeLoss(run: Exchanges): LossSplit {
  const { exchanges, undecided } = run;
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
  const surplus = settleOvertaking(gaps, overtakingReach(exchanges, origin));
  if ((surplus / exchanges.length) * lost.length > COINCIDENCES_MOST) return nothing("unusable");
  const split: Split = { up: 0, down: 0, unattributed: 0, fates: new Map() };
  for (const gap of gaps) settle(gap, split);
  const lowest = Math.min(...replies.map(({ sequence }) => sequence));
  return { numbering: lowest < exchanges.length ? "session" : "shared", ...split };
}
