// From a STAMP stream to the udp metrics. Pure.
import { type MetricName, metricsOf, type Reason } from "#contract/metrics";
import type { SyncState } from "../parsers/clock-sync.ts";
import type { StampPacket, StampRun } from "../stamp/sender.ts";
import * as stamp from "../stamp/statistics.ts";
import * as statistics from "../statistics.ts";
import { MetricSheet } from "./probe.ts";

const { round3 } = statistics;
const { p95: P95_MIN, p99: P99_MIN } = statistics.PERCENTILE_MIN;

/** A run whose packets left later than this is void: its stream was not the one asked for, ms. */
export const LATE_MOST_MS = 10;
/** A direction's share of loss is given as long as no more than this share of the packets has no known direction. */
const UNATTRIBUTED_MOST = 0.01;
/** A one-way delay is worth telling when both clocks together err by less than this share of the round trip. */
const OWD_ERROR_MOST = 0.1;

export interface UdpReading {
  readonly run: StampRun;
  /** Milliseconds. */
  readonly interval: number;
  readonly port: number;
  readonly family: 4 | 6;
  /** What this host knows about its own clock. */
  readonly clock: SyncState | null;
  /** Why there are no times when nothing answered. */
  readonly silence: Reason;
}

const rounded = (value: number | undefined): number | undefined => (value === undefined ? undefined : round3(value));

/** Packets whose fate is known: a run that was cut short leaves some without one. */
export const decided = (packets: readonly StampPacket[]): StampPacket[] => packets.filter(({ fate }) => fate !== "undecided");

/** Why there are no times: answers came without usable ones, or none came in time. */
const timeless = (packets: readonly StampPacket[], silence: Reason): Reason =>
  packets.some(({ fate }) => fate === "answered") ? "unsupported" : silence;

/** How late packets left, 95th percentile, ms; undefined for too few. */
export function lateness(packets: readonly StampPacket[]): number | undefined {
  const late = packets.map(({ late_ms }) => late_ms);
  return late.length < P95_MIN ? undefined : statistics.percentile(late, 95);
}

/** Whether this host was too busy to send the stream that was asked for. Nothing but silence is no doing of this host. */
export const isVoid = (packets: readonly StampPacket[]): boolean =>
  (lateness(packets) ?? 0) > LATE_MOST_MS && packets.some(({ answer }) => answer !== null);

/** Every udp metric of a run, value or null with its reason. */
export function udpMetrics(reading: UdpReading): MetricSheet {
  const { run, port, family, interval } = reading;
  const sheet = new MetricSheet();
  const packets = decided(run.packets);
  const received = packets.filter(({ fate }) => fate === "answered").length;
  sheet.set("udp_sent", packets.length, "not_applicable");
  sheet.set("udp_received", received, "not_applicable");
  sheet.set("udp_send_late_p95_ms", rounded(lateness(packets)), "too_few_samples");
  sheet.set("udp_duration_s", round3(((run.packets.length - 1) * interval) / 1000), "not_applicable");
  sheet.set("udp_size", run.packet_bytes, "not_applicable");
  sheet.set("udp_port", port, "not_applicable");
  sheet.set("udp_family", family, "not_applicable");
  sheet.set(
    "udp_invalid",
    Object.values(run.rejected).reduce((sum, count) => sum + count, 0),
    "not_applicable",
  );
  setReflector(sheet, reading);
  if (isVoid(packets)) {
    sheet.fill(metricsOf("udp"), "host_overloaded");
    return sheet;
  }
  setLoss(sheet, packets, received);
  setDirections(sheet, reading, packets);
  setBursts(sheet, packets);
  setRepeats(sheet, reading, packets);
  setRoundTrips(sheet, packets, reading.silence);
  setVariation(sheet, packets, reading.silence);
  setClocks(sheet, reading, packets);
  return sheet;
}

