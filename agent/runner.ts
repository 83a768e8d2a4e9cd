// Runs one measurement: checks it, gives it a deadline and a place among at most eight, and turns every end into a result.
import { performance } from "node:perf_hooks";
import type { Measurement } from "#contract/result";
import { checkTest, isTestTypeName, type ParamsOf, type TestTypeName, testType } from "#contract/test-types/index";
import { PROBES } from "./probes/index.ts";
import { type Outcome, type Probe, unmeasured } from "./probes/probe.ts";
import { round3 } from "./statistics.ts";

/** Tools running at the same time: more would measure each other. */
const CONCURRENCY = 8;

export interface RunOrder {
  readonly type: string;
  readonly destination: string;
  readonly params: Record<string, unknown>;
  /** The test's interval, seconds; absent for a single run. */
  readonly interval_s?: number | undefined;
}

/** Why a run may not happen, or undefined. */
export type Veto = (order: RunOrder) => string | undefined;

/** A fixed number of places; everybody else waits in order. */
class Places {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async take(): Promise<() => void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let given = true;
    return () => {
      if (!given) return;
      given = false;
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    };
  }
}

const places = new Places(CONCURRENCY);

function refusal(type: string, code: "unsupported" | "invalid_instruction" | "skipped", message: string): Outcome {
  const error = { code, source: "agent", message: message.slice(0, 1000) } as const;
  if (isTestTypeName(type)) return unmeasured(type, error, code === "unsupported" ? "unsupported" : "not_applicable");
  return { address: null, status: "failed", error, metrics: {}, reasons: {}, detail: {}, flags: [] };
}

/** Runs the probe with its deadline; a probe that throws has failed, which is a result too. */
async function runProbe<Type extends TestTypeName>(
  type: Type,
  destination: string,
  params: ParamsOf<Type>,
  stop: AbortSignal,
): Promise<Outcome> {
  const probe: Probe<Type> = PROBES[type];
  try {
    // A deadline is a whole number of milliseconds; parameters are seconds and their sums are not.
    const deadline = AbortSignal.timeout(Math.ceil(testType(type).deadline_ms(params)));
    const outcome = await probe.run(destination, params, AbortSignal.any([stop, deadline]));
    if (outcome.error?.code !== "aborted" || stop.aborted) return outcome;
    return { ...outcome, error: { code: "deadline", source: "agent", message: "the run took longer than it may" } };
  } catch (error) {
    const message = `the ${type} probe broke: ${error instanceof Error ? error.message : String(error)}`;
    return unmeasured(type, { code: "internal", source: "agent", message }, "unsupported");
  }
}

async function decide(order: RunOrder, stop: AbortSignal, veto: Veto | undefined): Promise<Outcome> {
  if (!isTestTypeName(order.type)) {
    return refusal(order.type, "unsupported", `this agent knows no test type '${order.type}'; update it`);
  }
  const checked = checkTest(order.type, order.destination, order.params, order.interval_s);
  if (!checked.ok) {
    const words = checked.errors.map((error) => `${error.path} ${error.message}`).join("; ");
    return refusal(order.type, "invalid_instruction", words);
  }
  const objection = veto?.(order);
  if (objection !== undefined) return refusal(order.type, "skipped", objection);
  const type = order.type;
  // checkTest has parsed the parameters by this type's own schema.
  const params = PROBES[type].plan(checked.params as ParamsOf<typeof type>, order.interval_s);
  return runProbe(type, order.destination, params, stop);
}

/** One run from order to measurement. Never rejects; `stop` ends it early with code `aborted`. */
export async function runTest(order: RunOrder, stop: AbortSignal, veto?: Veto): Promise<Measurement> {
  const leave = await places.take();
  const started_at = Date.now();
  const start = performance.now();
  try {
    const outcome = await decide(order, stop, veto);
    return {
      type: order.type.slice(0, 32),
      destination: order.destination,
      address: outcome.address,
      started_at,
      duration_ms: round3(performance.now() - start),
      status: outcome.status,
      error: outcome.error,
      metrics: outcome.metrics,
      reasons: outcome.reasons,
      detail: outcome.detail,
      flags: [...outcome.flags],
    };
  } finally {
    leave();
  }
}
