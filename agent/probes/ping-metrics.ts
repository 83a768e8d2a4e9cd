// From the replies of one run to its metrics. Pure.
import { metricsOf, type Reason } from "#contract/metrics";
import type { PingOutput, PingReply, PingRoundTrips } from "../parsers/ping.ts";
import * as statistics from "../statistics.ts";
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
  /** Replies in time whose round trip the tool did not print. */
  readonly untimed: number;
  readonly ttl: number | null;
  readonly icmpErrors: Readonly<Record<string, number>>;
  readonly flags: readonly string[];
  /** The tool's own summary in microseconds, where it describes exactly our samples. */
  readonly exact: PingRoundTrips | null;
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

/**
 * Facts of a run, or undefined when the output contradicts itself or has no summary: then nothing may be said about loss.
 */
export function readPing(output: PingOutput, conditions: PingConditions, count: number): PingReading | undefined {
  const { summary } = output;
  if (summary === null || summary.sent > count || summary.received > summary.sent) return undefined;
  const replies = firstReplies(output, summary.sent);
  if (replies.length !== summary.received) return undefined;
  const limit = conditions.timeout * 1000;
  const inTime = replies.filter((reply) => reply.rtt === null || reply.rtt <= limit);
  const duplicates = output.replies.filter((reply) => reply.duplicate).length;
  const times = inTime.map((reply) => reply.rtt).filter((rtt) => rtt !== null);
  // The summary is in microseconds, over every reply: it describes our samples only if it counted exactly them.
  const whole = duplicates === 0 && inTime.length === replies.length && times.length === replies.length;
  const exact = whole && times.length > 0 && summaryFits(summary.rtt, times) ? summary.rtt : null;
  const rtts: (number | null)[] = new Array(summary.sent).fill(null);
  const answered: boolean[] = new Array(summary.sent).fill(false);
  for (const { index, rtt } of inTime) {
    answered[index] = true;
    rtts[index] = rtt === null || exact === null ? rtt : Math.min(Math.max(rtt, exact.min), exact.max);
  }
  return {
    sent: summary.sent,
    rtts,
    answered,
    duplicates,
    reordered: statistics.reordered(replies.map((reply) => reply.index)),
    late: replies.length - inTime.length,
    untimed: inTime.length - times.length,
    ttl: commonest(inTime.map((reply) => reply.ttl).filter((ttl) => ttl !== null)),
    icmpErrors: countKinds(output),
    flags: flagsOf(replies, conditions.packet_size),
    exact,
  };
}

/** Whether the summary's minimum and maximum are the lines' own before they were cut to three digits. */
function summaryFits(rtt: PingRoundTrips | null, times: readonly number[]): boolean {
  if (rtt === null) return false;
  const near = (exact: number, printed: number) => Math.abs(exact - printed) <= (exact >= 99 ? 1 : exact >= 9.9 ? 0.1 : 0.01);
  return near(rtt.min, Math.min(...times)) && near(rtt.max, Math.max(...times));
}

function commonest(values: readonly number[]): number | null {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

function countKinds(output: PingOutput): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of output.errors) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

function flagsOf(replies: readonly PingReply[], packetSize: number): string[] {
  const flags: string[] = [];
  if (replies.some((reply) => reply.truncated || reply.bytes !== packetSize + 8)) flags.push("reply_size_differs");
  return flags;
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
  const kinds = Object.keys(reading.icmpErrors);
  sheet.set("ping_icmp_error", kinds[0], "not_applicable");
  sheet.set("ping_ttl", reading.ttl, received === 0 ? silence : "unsupported");
  sheet.set("ping_size", conditions.packet_size, "not_applicable");
  sheet.set("ping_dscp", conditions.dscp ?? 0, "not_applicable");
  sheet.set("ping_family", conditions.family, "not_applicable");
  sheet.set("ping_method", "icmp", "not_applicable");
  sheet.fill(metricsOf("ping"), "unsupported");
  return sheet;
}

function setRoundTrips(sheet: MetricSheet, reading: PingReading, silence: Reason): void {
  const times = reading.rtts.filter((rtt) => rtt !== null);
  const none: Reason = reading.untimed > 0 ? "not_applicable" : silence;
  const { exact } = reading;
  const rounded = (value: number | undefined) => (value === undefined ? undefined : round3(value));
  sheet.set("ping_rtt_min", rounded(exact?.min ?? (times.length > 0 ? Math.min(...times) : undefined)), none);
  sheet.set("ping_rtt_max", rounded(exact?.max ?? (times.length > 0 ? Math.max(...times) : undefined)), none);
  sheet.set("ping_rtt_mean", rounded(exact?.mean ?? statistics.mean(times)), none);
  sheet.set("ping_rtt_median", rounded(statistics.median(times)), none);
  const deviation = times.length < 2 ? undefined : (exact?.stddev ?? statistics.standardDeviation(times));
  const few: Reason = times.length === 0 ? none : "too_few_samples";
  sheet.set("ping_rtt_stddev", rounded(deviation), few);
  const enough = (least: number, percent: number, values: readonly number[]) =>
    values.length >= least ? statistics.percentile(values, percent) : undefined;
  const { p95, p99 } = statistics.PERCENTILE_MIN;
  const high = enough(p95, 95, times);
  sheet.set("ping_rtt_p95", rounded(high), few);
  sheet.set("ping_rtt_p99", rounded(enough(p99, 99, times)), few);
  sheet.set("ping_pdv_p95", high === undefined ? undefined : round3(high - (exact?.min ?? Math.min(...times))), few);
  const variations = statistics.delayVariations(reading.rtts);
  sheet.set("ping_ipdv_mean", rounded(statistics.mean(variations)), few);
  sheet.set("ping_ipdv_p95", rounded(enough(p95, 95, variations)), few);
  sheet.set("ping_jitter_rfc3550", rounded(statistics.jitterRfc3550(reading.rtts)), few);
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
