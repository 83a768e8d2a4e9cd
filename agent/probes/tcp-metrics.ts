// From the connects and the sent bytes of one run to its metrics. Pure.
import { type MetricName, metricsOf, type Reason } from "#contract/metrics";
import type { TcpInfo } from "../parsers/ss.ts";
import * as statistics from "../statistics.ts";
import { saysNothing } from "./endpoint.ts";
import { MetricSheet } from "./probe.ts";
import type { Sending } from "./tcp-send.ts";
import type { Attempt } from "./tcp-series.ts";

const { round3 } = statistics;

export interface TcpReading {
  readonly port: number;
  readonly attempts: readonly Attempt[];
  /** The bytes sent, and the attempt whose connection carried them. */
  readonly sending: Sending | undefined;
  readonly sender: Attempt | undefined;
  /** Why the kernel's figures cannot be read here; undefined where they can. */
  readonly missing: Reason | undefined;
  /** Why there are no connect times when there are none. */
  readonly silence: Reason;
}

export type LimitedBy = "network" | "receiver" | "sender_buffer" | "application";

/** Below this share of the time with data to send, the sender itself is what held it back. */
const BUSY_SHARE = 0.5;

/**
 * What held the sender back for most of the time it had data to send: the receiver's window, its own send buffer, or
 * neither, which leaves the network (the kernel's chronographs, tcp_info's busy_time, rwnd_limited, sndbuf_limited).
 */
export function limitedBy(info: TcpInfo, took_ms: number): LimitedBy | undefined {
  if (info.busy_ms === null || took_ms <= 0) return undefined;
  if (info.busy_ms / took_ms < BUSY_SHARE) return "application";
  const receiver = info.rwnd_limited_ms ?? 0;
  const buffer = info.sndbuf_limited_ms ?? 0;
  const network = info.busy_ms - receiver - buffer;
  if (receiver >= buffer && receiver > network) return "receiver";
  return buffer > network ? "sender_buffer" : "network";
}

/** Connect times of the connects that were established, ms. */
export const connectTimes = (attempts: readonly Attempt[]): number[] =>
  attempts.flatMap(({ dialled }) => (dialled.kind === "connected" ? [dialled.ms] : []));

/** Every tcp metric of a run, value or null with its reason. */
export function tcpMetrics(reading: TcpReading): MetricSheet {
  const sheet = new MetricSheet();
  setConnects(sheet, reading);
  setKernel(sheet, reading);
  // A connection its peer has broken is gone before its figures can be read.
  const lasted = reading.attempts.some(({ dialled, broken }) => dialled.kind === "connected" && broken === null);
  const absent = reading.missing ?? (lasted ? "unsupported" : reading.silence);
  sheet.fill(metricsOf("tcp"), absent);
  return sheet;
}

function setConnects(sheet: MetricSheet, { attempts, port, silence }: TcpReading): void {
  const times = connectTimes(attempts);
  const counted = attempts.filter(({ dialled }) => !saysNothing(dialled));
  const tried = counted.length > 0;
  const median = statistics.median(times);
  const few: Reason = times.length === 0 ? silence : "too_few_samples";
  const p95 = times.length >= statistics.PERCENTILE_MIN.p95 ? statistics.percentile(times, 95) : undefined;
  sheet.set("tcp_connect_ms", median && round3(median), silence);
  sheet.set("tcp_connect_min", times.length > 0 ? round3(Math.min(...times)) : undefined, silence);
  sheet.set("tcp_connect_p95", p95 && round3(p95), few);
  sheet.set("tcp_connect_max", times.length > 0 ? round3(Math.max(...times)) : undefined, silence);
  sheet.set("tcp_attempts", tried ? counted.length : undefined, silence);
  sheet.set("tcp_connected", tried ? times.length : undefined, silence);
  sheet.set("tcp_failed_pct", tried ? round3((100 * (counted.length - times.length)) / counted.length) : undefined, silence);
  sheet.set("tcp_error", firstErrno(attempts), "not_applicable");
  sheet.set("tcp_port", port, "not_applicable");
}

/** Name of the first failure, as errno(3) has it; a SYN without an answer is ETIMEDOUT, as the kernel would end it. */
function firstErrno(attempts: readonly Attempt[]): string | undefined {
  for (const { dialled, broken } of attempts) {
    if (dialled.kind === "error") return dialled.errno;
    if (dialled.kind === "timeout") return "ETIMEDOUT";
    if (broken !== null) return broken;
  }
  return undefined;
}

/** The figures to show: of the connection that carried data, else of the fastest handshake. */
export function subjectOf({ attempts, sending }: TcpReading): TcpInfo | undefined {
  const last = sending?.samples.at(-1)?.info;
  if (last !== undefined) return last;
  const read = attempts.flatMap(({ dialled, info }) => (dialled.kind === "connected" && info !== null ? [info] : []));
  return read.sort((a, b) => (a.min_rtt_ms ?? Number.POSITIVE_INFINITY) - (b.min_rtt_ms ?? Number.POSITIVE_INFINITY))[0];
}

/**
 * The least round trip, ms. Once a segment was lost the kernel also times by the peer's time stamps (RFC 7323), which are cut to
 * whole milliseconds: such a figure counts only where it is lower by more than that cut.
 */
