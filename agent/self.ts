// The agent's own health, in every host sample.
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { type MetricName, metricsOf } from "#contract/metrics";
import type { Measurement } from "#contract/result";
import { hostLedger } from "./bandwidth/ledger.ts";
import { conditions } from "./conditions.ts";
import { runningTools, toolStarts } from "./exec.ts";
import { hostClock } from "./host-clock.ts";
import { MetricSheet } from "./probes/probe.ts";
import { round3 } from "./statistics.ts";

/** Figures the other parts keep. */
export interface SelfCounts {
  readonly depth: number;
  readonly dropped: number;
  readonly uploadFailures: number;
  /** Runs left out because the one before was not over. */
  readonly overlapped: number;
  /** How late runs began, 95th percentile, ms; undefined while too few did. */
  readonly lag: number | undefined;
  readonly offset: number | null;
}

/**
 * The loop is looked at this often, ms: ten looks a second would be a quarter of what the agent may take of a processor. Node
 * counts the whole step between two looks, so this much of it is no delay.
 */
const RESOLUTION_MS = 1000;

/** What the self-test tells, in a sheet of its own. */
const OF_SELF_TEST: ReadonlySet<MetricName> = new Set([
  "agent_cut_off_s",
  "self_gateway_rtt_ms",
  "self_resolver_ms",
  "self_edge_ms",
]);
export const SELF_METRICS: readonly MetricName[] = metricsOf("agent").filter((name) => !OF_SELF_TEST.has(name));

/** Processor time of this process, microseconds. */
function cpuMicros(): number {
  const own = process.cpuUsage();
  return own.user + own.system;
}

export class SelfMonitor {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #children: () => number | undefined;
  #cpu = cpuMicros();
  #childCpu: number | undefined;
  #at = performance.now();
  #run = 0;
  #failed = 0;
  /** Runs this host's owner forbids. */
  #refused = 0;
  /** Runs that found no place among those of this host. */
  #unplaced = 0;

  /** `children` answers the processor time of all children so far, microseconds, where the system tells. */
  constructor(children: () => number | undefined) {
    this.#children = children;
    this.#childCpu = children();
    this.#delay.enable();
  }

  /** Counts a result. */
  note({ status, error }: Pick<Measurement, "status" | "error">): void {
    if (error?.code === "not_consented") this.#refused += 1;
    else if (error?.code === "skipped") this.#unplaced += 1;
    else {
      this.#run += 1;
      if (status === "failed" && error?.code !== "cut_off") this.#failed += 1;
    }
  }

  /** Why runs were left out since the agent started, for a sample's detail. */
  skipped(overlapped: number): Record<string, number> {
    return { overlap: overlapped, places: this.#unplaced, consent: this.#refused };
  }

  /** Every metric of the agent that is not the self-test's. */
  sample(counts: SelfCounts): MetricSheet {
    const sheet = new MetricSheet();
    const memory = process.memoryUsage();
    this.#setTimes(sheet);
    sheet.set("agent_uptime_s", round3(process.uptime()), "unsupported");
    sheet.set("agent_rss_bytes", memory.rss, "unsupported");
    sheet.set("agent_heap_used_bytes", memory.heapUsed, "unsupported");
    sheet.set("agent_queue_depth", counts.depth, "unsupported");
    sheet.set("agent_results_dropped", counts.dropped, "unsupported");
    sheet.set("agent_upload_failures", counts.uploadFailures, "unsupported");
    sheet.set("agent_tests_run", this.#run, "unsupported");
    sheet.set("agent_tests_failed", this.#failed, "unsupported");
    sheet.set("agent_tests_skipped", counts.overlapped + this.#unplaced, "unsupported");
    sheet.set("agent_tests_refused", this.#refused, "unsupported");
    sheet.set("agent_children_running", runningTools(), "unsupported");
    sheet.set("agent_spawn_ms_p95", rounded(toolStarts.p95), "too_few_samples");
    sheet.set("agent_schedule_lag_p95_ms", rounded(counts.lag), "too_few_samples");
    sheet.set("agent_bytes_used_month", monthsBytes(), "unsupported");
    sheet.set("agent_time_jumps", conditions.timeJumps, "unsupported");
    sheet.set("agent_clock_offset_ms", counts.offset, "too_few_samples");
    sheet.fill(SELF_METRICS, "unsupported");
    return sheet;
  }

  stop(): void {
    this.#delay.disable();
  }

  /** Processor and event loop since the last sample. */
  #setTimes(sheet: MetricSheet): void {
    const at = performance.now();
    const cpu = cpuMicros();
    const childCpu = this.#children();
    const elapsed = (at - this.#at) * 1000;
    const grown = childCpu !== undefined && this.#childCpu !== undefined ? childCpu - this.#childCpu : 0;
    const share = elapsed > 0 ? round3((100 * (cpu - this.#cpu + grown)) / elapsed) : undefined;
    const p99 = this.#delay.count > 0 ? round3(Math.max(0, this.#delay.percentile(99) / 1e6 - RESOLUTION_MS)) : undefined;
    this.#delay.reset();
    this.#at = at;
    this.#cpu = cpu;
    this.#childCpu = childCpu;
    sheet.set("agent_cpu_pct", share, "too_few_samples");
    sheet.set("agent_loop_delay_p99_ms", p99, "too_few_samples");
  }
}

const rounded = (value: number | undefined): number | undefined => (value === undefined ? undefined : round3(value));

/** What bandwidth tests moved this month; undefined where the ledger cannot be read. */
function monthsBytes(): number | undefined {
  try {
    return hostLedger()?.used(hostClock.now());
  } catch {
    // A bandwidth test says what is wrong with it.
    return undefined;
  }
}
