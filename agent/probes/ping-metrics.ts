// From the replies of one run to its metrics. Pure.
import { metricsOf, type Reason } from "#contract/metrics";
import type { PingOutput, PingRoundTrips, PingSummary } from "../parsers/ping.ts";
import type { IcmpError, PingIcmpError, PingReply } from "../parsers/ping-line.ts";
import * as statistics from "../statistics.ts";
import { sharpen } from "./ping-times.ts";
import { MetricSheet } from "./probe.ts";

const { round3 } = statistics;

/** The conditions of a run. Timeout in seconds. */
export interface PingConditions {
  readonly packet_size: number;
  readonly timeout: number;
  readonly dscp?: number | undefined;
  readonly family: 4 | 6;
}

export interface PingReading {
  readonly sent: number;
  /** Round trip by request, ms; null where no reply came in time or it carried no time. */
  readonly rtts: readonly (number | null)[];
  /** Whether each request was answered in time. */
  readonly answered: readonly boolean[];
  readonly duplicates: number;
  readonly reordered: number;
  readonly late: number;
  /** Replies with a wrong checksum or other data than was sent. */
  readonly damaged: number;
  readonly truncated: number;
  /** Replies in time whose round trip the tool did not print. */
  readonly untimed: number;
  /** Replies quicker than the tool can tell; they are not among the untimed. */
  readonly quick: number;
  /** TTL of the replies in time and how often each was seen, commonest first. */
  readonly ttls: readonly (readonly [ttl: number, count: number])[];
  /** ICMP errors by class and sender, commonest first. */
  readonly icmp: readonly IcmpTally[];
  readonly flags: readonly string[];
  /** The tool's own summary in microseconds, where it describes exactly our samples. */
  readonly exact: PingRoundTrips | null;
  /** No round trip is further off than this, ms; null without any. */
  readonly resolution: number | null;
}

export interface IcmpTally {
  readonly kind: IcmpError;
  /** null: this host's own kernel. */
  readonly from: string | null;
  readonly mtu: number | null;
  readonly count: number;
}

/** Replies that count: the first undamaged one to each request that was sent. */
function firstReplies(output: PingOutput, sent: number): PingReply[] {
  const seen = new Set<number>();
  return output.replies.filter((reply) => {
    if (reply.duplicate || reply.damaged || reply.index >= sent || seen.has(reply.index)) return false;
    seen.add(reply.index);
    return true;
  });
}

interface Timed {
  /** Milliseconds by reply. */
  readonly times: ReadonlyMap<PingReply, number>;
  readonly resolution: number | null;
  readonly sharp: boolean;
}

/** Round trips as exactly as the output allows: sharpened by the summary where it speaks of just these lines, else as printed. */
function timesOf(output: PingOutput, summary: PingSummary): Timed {
  const counted = output.replies.filter((reply) => !reply.damaged);
  const printed = counted.flatMap((reply) =>
    reply.rtt === null || reply.step === null ? [] : [{ reply, rtt: reply.rtt, step: reply.step }],
  );
  const duplicates = counted.filter((reply) => reply.duplicate).length;
  const whole = printed.length === counted.length && counted.length === summary.received + summary.duplicates;
  // A snapshot counts no duplicates: with any, it does not say after which line it came.
  const snapshots = duplicates === 0 ? (output.snapshots ?? []) : [];
  const sharp = whole && summary.rtt !== null ? sharpen(printed, summary.rtt, snapshots) : undefined;
  const times = new Map(printed.map(({ reply, rtt }, i) => [reply, sharp?.times[i] ?? rtt]));
  const coarsest = printed.length === 0 ? null : Math.max(...printed.map(({ step }) => step));
  return { times, resolution: sharp?.resolution ?? coarsest, sharp: sharp !== undefined };
}

/** A reply cannot have taken longer than the whole run: its send time was damaged on the way. It came, but times nothing. */
function withoutImpossible(output: PingOutput, took_ms: number): PingOutput {
  const possible = ({ rtt }: PingReply) => rtt === null || rtt <= took_ms;
  if (output.replies.every(possible)) return output;
  const replies = output.replies.map((reply) => (possible(reply) ? reply : { ...reply, rtt: null, step: null }));
  return { ...output, replies, summary: output.summary === null ? null : { ...output.summary, rtt: null } };
}

/**
 * Facts of a run, or undefined when the output contradicts itself or has no summary: then nothing may be said about loss.
 * `took_ms` is how long the tool ran.
 */
