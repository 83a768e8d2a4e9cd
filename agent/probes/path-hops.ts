// What is known of each hop over a run: who answers there, how fast, and whether what is missing is loss or silence. Pure.
import { median, round3 } from "../statistics.ts";
import type { FlowProbe } from "./path-sweep.ts";

/** `partly_silent`: one of several next hops here never answers, the others do. */
export type HopFlag = "silent" | "partly_silent" | "rate_limited_likely";

/** A hop of the result. Times in ms. */
export interface Hop {
  readonly ttl: number;
  /** Most frequent first. */
  readonly addrs: readonly string[];
  readonly sent: number;
  readonly received: number;
  readonly rtt_min: number | null;
  readonly rtt_median: number | null;
  readonly rtt_max: number | null;
  /** Loss that later hops show too; null for silence and for answers a router holds back. */
  readonly loss_pct: number | null;
  readonly flags: readonly HopFlag[];
  /** ICMP errors that ended the path here, as `!H`, `!N`, `!X`. */
  readonly icmp?: readonly string[];
  readonly mpls?: readonly string[];
}

/** Answers Linux sends at once, and then each second, before it holds ICMP errors back (icmp(7), icmp_ratelimit). */
const LIMITER = { burst: 6, per_s: 1 } as const;
/** Missing answers that are likely held back, since what comes later has them: at least so many, in points of percent. */
export const HELD_BACK = { lost: 2, points: 25 } as const;

/**
 * Whether answers stop as an ICMP limiter stops them: the first ones all came, and of the rest no more than it lets through.
 * `answered` in the order sent.
 */
export function looksLimited(answered: readonly boolean[], elapsed_s: number): boolean {
  const received = answered.filter((each) => each).length;
  if (received === answered.length || answered.length <= LIMITER.burst) return false;
  const first = answered.slice(0, LIMITER.burst - 1);
  return first.every((each) => each) && received <= LIMITER.burst + LIMITER.per_s * (elapsed_s + 1);
}

function byFrequency(values: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([value]) => value);
}

const distinct = (values: readonly (string | null)[]): string[] => [...new Set(values.filter((value) => value !== null))];

export const lossOf = (probes: readonly FlowProbe[]): number =>
  probes.length === 0 ? 100 : (100 * probes.filter(({ addr }) => addr === null).length) / probes.length;

/** Flows of which nothing was ever heard at this hop although they asked twice, while every other probe was answered. */
function partlySilent(hop: readonly FlowProbe[]): boolean {
  const flows = [...new Set(hop.map(({ flow }) => flow))].map((flow) => hop.filter((probe) => probe.flow === flow));
  const silent = flows.filter((probes) => probes.every(({ addr }) => addr === null));
  const others = flows.filter((probes) => !silent.includes(probes));
  return (
    silent.length > 0 &&
    others.length > 0 &&
    silent.every((probes) => probes.length > 1) &&
    others.every((probes) => probes.every(({ addr }) => addr !== null))
  );
}

/** What the missing answers of a hop mean. `beyond` is its loss over that of later hops, points of percent. */
function flagsOf(hop: readonly FlowProbe[], beyond: number, elapsed_s: number): HopFlag[] {
  const answered = hop.map(({ addr }) => addr !== null);
  const lost = answered.filter((each) => !each).length;
  if (lost === hop.length) return ["silent"];
  if (partlySilent(hop)) return ["partly_silent"];
  const heldBack = lost >= HELD_BACK.lost && beyond >= HELD_BACK.points;
  return heldBack || looksLimited(answered, elapsed_s) ? ["rate_limited_likely"] : [];
}

/** The table of hops 1 to `last`. `further` are addresses met besides, by hop from the first. */
export function hopTable(
  probes: readonly FlowProbe[],
  last: number,
  elapsed_s: number,
  further: readonly (readonly string[])[] = [],
): Hop[] {
  const at = Array.from({ length: last }, (_, i) => probes.filter(({ ttl }) => ttl === i + 1));
  const losses = at.map(lossOf);
  return at.map((hop, i): Hop => {
    const answers = hop.filter(({ addr }) => addr !== null);
    const rtts = answers.flatMap(({ rtt }) => (rtt === null ? [] : [rtt]));
    const addrs = byFrequency([...answers.flatMap(({ addr }) => addr ?? []), ...(further[i] ?? [])]);
    const loss = losses[i] ?? 100;
    const later = Math.min(100, ...losses.slice(i + 1));
    const flags = flagsOf(hop, loss - later, elapsed_s);
    const icmp = distinct(hop.map((probe) => probe.icmp));
    const mpls = distinct(hop.map((probe) => probe.mpls));
    return {
      ttl: i + 1,
      addrs,
      sent: hop.length,
      received: answers.length,
      rtt_min: rtts.length === 0 ? null : round3(Math.min(...rtts)),
      rtt_median: roundOrNull(median(rtts)),
      rtt_max: rtts.length === 0 ? null : round3(Math.max(...rtts)),
      loss_pct: flags.length > 0 || loss > later ? null : round3(loss),
      flags: addrs.length > 0 && flags[0] === "silent" ? ["partly_silent"] : flags,
      ...(icmp.length > 0 ? { icmp } : {}),
      ...(mpls.length > 0 ? { mpls } : {}),
    };
  });
}

const roundOrNull = (value: number | undefined): number | null => (value === undefined ? null : round3(value));