export function leastRoundTrip(rtts: readonly (number | null)[]): number | null {
  const times = rtts.filter((rtt) => rtt !== null);
  const fine = times.filter((rtt) => !Number.isInteger(rtt));
  if (fine.length === 0) return times.length === 0 ? null : Math.min(...times);
  const least = Math.min(...fine);
  return round3(Math.min(least, ...times.filter((rtt) => rtt < least - 1)));
}

function setKernel(sheet: MetricSheet, reading: TcpReading): void {
  setSyns(sheet, reading);
  const info = subjectOf(reading);
  if (info === undefined) return;
  const seen = [...reading.attempts.flatMap((attempt) => (attempt.dialled.kind === "connected" ? [attempt.info] : [])), info];
  const plain: [MetricName, number | string | null][] = [
    ["tcp_min_rtt_ms", leastRoundTrip(seen.map((each) => each?.min_rtt_ms ?? null))],
    ["tcp_srtt_ms", info.rtt_ms],
    ["tcp_rttvar_ms", info.rttvar_ms],
    ["tcp_rto_ms", info.rto_ms],
    ["tcp_mss", info.mss],
    ["tcp_pmtu", info.pmtu],
    ["tcp_cwnd_last", info.cwnd],
    ["tcp_cc", info.cc],
    // A window of zero is not printed; a kernel that tells the window has told it before.
    ["tcp_snd_wnd", info.snd_wnd ?? (seen.some((each) => each?.snd_wnd) ? 0 : null)],
    ["tcp_rcv_space", info.rcv_space],
  ];
  for (const [name, value] of plain) sheet.set(name, value, "unsupported");
  const windows = [info, ...(reading.sending?.samples.map((sample) => sample.info) ?? [])].map((each) => each.cwnd ?? 0);
  sheet.set("tcp_cwnd_max", Math.max(...windows) || null, "unsupported");
  // ss leaves the threshold out while there was no loss yet.
  sheet.set("tcp_ssthresh", info.ssthresh, "not_applicable");
  sheet.set("tcp_ecn", info.ecn, "unsupported");
  sheet.set("tcp_wscale", info.wscale !== null, "unsupported");
  setSending(sheet, reading);
}

/**
 * Retransmitted SYNs of the connects the kernel still knew when it was asked: established ones and those without an answer, not
 * refused ones. A connection that sent nothing has retransmitted nothing else.
 */
function setSyns(sheet: MetricSheet, { attempts, sending, sender }: TcpReading): void {
  const read = attempts.flatMap(({ info }) => (info === null ? [] : [info]));
  if (read.length === 0) return;
  const syns = read.reduce((sum, info) => sum + (info.retrans_total ?? 0), 0);
  sheet.set("tcp_syn_retrans", syns, "unsupported");
  const last = sending?.samples.at(-1)?.info;
  const data = last === undefined ? 0 : Math.max(0, (last.retrans_total ?? 0) - (sender?.info?.retrans_total ?? 0));
  sheet.set("tcp_retrans_segs", syns + data, "unsupported");
}

/** Names that only a connection which carried data has. */
const SENDING: readonly MetricName[] = [
  "tcp_delivery_rate_bps",
  "tcp_retrans_pct",
  "tcp_lost",
  "tcp_dsack_dups",
  "tcp_reordering_seen",
  "tcp_busy_pct",
  "tcp_rwnd_limited_pct",
  "tcp_sndbuf_limited_pct",
  "tcp_limited_by",
];

function setSending(sheet: MetricSheet, { sending, sender }: TcpReading): void {
  const info = sending?.samples.at(-1)?.info;
  if (sending === undefined || info === undefined) {
    sheet.fill(SENDING, sending === undefined ? "not_applicable" : "unsupported");
    return;
  }
  sheet.set("tcp_delivery_rate_bps", info.delivery_rate_bps, "too_few_samples");
  const data = Math.max(0, (info.retrans_total ?? 0) - (sender?.info?.retrans_total ?? 0));
  const share = info.data_segs_out === null || info.data_segs_out === 0 ? null : round3((100 * data) / info.data_segs_out);
  sheet.set("tcp_retrans_pct", share, "unsupported");
  // ss prints bytes_sent since it knows these counters, and leaves those out that are zero.
  const counted = (value: number | null) => (info.bytes_sent === null ? value : (value ?? 0));
  sheet.set("tcp_lost", counted(Math.max(...sending.samples.map((sample) => sample.info.lost ?? 0))), "unsupported");
  sheet.set("tcp_dsack_dups", counted(info.dsack_dups), "unsupported");
  sheet.set("tcp_reordering_seen", counted(info.reord_seen), "unsupported");
  setLimits(sheet, info, sending.took_ms);
}

function setLimits(sheet: MetricSheet, info: TcpInfo, took_ms: number): void {
  const { busy_ms } = info;
  const few: Reason = "too_few_samples";
  const share = (part: number | null, whole: number | null) =>
    part === null || whole === null || whole <= 0 ? null : round3(Math.min(100, (100 * part) / whole));
  sheet.set("tcp_busy_pct", share(busy_ms, took_ms), few);
  sheet.set("tcp_rwnd_limited_pct", share(info.rwnd_limited_ms ?? 0, busy_ms), few);
  sheet.set("tcp_sndbuf_limited_pct", share(info.sndbuf_limited_ms ?? 0, busy_ms), few);
  sheet.set("tcp_limited_by", limitedBy(info, took_ms), few);
}
