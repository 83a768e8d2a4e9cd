// From the pings of several traffic classes to what sets them apart. Pure.
import { dscpName } from "#contract/dscp";
import type { Reason } from "#contract/metrics";
import { median, round3 } from "../statistics.ts";
import type { PingReading } from "./ping-metrics.ts";
import { fisherGreater, rankScore } from "./qos-significance.ts";

/** Error probability that is accepted for a whole run, however many classes it compares. */
const ALPHA = 0.01;
/** Standard deviations that chance exceeds in 1 of 100 runs, by the number of classes compared (one-sided, Bonferroni). */
const RANK_LIMITS: readonly number[] = [2.33, 2.33, 2.58, 2.72, 2.81, 2.88, 2.94, 2.99, 3.03];
/** A difference of round trips that nobody would notice is none, however certain it is. */
const NOTICEABLE = { ms: 1, share: 0.05 } as const;
/** Replies of a class that its median is compared by, and requests that say something about loss. */
const ENOUGH = { replies: 5, ranks: 8, requests: 10 } as const;

/** What became of one class. */
export interface ClassResult {
  readonly dscp: number;
  readonly name: string;
  readonly sent: number;
  readonly received: number;
  /** Percent; null when nothing was sent. */
  readonly loss_pct: number | null;
  /** Milliseconds; null without replies. */
  readonly rtt_min: number | null;
  readonly rtt_median: number | null;
  readonly rtt_max: number | null;
}

/** Round trips of the answered requests, ms. */
const timesOf = ({ rtts }: PingReading): number[] => rtts.filter((rtt) => rtt !== null);
const receivedOf = ({ answered }: PingReading): number => answered.filter((arrived) => arrived).length;

const rounded = (value: number | undefined): number | null =>
  value === undefined || !Number.isFinite(value) ? null : round3(value);

export function classResult(dscp: number, reading: PingReading): ClassResult {
  const times = timesOf(reading);
  const received = receivedOf(reading);
  return {
    dscp,
    name: dscpName(dscp),
    sent: reading.sent,
    received,
    loss_pct: reading.sent === 0 ? null : round3((100 * (reading.sent - received)) / reading.sent),
    rtt_min: rounded(Math.min(...times)),
    rtt_median: rounded(median(times)),
    rtt_max: rounded(Math.max(...times)),
  };
}

/** A value, or why there is none. */
export type Finding<Value> = { readonly value: Value } | { readonly reason: Reason };

export interface ClassComparison {
  /** Slowest median less quickest, ms. */
  readonly spread: Finding<number>;
  /** Highest loss of any class, percent. */
  readonly loss: Finding<number>;
  /** The class that fares worse than the others by more than chance explains. */
  readonly worst: Finding<string>;
  /** What it is worse by. */
  readonly by: "loss" | "rtt" | null;
}

export interface ClassReading {
  readonly dscp: number;
  readonly reading: PingReading;
}

/** Classes that lose more than the others taken together, the heaviest loser first. */
function losers(classes: readonly ClassReading[]): ClassReading[] {
  const share = ({ reading }: ClassReading) => ({ hits: reading.sent - receivedOf(reading), trials: reading.sent });
  const found = classes.filter((each) => {
    const others = classes.filter((other) => other !== each).map(share);
    const rest = others.reduce((sum, { hits, trials }) => ({ hits: sum.hits + hits, trials: sum.trials + trials }), {
      hits: 0,
      trials: 0,
    });
    return fisherGreater(share(each), rest) < ALPHA / classes.length;
  });
  const loss = (each: ClassReading) => share(each).hits / share(each).trials;
  return found.sort((a, b) => loss(b) - loss(a));
}

/** Classes that take noticeably longer than the others, the slowest first. */
function laggards(classes: readonly ClassReading[]): ClassReading[] {
  const limit = RANK_LIMITS[classes.length] ?? Number.POSITIVE_INFINITY;
  const middle = (each: ClassReading) => median(timesOf(each.reading)) ?? 0;
  const found = classes.filter((each) => {
    const own = timesOf(each.reading);
    const rest = classes.filter((other) => other !== each).flatMap(({ reading }) => timesOf(reading));
    if (own.length < ENOUGH.ranks || rest.length < ENOUGH.ranks) return false;
    const usual = median(rest) ?? 0;
    const noticeable = middle(each) - usual >= Math.max(NOTICEABLE.ms, usual * NOTICEABLE.share);
    return noticeable && rankScore(own, rest) > limit;
  });
  return found.sort((a, b) => middle(b) - middle(a));
}

/** Compares classes that were measured at the same time. */
export function compareClasses(classes: readonly ClassReading[]): ClassComparison {
  const sent = classes.filter(({ reading }) => reading.sent > 0);
  const medians = sent.flatMap(({ reading }) => {
    const times = timesOf(reading);
    return times.length >= ENOUGH.replies ? [median(times) ?? 0] : [];
  });
  const silent = sent.length > 0 && sent.every(({ reading }) => receivedOf(reading) === 0);
  const spread: Finding<number> =
    medians.length > 1
      ? { value: round3(Math.max(...medians) - Math.min(...medians)) }
      : { reason: silent ? "timeout" : "too_few_samples" };
  const enough = sent.length > 1 && sent.every(({ reading }) => reading.sent >= ENOUGH.requests);
  const losses = sent.map(({ dscp, reading }) => classResult(dscp, reading).loss_pct ?? 0);
  const loss: Finding<number> = enough ? { value: Math.max(...losses) } : { reason: "too_few_samples" };
  const [loser] = losers(sent);
  const [laggard] = loser === undefined ? laggards(sent) : [];
  const worst = loser ?? laggard;
  return {
    spread,
    loss,
    worst:
      worst === undefined
        ? { reason: silent ? "timeout" : enough ? "not_applicable" : "too_few_samples" }
        : { value: dscpName(worst.dscp) },
    by: loser !== undefined ? "loss" : laggard !== undefined ? "rtt" : null,
  };
}