export function readPing(
  printed: PingOutput,
  conditions: PingConditions,
  count: number,
  took_ms = Number.POSITIVE_INFINITY,
): PingReading | undefined {
  const output = withoutImpossible(printed, took_ms);
  const { summary } = output;
  if (summary === null || summary.sent > count || summary.received > summary.sent) return undefined;
  const replies = firstReplies(output, summary.sent);
  if (replies.length !== summary.received) return undefined;
  const { times, resolution, sharp } = timesOf(output, summary);
  const limit = conditions.timeout * 1000;
  const inTime = replies.filter((reply) => (times.get(reply) ?? 0) <= limit);
  const duplicates = output.replies.filter((reply) => reply.duplicate).length;
  const rtts: (number | null)[] = new Array(summary.sent).fill(null);
  const answered: boolean[] = new Array(summary.sent).fill(false);
  for (const reply of inTime) {
    answered[reply.index] = true;
    rtts[reply.index] = roundedOrNull(times.get(reply));
  }
  return {
    sent: summary.sent,
    rtts,
    answered,
    duplicates,
    reordered: statistics.reordered(replies.map((reply) => reply.index)),
    late: replies.length - inTime.length,
    damaged: output.altered + output.replies.filter((reply) => reply.damaged).length,
    truncated: output.replies.filter((reply) => reply.truncated).length,
    untimed: inTime.filter((reply) => !times.has(reply) && reply.under === undefined).length,
    quick: inTime.filter((reply) => !times.has(reply) && reply.under !== undefined).length,
    ttls: tally(inTime.map((reply) => reply.ttl).filter((ttl) => ttl !== null)),
    icmp: tallyErrors(output.errors),
    flags: flagsOf(output, replies, conditions.packet_size),
    // The summary is over every reply: it describes our samples only if it counted exactly them.
    exact: sharp && duplicates === 0 && inTime.length === replies.length ? summary.rtt : null,
    resolution,
  };
}

const roundedOrNull = (value: number | undefined): number | null => (value === undefined ? null : round3(value));