function setReflector(sheet: MetricSheet, { run, silence }: UdpReading): void {
  const { numbering } = run.loss;
  const stateful = numbering === null || numbering === "unusable" ? undefined : numbering !== "stateless";
  sheet.set("udp_reflector_stateful", stateful, numbering === null ? silence : "unsupported");
}

function setLoss(sheet: MetricSheet, packets: readonly StampPacket[], received: number): void {
  const sent = packets.length;
  const interval = statistics.wilsonInterval(sent - received, sent);
  sheet.set("udp_loss_pct", sent > 0 ? round3((100 * (sent - received)) / sent) : undefined, "too_few_samples");
  sheet.set("udp_loss_ci_low", rounded(interval?.low), "too_few_samples");
  sheet.set("udp_loss_ci_high", rounded(interval?.high), "too_few_samples");
  sheet.set("udp_late", packets.filter(({ fate }) => fate === "late").length, "not_applicable");
}

/**
 * Loss by direction: counts only where every lost packet has one; shares, of the packets whose direction is known, as long as
 * hardly any has none. What was sent down is what arrived up.
 */
function setDirections(sheet: MetricSheet, { run, silence }: UdpReading, packets: readonly StampPacket[]): void {
  const { numbering, up, down, unattributed } = run.loss;
  const reason: Reason = numbering === null ? silence : up === null ? "unsupported" : "timeout";
  const share = (lost: number | null, of: number) =>
    lost === null || of <= 0 || unattributed > UNATTRIBUTED_MOST * packets.length ? undefined : round3((100 * lost) / of);
  const exact = unattributed === 0;
  const known = packets.length - unattributed;
  sheet.set("udp_lost_unattributed", unattributed, "not_applicable");
  sheet.set("udp_lost_up", exact ? up : undefined, reason);
  sheet.set("udp_lost_down", exact ? down : undefined, reason);
  sheet.set("udp_loss_up_pct", share(up, known), reason);
  sheet.set("udp_loss_down_pct", share(down, known - (up ?? 0)), reason);
}

function setBursts(sheet: MetricSheet, packets: readonly StampPacket[]): void {
  const arrived = packets.map(({ fate }) => fate === "answered");
  const bursts = statistics.lossBursts(arrived);
  sheet.set("udp_loss_burst_max", Math.max(0, ...bursts), "not_applicable");
  sheet.set("udp_loss_burst_mean", rounded(statistics.mean(bursts)), "not_applicable");
  sheet.set("udp_loss_runs", bursts.length, "not_applicable");
  sheet.set("udp_burst_ratio", rounded(statistics.burstRatio(arrived)), "not_applicable");
  sheet.set("udp_gap_density", rounded(stamp.gapDensity(arrived)), "not_applicable");
}

function setRepeats(sheet: MetricSheet, { run, silence }: UdpReading, packets: readonly StampPacket[]): void {
  const { numbering } = run.loss;
  const { up, down } = run.duplicates;
  const counts = numbering === "session" || numbering === "shared";
  const reason: Reason = numbering === null ? silence : "unsupported";
  const late = (way: stamp.Way | "both") => statistics.reordered(stamp.arrivalOrder(packets, way));
  const some = numbering !== null;
  sheet.set("udp_dup", some ? up + down : undefined, reason);
  sheet.set("udp_dup_up", counts ? up : undefined, reason);
  sheet.set("udp_dup_down", counts ? down : undefined, reason);
  sheet.set("udp_reordered", some ? late("both") : undefined, reason);
  sheet.set("udp_reordered_up", counts ? late("up") : undefined, reason);
  sheet.set("udp_reordered_down", counts ? late("down") : undefined, reason);
  const extent = stamp.reorderExtent(stamp.arrivalOrder(packets, "both"));
  sheet.set("udp_reorder_extent", some ? extent : undefined, reason);
}

