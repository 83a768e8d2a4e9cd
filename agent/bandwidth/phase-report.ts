// What is told of a phase that is over. Pure.
import type { Failure } from "../probes/endpoint.ts";
import { mean } from "../statistics.ts";
import type { Handshake } from "./handshakes.ts";
import { countedSlices, rampOf, rateOf, SLICE_MS, settledHalf } from "./slices.ts";
import type { CountSource } from "./upload-curves.ts";
import type { WebProbe } from "./web-probes.ts";

export type PhaseEnd = "steady" | "time" | "budget" | "broken" | "stopped";

/** What a phase has seen; moments are monotonic ms. */
export interface PhaseSeen {
  readonly direction: "down" | "up";
  readonly streams: number;
  /** Connections on which bytes moved. */
  readonly loaded: number;
  readonly ended: PhaseEnd;
  readonly by: CountSource;
  /** Mbit/s of each slice from the first byte on. */
  readonly slices: readonly number[];
  /** Of a phase that its byte budget ended, finer ones. */
  readonly fine: readonly number[];
  /** From the first byte, where there was one, to the end of the load. */
  readonly began: number | undefined;
  readonly over: number;
  readonly handshakes: readonly Handshake[];
  readonly web: readonly WebProbe[];
  /** Of the connections' kernel figures: congestion control, and segments sent again. */
  readonly cc: string | undefined;
  readonly retrans: number | undefined;
}

export interface PhaseReport extends Omit<PhaseSeen, "began" | "over" | "fine"> {
  /** Whether the rate is told from less than a second. */
  readonly short: boolean;
  /** Slices at the start that did not count. */
  readonly warm: number;
  readonly mbps: number | undefined;
  readonly mean_mbps: number | undefined;
  readonly ramp_ms: number | undefined;
  readonly duration_ms: number;
  readonly trouble: Failure | undefined;
}

/** When the line counts as full: from the middle of the warm-up of so many slices on. */
export const loadedSince = (began: number, warm: number): number => began + (warm * SLICE_MS) / 2;

/** How a phase's slices are read. */
export interface Reading {
  /** Slices of the warm-up as it was asked for, and as short as the byte budget had it. */
  readonly warm_up: number;
  readonly warm: number;
  /** The round trip of the idle line, ms. */
  readonly rtt_ms: number;
  trouble(rated: boolean): Failure | undefined;
}

/** The rate of the slices that count, and the probes that were begun while the line was full. */
export function phaseReport(seen: PhaseSeen, { warm_up, warm, rtt_ms, trouble }: Reading): PhaseReport {
  const { slices, fine, ended, began, over, handshakes, web } = seen;
  const whole = ended === "steady" ? countedSlices(slices, warm, ended) : countedSlices(slices, warm_up, ended);
  const counted = whole.length > 0 ? whole : settledHalf(fine, rtt_ms);
  const mbps = rateOf(counted);
  const since = loadedSince(began ?? over, warm);
  const full = ({ at }: { at: number }) => at >= since && at <= over;
  const { began: _began, over: _over, fine: _fine, ...kept } = seen;
  return {
    ...kept,
    handshakes: handshakes.filter(full),
    web: web.filter(full),
    short: whole.length === 0 && mbps !== undefined,
    warm: slices.length - whole.length,
    mbps,
    mean_mbps: mbps === undefined ? undefined : mean(counted),
    ramp_ms: mbps === undefined ? undefined : rampOf(slices, mbps),
    duration_ms: began === undefined ? 0 : over - began,
    trouble: trouble(mbps !== undefined),
  };
}
