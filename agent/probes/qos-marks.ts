// From captured packets to what each hop saw of the marks, and where they changed. Pure.
import { canonicalAddress, sameAddress } from "../address.ts";
import type { ProbeHeader, ProbeProtocol } from "../parsers/icmp-quote.ts";
import type { Captured } from "./qos-capture.ts";

/** Explicit congestion notification, the lower two bits of the traffic class (RFC 3168 5). */
export const ECN = { not_ect: 0, ect1: 1, ect0: 2, ce: 3 } as const;

/** One probe as it arrived at a hop. */
export interface Sighting {
  readonly ttl: number;
  readonly addr: string;
  readonly protocol: ProbeProtocol;
  readonly dscp: number;
  readonly ecn: number;
  /** Whether it ended there because its time to live did; else whoever answered would not hand it on, or was its target. */
  readonly expired: boolean;
  /** Time to live that was left when it arrived. */
  readonly left: number;
}

export interface Sightings {
  readonly seen: readonly Sighting[];
  /** Hops whose quotes may belong to an earlier probe; to be asked alone. */
  readonly doubtful: ReadonlySet<number>;
}

interface Sent {
  readonly probe: ProbeHeader;
  readonly at_us: number;
  answered: boolean;
}

/** Probes that a quote may be of: those that carry its very number, else those of its sweep. */
function candidates(sent: readonly Sent[], quoted: ProbeHeader): readonly Sent[] {
  const { protocol, port, mark, id } = quoted;
  const alike = sent.filter(({ probe }) => probe.protocol === protocol && probe.port === port);
  const sweep = protocol === "udp" ? alike.filter(({ probe }) => probe.mark === mark) : alike;
  const named =
    protocol === "udp"
      ? sweep.filter(({ probe }) => id !== null && probe.id === id)
      : alike.filter(({ probe }) => probe.mark === mark);
  return named.length > 0 ? named : sweep;
}

/** An answer comes late only where answers need long: so many times the longest round trip seen are out of the question. */
const LATE_FACTOR = 3;

/**
 * Which hop each quote came from. IPv4 probes carry numbers of their own (RFC 6864), as TCP's do; IPv6 ones of a sweep are all
 * alike and told apart by their order: a sweep sends the next when the last is answered or its time is over.
 */
export function sightingsOf(packets: readonly Captured[]): Sightings {
  const sent: Sent[] = [];
  const seen: Sighting[] = [];
  const doubtful = new Set<number>();
  let longest_us = 0;
  for (const packet of packets) {
    if ("sent" in packet) {
      sent.push({ probe: packet.sent, at_us: packet.at_us, answered: false });
      continue;
    }
    const { from, kind, probe: quoted } = packet.quote;
    const pool = candidates(sent, quoted);
    const latest = pool.at(-1);
    if (latest === undefined) continue;
    const { ttl } = latest.probe;
    const took = packet.at_us - latest.at_us;
    const open = pool.filter(({ probe, answered }) => probe.ttl !== ttl && !answered);
    const late = LATE_FACTOR * Math.max(longest_us, took);
    if (open.some(({ at_us }) => packet.at_us - at_us < late)) {
      doubtful.add(ttl);
      continue;
    }
    longest_us = Math.max(longest_us, took);
    latest.answered = true;
    const { protocol, tos } = quoted;
    seen.push({
      ttl,
      addr: canonicalAddress(from),
      protocol,
      dscp: tos >> 2,
      ecn: tos & 3,
      expired: kind === "time_exceeded",
      left: quoted.ttl,
    });
  }
  return { seen, doubtful };
}

/** What is known of one hop. */
export interface MarkHop {
  readonly ttl: number;
  /** null where nobody answered. */
  readonly addr: string | null;
  /** As the hop saw it arrive; null where it quoted nothing. */
  readonly dscp: number | null;
  /** The same of ECN; null too where the probes carried none. */
  readonly ecn: number | null;
  /** How many probes it quoted. */
  readonly quotes: number;
  readonly protocol: ProbeProtocol | null;
}

/** The value seen most often, of equals the last one. */
function usual<Value>(values: readonly Value[]): Value | undefined {
  const counts = new Map<Value, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce<[Value, number] | undefined>(
    (best, each) => (best === undefined || each[1] >= best[1] ? each : best),
    undefined,
  )?.[0];
}

/**
 * A packet that was refused or arrived, with time to live left, has come less far than it might: as many hops less as it had left
 * beyond the last. That matters where answers to nearer probes are lost. Not believed against a router that is further away.
 */
function placed(sighting: Sighting, all: readonly Sighting[]): Sighting {
  const { expired, left, ttl, addr } = sighting;
  const nearer = ttl - left + 1;
  if (expired || left <= 1 || nearer < 1) return sighting;
  const passed = all.some((other) => other.expired && other.ttl >= nearer && other.addr !== addr);
  return passed ? sighting : { ...sighting, ttl: nearer };
}

