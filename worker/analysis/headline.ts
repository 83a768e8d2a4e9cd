// A client's line in the fleet table, from its newest results and host sample. Pure.
import { LIMITS } from "#contract/limits";
import { type MetricName, type MetricValue, metricDefinition } from "#contract/metrics";
import { type HostSample, isUnmeasured, type WireResult } from "#contract/result";
import { isTestTypeName, TEST_TYPE_NAMES, testType } from "#contract/test-types/index";

const HOST_HEADLINES: readonly MetricName[] = ["cpu_percent", "memory_percent", "fs_used_pct"];
/** For these the fleet shows the worst of a client's tests: the time each type leads with, and loss. */
const WORST_OF: readonly MetricName[] = [
  ...TEST_TYPE_NAMES.flatMap((type) => testType(type).headline.slice(0, 1)).filter(
    (name) => metricDefinition(name).unit === "ms",
  ),
  "ping_loss_pct",
];

/** A test that found its target dead, or could not measure it for a reason that lies neither with its host nor its owner. */
export function isFailing(result: Pick<WireResult, "status" | "error">): boolean {
  return result.status === "failed" && !isUnmeasured(result);
}

/** Headline values; a metric nobody measured is absent, one that could not be measured is null. */
export function headline(latest: readonly WireResult[], host: HostSample | null): Record<string, MetricValue> {
  const line: Record<string, MetricValue> = {};
  for (const name of WORST_OF) {
    const values = latest.flatMap((result) => (name in result.metrics ? [result.metrics[name] ?? null] : []));
    if (values.length === 0) continue;
    const numbers = values.filter((value) => typeof value === "number");
    line[name] = numbers.length > 0 ? Math.max(...numbers) : null;
  }
  for (const name of HOST_HEADLINES) {
    const value = host?.metrics[name];
    if (value !== undefined) line[name] = value;
  }
  return line;
}

/** What a test's sparkline shows: the first headline of its type, milliseconds for all but the path MTU. */
function sparkMetric(result: Pick<WireResult, "type">): MetricName | undefined {
  return isTestTypeName(result.type) ? testType(result.type).headline[0] : undefined;
}

/** Values of one test with one more run, oldest first. A run without an answer is null; one not measured here leaves no trace. */
export function extendSpark(spark: readonly (number | null)[], result: WireResult): (number | null)[] {
  const metric = sparkMetric(result);
  if (metric === undefined || !(metric in result.metrics) || isUnmeasured(result)) return [...spark];
  const value = result.metrics[metric];
  return [...spark, typeof value === "number" ? value : null].slice(-LIMITS.sparkPoints);
}

/**
 * The sparkline of the test that the headline latency comes from: the slowest ping, or any when none answers.
 * A client without a ping shows its slowest other test.
 */
export function spark(latest: readonly WireResult[], sparks: Readonly<Record<string, (number | null)[]>>): (number | null)[] {
  const pinged = (result: WireResult) => ("ping_rtt_median" in result.metrics ? 1 : 0);
  const latency = (result: WireResult) => {
    const metric = sparkMetric(result);
    const value = metric === undefined ? null : result.metrics[metric];
    return typeof value === "number" ? value : -1;
  };
  const slowest = latest
    .filter((result) => result.test_id !== null && Object.hasOwn(sparks, result.test_id))
    .sort((a, b) => pinged(b) - pinged(a) || latency(b) - latency(a))[0];
  return slowest?.test_id == null ? [] : (sparks[slowest.test_id] ?? []);
}
