// From what a bandwidth run saw to its metrics and its detail. Pure.
import { type MetricName, metricsOf, type Reason } from "#contract/metrics";
import type { BandwidthParams } from "#contract/test-types/bandwidth";
import type { Handshake } from "../bandwidth/handshakes.ts";
import type { Idle } from "../bandwidth/idle.ts";
import type { PhaseReport } from "../bandwidth/phase-report.ts";
import { gradeOf, responsiveness } from "../bandwidth/responsiveness.ts";
import { median, PERCENTILE_MIN, percentile, round3 } from "../statistics.ts";
import type { Failure, Peer } from "./endpoint.ts";
import { MetricSheet } from "./probe.ts";

/** From this on the process itself was too busy to measure, ms (the event loop's delay, 99th percentile). */
const LOOP_LATE_MS = 50;
/** Round trips kept in the detail for each direction. */
const SAMPLES_KEPT = 160;

export interface BandwidthReading {
  readonly params: BandwidthParams;
  readonly peer: Peer;
  readonly idle: Idle;
  readonly phases: readonly PhaseReport[];
  /** The phases the run was to have. */
  readonly planned: readonly { readonly direction: "down" | "up"; readonly streams: number }[];
  readonly bytes: number;
  /** Bytes the run might use. */
  readonly granted: number;
  readonly took_ms: number;
  readonly loop_p99_ms: number | undefined;
  /** Why the kernel's figures could not be read. */
  readonly kernel_missing: Reason | undefined;
  /** Stopped from outside; out of time. */
  readonly stopped: boolean;
  readonly late: boolean;
  readonly failure: Failure | undefined;
}

type Direction = "down" | "up";
const DIRECTIONS: readonly Direction[] = ["down", "up"];

const times = (handshakes: readonly Handshake[]): number[] => handshakes.flatMap(({ rtt_ms }) => rtt_ms ?? []);

/** A direction's first phase, with as many connections as were asked for, and the one with a single connection. */
function phaseOf({ phases, params }: BandwidthReading, direction: Direction, which: "many" | "single"): PhaseReport | undefined {
  const streams = which === "many" ? params.streams : 1;
  return phases.find((phase) => phase.direction === direction && phase.streams === streams);
}

/** Why a phase's figures are missing. */
function absence(reading: BandwidthReading, direction: Direction, phase: PhaseReport | undefined): Reason {
  if (!reading.planned.some((each) => each.direction === direction)) return "not_applicable";
  if (phase?.trouble !== undefined) return phase.trouble.reason;
  if (phase !== undefined) return "too_few_samples";
  const other = reading.phases.find((each) => each.direction === direction && each.trouble !== undefined);
  return other?.trouble?.reason ?? reading.failure?.reason ?? "timeout";
}

