// What is told of a phase that is over. Pure.
import type { Failure } from "../probes/endpoint.ts";
import { mean } from "../statistics.ts";
import type { Handshake } from "./handshakes.ts";
import { countedSlices, rampOf, rateOf, SLICE_MS } from "./slices.ts";
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
  /** From the first byte, where there was one, to the end of the load. */
  readonly began: number | undefined;
  readonly over: number;
  readonly handshakes: readonly Handshake[];
  readonly web: readonly WebProbe[];
  /** Of the connections' kernel figures: congestion control, and segments sent again. */
  readonly cc: string | undefined;
  readonly retrans: number | undefined;
}

export interface PhaseReport extends Omit<PhaseSeen, "began" | "over"> {
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

/** The rate of the slices that count, and the probes that were begun while the line was full. */
export function phaseReport(seen: PhaseSeen, warm: number, trouble: (rated: boolean) => Failure | undefined): PhaseReport {
  const { slices, ended, began, over, handshakes, web } = seen;
  const counted = countedSlices(slices, warm, ended === "steady" || ended === "budget" ? ended : "other");
  const mbps = rateOf(counted);
  const since = loadedSince(began ?? over, warm);
  const full = ({ at }: { at: number }) => at >= since && at <= over;
  const { began: _began, over: _over, ...kept } = seen;
  return {
    ...kept,
    handshakes: handshakes.filter(full),
    web: web.filter(full),
    warm: slices.length - counted.length,
    mbps,
    mean_mbps: mean(counted),
    ramp_ms: mbps === undefined ? undefined : rampOf(slices, mbps),
    duration_ms: began === undefined ? 0 : over - began,
    trouble: trouble(mbps !== undefined),
  };
}