/** Distinct values with their counts, commonest first. */
function tally(values: readonly number[]): [number, number][] {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

function tallyErrors(errors: readonly PingIcmpError[]): IcmpTally[] {
  const tallies = new Map<string, IcmpTally>();
  for (const { kind, from, mtu } of errors) {
    const key = `${kind} ${from}`;
    const known = tallies.get(key);
    tallies.set(key, { kind, from, mtu: mtu ?? known?.mtu ?? null, count: (known?.count ?? 0) + 1 });
  }
  return [...tallies.values()].sort((a, b) => b.count - a.count);
}

function flagsOf(output: PingOutput, replies: readonly PingReply[], packetSize: number): string[] {
  const flags: string[] = [];
  if (replies.some((reply) => reply.truncated || reply.bytes !== packetSize + 8)) flags.push("reply_size_differs");
  if (output.altered > 0) flags.push("reply_data_differs");
  return flags;
}

/** A run cut short, without the last requests whose time-out was not over: nobody knows what would have become of them. */
export function withoutUndecided(
  reading: PingReading,
  { interval, timeout }: { interval: number; timeout: number },
): PingReading {
  const most = Math.min(reading.sent, Math.ceil(timeout / interval));
  let open = 0;
  while (open < most && reading.answered[reading.sent - 1 - open] === false) open += 1;
  const sent = reading.sent - open;
  return { ...reading, sent, rtts: reading.rtts.slice(0, sent), answered: reading.answered.slice(0, sent) };
}

/** Every ping metric of a run, value or null with its reason. Times are ms, rounded to the microsecond. */
export function pingMetrics(reading: PingReading, conditions: PingConditions, silence: Reason): MetricSheet {
  const sheet = new MetricSheet();
  const received = reading.answered.filter((arrived) => arrived).length;
  const lost = reading.sent - received;
  const loss = reading.sent > 0 ? round3((100 * lost) / reading.sent) : undefined;
  const interval = statistics.wilsonInterval(lost, reading.sent);
  sheet.set("ping_sent", reading.sent, "not_applicable");
  sheet.set("ping_received", received, "not_applicable");
  sheet.set("ping_dup", reading.duplicates, "not_applicable");
  sheet.set("ping_out_of_order", reading.reordered, "not_applicable");
  sheet.set("ping_late", reading.late, "not_applicable");
  sheet.set("ping_loss_pct", loss, "too_few_samples");
  sheet.set("ping_loss_ci_low", interval && round3(interval.low), "too_few_samples");
  sheet.set("ping_loss_ci_high", interval && round3(interval.high), "too_few_samples");
  setRoundTrips(sheet, reading, silence);
  setBursts(sheet, reading);
  sheet.set("ping_damaged", reading.damaged, "not_applicable");
  sheet.set("ping_truncated", reading.truncated, "not_applicable");
  sheet.set("ping_icmp_error", reading.icmp[0]?.kind, "not_applicable");
  setTtl(sheet, reading, received === 0 ? silence : "unsupported");
  sheet.set("ping_size", conditions.packet_size, "not_applicable");
  sheet.set("ping_dscp", conditions.dscp ?? 0, "not_applicable");
  sheet.set("ping_family", conditions.family, "not_applicable");
  sheet.set("ping_method", "icmp", "not_applicable");
  // What is left are the figures of the TCP fallback.
  sheet.fill(metricsOf("ping"), "not_applicable");
  return sheet;
}

/** Replies with another TTL came another way back, or from another host behind the address. */
function setTtl(sheet: MetricSheet, reading: PingReading, none: Reason): void {
  const seen = reading.ttls.reduce((sum, [, count]) => sum + count, 0);
  sheet.set("ping_ttl", reading.ttls[0]?.[0], none);
  sheet.set("ping_ttl_changed", seen < 2 ? undefined : reading.ttls.length > 1, seen === 0 ? none : "too_few_samples");
}

/** A value that is a number, rounded: of a quick reply only its rank is known. */
const known = (value: number | undefined): number | undefined =>
  value === undefined || !Number.isFinite(value) ? undefined : round3(value);

function setRoundTrips(sheet: MetricSheet, reading: PingReading, silence: Reason): void {
  const times = reading.rtts.filter((rtt) => rtt !== null);
  const { exact, quick } = reading;
  const none: Reason = quick > 0 ? "unsupported" : reading.untimed > 0 ? "not_applicable" : silence;
  const few: Reason = times.length === 0 || quick > 0 ? none : "too_few_samples";
  // Quick replies come before all others; a median or percentile that falls among them has no value.
  const ranked = [...times, ...new Array<number>(quick).fill(Number.NEGATIVE_INFINITY)];
  const enough = (least: number, percent: number, values: readonly number[]) =>
    values.length >= least ? known(statistics.percentile(values, percent)) : undefined;
  const { p95, p99 } = statistics.PERCENTILE_MIN;
  const least = known(exact?.min ?? (ranked.length > 0 ? Math.min(...ranked) : undefined));
  const high = enough(p95, 95, ranked);
  sheet.set("ping_rtt_min", least, none);
  sheet.set("ping_rtt_max", known(exact?.max ?? (ranked.length > 0 ? Math.max(...ranked) : undefined)), none);
  sheet.set("ping_rtt_median", known(statistics.median(ranked)), none);
  sheet.set("ping_rtt_p95", high, few);
  sheet.set("ping_rtt_p99", enough(p99, 99, ranked), few);
  sheet.set("ping_pdv_p95", high === undefined || least === undefined ? undefined : round3(high - least), few);
  // What every reply goes into has no value where some have no time.
  const whole = quick > 0 ? [] : times;
  const variations = quick > 0 ? [] : statistics.delayVariations(reading.rtts);
  const deviation = whole.length < 2 ? undefined : (exact?.stddev ?? statistics.standardDeviation(whole));
  sheet.set("ping_rtt_mean", known(exact?.mean ?? statistics.mean(whole)), none);
  sheet.set("ping_rtt_stddev", known(deviation), few);
  sheet.set("ping_ipdv_mean", known(statistics.mean(variations)), few);
  sheet.set("ping_ipdv_p95", enough(p95, 95, variations), few);
  sheet.set("ping_jitter_rfc3550", known(statistics.jitterRfc3550(quick > 0 ? [] : reading.rtts)), few);
}

function setBursts(sheet: MetricSheet, reading: PingReading): void {
  const bursts = statistics.lossBursts(reading.answered);
  const average = statistics.mean(bursts);
  const ratio = statistics.burstRatio(reading.answered);
  sheet.set("ping_loss_burst_max", Math.max(0, ...bursts), "not_applicable");
  sheet.set("ping_loss_burst_mean", average === undefined ? undefined : round3(average), "not_applicable");
  sheet.set("ping_loss_runs", bursts.length, "not_applicable");
  sheet.set("ping_burst_ratio", ratio === undefined ? undefined : round3(ratio), "not_applicable");
}