/** Every bandwidth metric of a run, value or null with its reason. `left` is what is left of the month's bytes. */
export function bandwidthMetrics(reading: BandwidthReading, left: number | undefined): MetricSheet {
  const sheet = new MetricSheet();
  const { phases, params, failure } = reading;
  const none = failure?.reason ?? "timeout";
  for (const direction of DIRECTIONS) {
    setRates(sheet, reading, direction);
    setLatency(sheet, reading, direction);
  }
  setBloat(sheet, reading, none);
  setLoss(sheet, phases, none);
  const measured = phases.filter(({ mbps }) => mbps !== undefined);
  const many = phases.find(({ streams }) => streams === params.streams);
  const up = phases.find(({ direction, retrans }) => direction === "up" && retrans !== undefined);
  const ramp = phaseOf(reading, "down", "many");
  sheet.set("bw_bytes", reading.bytes, none);
  sheet.set("bw_budget_left_bytes", left, "not_applicable");
  sheet.set("bw_duration_ms", phases.length === 0 ? undefined : round3(sum(phases.map((phase) => phase.duration_ms))), none);
  sheet.set("bw_streams", many?.loaded, none);
  sheet.set("bw_ramp_ms", ramp?.ramp_ms, absence(reading, "down", ramp));
  sheet.set("bw_limited_by", measured.length === 0 ? undefined : limitedBy(reading), none);
  sheet.set("bw_early_stop", measured.length === 0 ? undefined : measured.some(({ ended }) => ended === "steady"), none);
  sheet.set("bw_tcp_cc", phases.find(({ cc }) => cc !== undefined)?.cc, reading.kernel_missing ?? none);
  sheet.set("bw_retrans", up?.retrans, reading.kernel_missing ?? absence(reading, "up", phaseOf(reading, "up", "many")));
  sheet.fill(metricsOf("bandwidth"), none);
  return sheet;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const rounded = (value: number | undefined): number | undefined => (value === undefined ? undefined : round3(value));

function setRates(sheet: MetricSheet, reading: BandwidthReading, direction: Direction): void {
  const many = phaseOf(reading, direction, "many");
  const single = phaseOf(reading, direction, "single");
  const absent = absence(reading, direction, many);
  sheet.set(`bw_${direction}_mbps`, rounded(many?.mbps), absent);
  sheet.set(`bw_${direction}_mean_mbps`, rounded(many?.mean_mbps), absent);
  const asked = reading.params.single || reading.params.streams === 1;
  sheet.set(`bw_single_${direction}_mbps`, rounded(single?.mbps), asked ? absence(reading, direction, single) : "not_applicable");
}

function setLatency(sheet: MetricSheet, reading: BandwidthReading, direction: Direction): void {
  const phase = phaseOf(reading, direction, "many");
  const absent = absence(reading, direction, phase);
  const loaded = times(phase?.handshakes ?? []);
  const few = loaded.length === 0 ? absent : "too_few_samples";
  const p95 = loaded.length >= PERCENTILE_MIN.p95 ? percentile(loaded, 95) : undefined;
  sheet.set(`rtt_loaded_${direction}_p50`, rounded(median(loaded)), absent);
  sheet.set(`rtt_loaded_${direction}_p95`, rounded(p95), few);
  const idle = reading.idle.rtt_ms;
  // Handshakes are noisy by fractions of a millisecond: less than none is none.
  const bloat = p95 === undefined || idle === undefined ? undefined : Math.max(0, p95 - idle);
  sheet.set(`bloat_${direction}_ms`, rounded(bloat), few);
  sheet.set(`rpm_${direction}`, rounded(rpmOf(phase)?.rpm), few);
}

/** Round trips per minute of a phase, and what they were taken from. */
function rpmOf(phase: PhaseReport | undefined): { rpm: number; parts: string[] } | undefined {
  if (phase === undefined) return undefined;
  const { web } = phase;
  return responsiveness({
    tcp: times(phase.handshakes),
    tls: web.flatMap(({ tls_ms }) => tls_ms ?? []),
    http: web.map(({ http_ms }) => http_ms),
  });
}

function setBloat(sheet: MetricSheet, { idle }: BandwidthReading, none: Reason): void {
  const names: readonly MetricName[] = ["bloat_down_ms", "bloat_up_ms"];
  const known = names.flatMap((name) => {
    const value = sheet.metrics[name];
    return typeof value === "number" ? [value] : [];
  });
  const why = names.map((name) => sheet.reasons[name]).find((reason) => reason !== undefined && reason !== "not_applicable");
  sheet.set("rtt_idle_ms", rounded(idle.rtt_ms), none);
  sheet.set("bloat_grade", known.length === 0 ? undefined : gradeOf(Math.max(...known)), why ?? none);
}

function setLoss(sheet: MetricSheet, phases: readonly PhaseReport[], none: Reason): void {
  const all = phases.flatMap(({ handshakes }) => handshakes);
  const lost = all.filter(({ rtt_ms }) => rtt_ms === null).length;
  const enough = all.length >= PERCENTILE_MIN.p95;
  const few: Reason = all.length === 0 ? none : "too_few_samples";
  sheet.set("bw_loss_under_load_pct", enough ? round3((100 * lost) / all.length) : undefined, few);
}

/** This host, when its event loop was late; the byte budget, when it ended a phase with many connections; else the network. */
function limitedBy({ loop_p99_ms, phases, params }: BandwidthReading): "host" | "budget" | "network" {
  if ((loop_p99_ms ?? 0) > LOOP_LATE_MS) return "host";
  const cut = phases.some(({ ended, streams }) => ended === "budget" && streams === params.streams);
  return cut ? "budget" : "network";
}

const tenth = (value: number): number => Math.round(value * 10) / 10;
const hundredth = (value: number): number => Math.round(value * 100) / 100;

/** Slices, loaded round trips and conditions, small enough to be stored with every result. */
export function bandwidthDetail(reading: BandwidthReading): Record<string, unknown> {
  const { peer, idle, phases, loop_p99_ms, kernel_missing } = reading;
  return {
    port: peer.port,
    interface_before:
      idle.traffic === undefined
        ? null
        : {
            interface: idle.traffic.interface,
            down_mbps: round3(idle.traffic.down_mbps),
            up_mbps: round3(idle.traffic.up_mbps),
          },
    idle_connects: idle.handshakes.length,
    kernel_figures: kernel_missing ?? "ss",
    loop_delay_p99_ms: loop_p99_ms === undefined ? null : round3(loop_p99_ms),
    phases: phases.map((phase) => ({
      direction: phase.direction,
      connections: phase.streams,
      loaded: phase.loaded,
      ended: phase.ended,
      counted_by: phase.by,
      slice_ms: 250,
      warm_up_slices: phase.warm,
      slices_mbps: phase.slices.map((slice) => (slice < 100 ? hundredth(slice) : tenth(slice))),
      ...(phase.handshakes.length === 0 ? {} : { loaded_rtt_ms: kept(phase), rpm_of: rpmOf(phase)?.parts ?? [] }),
      ...(phase.direction === "up" ? { retransmitted: phase.retrans ?? null } : {}),
      error: phase.trouble?.error.code ?? null,
    })),
  };
}

/** Round trips in the order they began, null for a handshake that lost a packet. */
const kept = ({ handshakes }: PhaseReport): (number | null)[] =>
  [...handshakes]
    .sort((a, b) => a.at - b.at)
    .slice(-SAMPLES_KEPT)
    .map(({ rtt_ms }) => (rtt_ms === null ? null : hundredth(rtt_ms)));