/** A router that hands nothing on answers probes to every hop behind it too, which are no hops of its. */
const isSecond = ({ expired, addr, ttl }: Sighting, all: readonly Sighting[]): boolean =>
  !expired && all.some((other) => other.addr === addr && other.ttl < ttl);

/**
 * The hops up to the target, or up to the last that answered. `answers` are addresses that answered without quoting, as a target
 * answers a handshake.
 */
export function markHops(
  all: readonly Sighting[],
  answers: readonly { readonly ttl: number; readonly addr: string }[],
  target: string,
): MarkHop[] {
  const placedAll = all.map((each) => placed(each, all));
  const seen = placedAll.filter((each) => !isSecond(each, placedAll));
  const heard = [...seen, ...answers];
  const distance = Math.min(...heard.filter(({ addr }) => sameAddress(addr, target)).map(({ ttl }) => ttl));
  const last = Number.isFinite(distance) ? distance : Math.max(0, ...heard.map(({ ttl }) => ttl));
  const hops = Array.from({ length: last }, (_, i) => hopOf(i + 1, seen, heard));
  // What goes round goes round for ever: it is told up to where it comes back.
  return Number.isFinite(distance) ? hops : hops.slice(0, circleOf(hops) ?? last);
}

function hopOf(
  ttl: number,
  seen: readonly Sighting[],
  heard: readonly { readonly ttl: number; readonly addr: string }[],
): MarkHop {
  const quotes = seen.filter((each) => each.ttl === ttl);
  // A SYN carries no ECT.
  const ecn = usual(quotes.filter(({ protocol }) => protocol === "udp").map((each) => each.ecn));
  return {
    ttl,
    addr: usual(heard.filter((each) => each.ttl === ttl).map(({ addr }) => addr)) ?? null,
    dscp: usual(quotes.map(({ dscp }) => dscp)) ?? null,
    ecn: ecn ?? null,
    quotes: quotes.length,
    protocol: quotes.at(-1)?.protocol ?? null,
  };
}

/** The hop at which packets come back to a router they have passed, null when they do not; twice in a row is no circle. */
export function circleOf(hops: readonly MarkHop[]): number | null {
  const back = hops.find(({ addr, ttl }) => addr !== null && hops.some((other) => other.addr === addr && other.ttl < ttl - 1));
  return back?.ttl ?? null;
}

/** Where a mark changed: somewhere behind one hop, and before or at the ingress of another. */
export interface MarkChange {
  /** The last hop that still saw it as sent, 0 for this host. */
  readonly after_hop: number;
  /** The first hop that saw it changed. */
  readonly at_hop: number;
  readonly to: number;
  /** Quotes that show it. */
  readonly quotes: number;
}

/**
 * The change a mark did not recover from: a hop further on that sees it as sent proves that it came through until there, whatever
 * routers before it wrote into their quotes. Null when no hop saw a change.
 */
function changeOf(
  hops: readonly MarkHop[],
  value: (hop: MarkHop) => number | null,
  kept: (value: number) => boolean,
): MarkChange | null {
  const told = hops.flatMap((hop) => {
    const mark = value(hop);
    return mark === null ? [] : [{ ttl: hop.ttl, mark, quotes: hop.quotes }];
  });
  const after = told.findLast(({ mark }) => kept(mark))?.ttl ?? 0;
  const changed = told.filter(({ ttl }) => ttl > after);
  const [first] = changed;
  if (first === undefined) return null;
  const quotes = changed.reduce((sum, each) => sum + each.quotes, 0);
  return { after_hop: after, at_hop: first.ttl, to: first.mark, quotes };
}

/** Where the DSCP changed; null when no hop saw that. */
export const dscpChange = (hops: readonly MarkHop[], sent: number): MarkChange | null =>
  changeOf(
    hops,
    ({ dscp }) => dscp,
    (dscp) => dscp === sent,
  );

/** Where ECT(0) was cleared; a router that is congested may turn it into CE, which is its purpose. */
export const ecnChange = (hops: readonly MarkHop[]): MarkChange | null =>
  changeOf(
    hops,
    ({ ecn }) => ecn,
    (ecn) => ecn === ECN.ect0 || ecn === ECN.ce,
  );

/** How far the marks could be followed. */
export interface Reach {
  /** Hops that quoted a probe. */
  readonly checked: number;
  /** The furthest of them, 0 without any. */
  readonly until: number;
  /** Whether the target itself quoted one. */
  readonly target: boolean;
}

export function reachOf(hops: readonly MarkHop[], target: string): Reach {
  const quoted = hops.filter(({ quotes }) => quotes > 0);
  const last = quoted.at(-1);
  return { checked: quoted.length, until: last?.ttl ?? 0, target: last !== undefined && sameAddress(last.addr, target) };
}
