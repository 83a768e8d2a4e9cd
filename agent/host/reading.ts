// What a look at the host yields on any operating system.
import type { HostDetail } from "#contract/host-detail";
import type { MetricSheet } from "../probes/probe.ts";
import { round3 } from "../statistics.ts";

export interface HostReading {
  readonly sheet: MetricSheet;
  /** Per mount, interface, disk and so on. */
  readonly detail: HostDetail;
}

/** Keeps the counters of the last look, so that the next one can tell rates. */
export interface HostReader {
  read(): Promise<HostReading>;
}

/** To three digits, where there is something to round. */
export const rounded = (value: number | undefined): number | undefined => (value === undefined ? undefined : round3(value));
