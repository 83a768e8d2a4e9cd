// What every probe is: parameters in, an outcome out, whatever happens.
import type { MetricName, MetricValue, Reason } from "#contract/metrics";
import type { Measurement, Metrics, Reasons, ResultError, Status } from "#contract/result";
import { type ParamsOf, TEST_TYPES, type TestTypeName } from "#contract/test-types/index";
import type { Budget } from "../budget.ts";
import type { SessionKey } from "../peer.ts";
import type { Row } from "../rows.ts";

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

/** The agent's own server, for what is measured against it. */
export interface EdgeAccess {
  /** Origin and path prefix without a trailing slash. */
  readonly server: string;
  /** This client's token. */
  readonly token: string;
}

/** What surrounds one run. */
export interface RunContext {
  /** The run's time; `budget.signal` aborts at the deadline and when the run is stopped. */
  readonly budget: Budget;
  /** Names the test, so that a probe may compare with its last run; absent for a single run. */
  readonly series: string | undefined;
  /** Whether somebody watches; rows need not be made when nobody does. */
  readonly watched: boolean;
  /** Shows a row of what is being measured to whoever watches. */
  show(row: Row): void;
  /** Tells whoever watches how much is done, 0 to 1, and what is being measured just now. Not more often than 4 times a second. */
  progress(fraction: number, note: string): void;
  /** The key that the destination's reflector answers to; absent for other destinations. */
  readonly session: SessionKey | undefined;
  /** This agent's server; absent for a single run without one. */
  readonly edge: EdgeAccess | undefined;
  /** Why this host's owner forbids a further destination (a redirect's), or undefined. */
  objection(destination: string): string | undefined;
  /** What is timed begins now: what held this process up until here, as loading code does, distorts nothing. */
  measuring(): void;
}

/** Places a run takes among those of this host: tools running at once, sockets measuring at once. */
export interface Places {
  readonly tools?: number;
  readonly sockets?: number;
  /** Runs that send bursts along a path; few may do so at a time. */
  readonly path?: number;
  /** Runs that fill the line: one at a time. */
  readonly line?: number;
  /** Tools of such runs: they take many at once, and must not keep the single ones of other tests waiting. */
  readonly path_tools?: number;
}

export interface Probe<Type extends TestTypeName> {
  /** Fills in the parameters that depend on the test's interval. */
  plan?(params: ParamsOf<Type>, interval_s: number | undefined): ParamsOf<Type>;
  places(params: ParamsOf<Type>): Places;
  /**
   * Measures once. `destination` has passed the type's check. Ends by itself at the budget's deadline with what it has
   * measured until then; never throws for anything the network, a tool or a target does.
   */
  run(destination: string, params: ParamsOf<Type>, context: RunContext): Promise<Outcome>;
  /** The finished run as rows for a terminal; without it, every metric is listed. */
  view?(result: Measurement): readonly Row[];
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
