// What every probe is: parameters in, an outcome out, whatever happens.
import type { MetricName, MetricValue, Reason } from "#contract/metrics";
import type { Metrics, Reasons, ResultError, Status } from "#contract/result";
import { type ParamsOf, TEST_TYPES, type TestTypeName } from "#contract/test-types/index";

/** What one run found. Every metric of the type has a value, or null and a reason. */
export interface Outcome {
  readonly address: string | null;
  readonly status: Status;
  readonly error: ResultError | null;
  readonly metrics: Metrics;
  readonly reasons: Reasons;
  readonly detail: Record<string, unknown>;
  readonly flags: readonly string[];
}

export interface Probe<Type extends TestTypeName> {
  /** Fills in the parameters that depend on the test's interval. */
  plan(params: ParamsOf<Type>, interval_s: number | undefined): ParamsOf<Type>;
  /** Measures once. `destination` has passed the grammar. Ends soon after `signal` aborts. */
  run(destination: string, params: ParamsOf<Type>, signal: AbortSignal): Promise<Outcome>;
}

/** Collects values and the reasons of those that are missing. */
export class MetricSheet {
  readonly metrics: Metrics = {};
  readonly reasons: Reasons = {};

  /** Sets a metric; undefined or null becomes null with the reason. */
  set(name: MetricName, value: MetricValue | undefined, reason: Reason): void {
    if (value === undefined || value === null) {
      this.metrics[name] = null;
      this.reasons[name] = reason;
    } else {
      this.metrics[name] = value;
      delete this.reasons[name];
    }
  }

  /** Gives every one of these names that is not set yet null and the reason. */
  fill(names: readonly MetricName[], reason: Reason): void {
    for (const name of names) if (this.metrics[name] === undefined) this.set(name, null, reason);
  }
}

/** A run that measured nothing: every metric of the type is null for the same reason. */
export function unmeasured(
  type: TestTypeName,
  error: ResultError,
  reason: Reason,
  more: { address?: string | null; detail?: Record<string, unknown> } = {},
): Outcome {
  const sheet = new MetricSheet();
  sheet.fill(TEST_TYPES[type].metrics, reason);
  return {
    address: more.address ?? null,
    status: "failed",
    error: { ...error, message: error.message.slice(0, 1000) },
    metrics: sheet.metrics,
    reasons: sheet.reasons,
    detail: more.detail ?? {},
    flags: [],
  };
}
