import type { z } from "zod";
import type { MetricName } from "../metrics.ts";
import type { FieldError } from "../problem.ts";

/**
 * A test type: what it takes, what it may yield. Adding one is a file beside this, one line in index.ts,
 * a probe in agent/probes with its line there, and (if the default panel does not fit) a panel in web/panels.
 */
export interface TestType<Name extends string = string, Params extends z.ZodObject = z.ZodObject> {
  readonly type: Name;
  readonly label: string;
  /** One sentence for people choosing a test. */
  readonly summary: string;
  /** Every parameter with its default; `packet_size` is asked beside the others in the web API. */
  readonly params: Params;
  readonly metrics: readonly MetricName[];
  /** Shown first: in tables, headlines and default charts. The first is the latency-like one. */
  readonly headline: readonly MetricName[];
  readonly default_interval_s: number;
  /** Rules that need destination and parameters together. `interval_s` is absent for a single run. */
  check(destination: string, params: z.output<Params>, interval_s?: number): FieldError[];
  /** Longest time one run may take, milliseconds. */
  deadline_ms(params: z.output<Params>): number;
}

export function defineTestType<const Name extends string, Params extends z.ZodObject>(
  definition: TestType<Name, Params>,
): TestType<Name, Params> {
  return definition;
}