function setRoundTrips(sheet: MetricSheet, packets: readonly StampPacket[], silence: Reason): void {
  const times = stamp.roundTrips(packets).filter((rtt) => rtt !== null);
  const none = timeless(packets, silence);
  const few: Reason = times.length === 0 ? none : "too_few_samples";
  const at = (percent: number, least: number) =>
    times.length < least ? undefined : rounded(statistics.percentile(times, percent));
  sheet.set("udp_rtt_min", times.length > 0 ? round3(Math.min(...times)) : undefined, none);
  sheet.set("udp_rtt_median", rounded(statistics.median(times)), none);
  sheet.set("udp_rtt_mean", rounded(statistics.mean(times)), none);
  sheet.set("udp_rtt_max", times.length > 0 ? round3(Math.max(...times)) : undefined, none);
  sheet.set("udp_rtt_p95", at(95, P95_MIN), few);
  sheet.set("udp_rtt_p99", at(99, P99_MIN), few);
  sheet.set("udp_rtt_stddev", times.length < 2 ? undefined : rounded(statistics.standardDeviation(times)), few);
}

const VARIATION: Record<stamp.Way, readonly [jitter: MetricName, ipdv: MetricName, pdv: MetricName]> = {
  up: ["udp_jitter_rfc3550_up", "udp_ipdv_mean_up", "udp_pdv_p95_up"],
  down: ["udp_jitter_rfc3550_down", "udp_ipdv_mean_down", "udp_pdv_p95_down"],
};

function setVariation(sheet: MetricSheet, packets: readonly StampPacket[], silence: Reason): void {
  const some = stamp.roundTrips(packets).some((rtt) => rtt !== null);
  const steady = stamp.isSteady(packets);
  const reason: Reason = !some ? timeless(packets, silence) : steady ? "too_few_samples" : "unsupported";
  for (const way of ["up", "down"] as const) {
    const [jitter, ipdv, pdv] = VARIATION[way];
    const found = steady ? stamp.variation(packets, way) : undefined;
    sheet.set(jitter, rounded(found?.jitter), reason);
    sheet.set(ipdv, rounded(found?.ipdv_mean), reason);
    sheet.set(pdv, rounded(found?.pdv_p95), reason);
  }
}

const OWD: readonly MetricName[] = ["udp_owd_up_ms", "udp_owd_down_ms", "udp_owd_err_ms"];

function setClocks(sheet: MetricSheet, { run, clock, silence }: UdpReading, packets: readonly StampPacket[]): void {
  const { reflector } = run;
  const steady = stamp.isSteady(packets);
  // Truncated PTP timestamps (RFC 8186) may count another time scale than UTC.
  const comparable = steady && reflector?.ptp !== true;
  const offset = comparable ? stamp.clockOffset(packets, Math.abs(run.stepped_ms) + run.aligned_ms) : undefined;
  const reason = timeless(packets, silence);
  const synced = reflector === null ? undefined : reflector.synchronised && clock !== null;
  sheet.set("clock_offset_est_ms", rounded(offset?.estimate), reason);
  sheet.set("clock_offset_err_ms", rounded(offset?.error), reason);
  sheet.set("udp_clock_synced", synced, reason);
  const error = synced === true && clock !== null ? owdError(clock.error_ms, reflector?.error_ms ?? null) : undefined;
  const rtt = statistics.median(stamp.roundTrips(packets).filter((each) => each !== null));
  // Clocks that contradict what they say of themselves are not as good as they say.
  const kept = offset !== undefined && error !== undefined && Math.abs(offset.estimate) <= offset.error + error;
  if (!kept || error === undefined || rtt === undefined || error >= OWD_ERROR_MOST * rtt) {
    sheet.fill(OWD, reason);
    return;
  }
  const median = (way: stamp.Way) => statistics.median(stamp.transits(packets, way).filter((each) => each !== null));
  sheet.set("udp_owd_up_ms", rounded(median("up")), "too_few_samples");
  sheet.set("udp_owd_down_ms", rounded(median("down")), "too_few_samples");
  sheet.set("udp_owd_err_ms", rounded(error), "too_few_samples");
}

const owdError = (ours: number, theirs: number | null): number | undefined => (theirs === null ? undefined : ours + theirs);
