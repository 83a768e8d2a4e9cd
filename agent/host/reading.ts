// What a look at the host yields on any operating system.
import type { MetricSheet } from "../probes/probe.ts";

export interface HostReading {
  readonly sheet: MetricSheet;
  /** Per mount, interface and disk. */
  readonly detail: Record<string, unknown>;
}

/** Keeps the counters of the last look, so that the next one can tell rates. */
export interface HostReader {
  read(): Promise<HostReading>;
}
