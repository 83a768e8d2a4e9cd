// The agent's own health, in every host sample.
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { metricsOf } from "#contract/metrics";
import { MetricSheet } from "./probes/probe.ts";
import { round3 } from "./statistics.ts";

/** Figures the other parts keep. */
export interface SelfCounts {
  readonly depth: number;
  readonly dropped: number;
  readonly uploadFailures: number;
  readonly skipped: number;
  readonly offset: number | null;
}

/** The loop is looked at this often, ms. Node counts the whole step between two looks, so this much of it is no delay. */
const RESOLUTION_MS = 100;

/** Processor time of this process, microseconds. */
function cpuMicros(): number {
  const own = process.cpuUsage();
  return own.user + own.system;
}

export class SelfMonitor {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #children: () => Promise<number | undefined>;
  #cpu = cpuMicros();
  #childCpu: number | undefined;
  #at = performance.now();
  run = 0;
  failed = 0;

  /** `children` answers the processor time of ended children, microseconds, where the system tells. */
  constructor(children: () => Promise<number | undefined>) {
    this.#children = children;
    this.#delay.enable();
  }

  /** Every agent_* metric since the last sample. */
  async sample(counts: SelfCounts): Promise<MetricSheet> {
    const sheet = new MetricSheet();
    const at = performance.now();
    const cpu = cpuMicros();
    const childCpu = await this.#children();
    const elapsed = (at - this.#at) * 1000;
    const grown = childCpu !== undefined && this.#childCpu !== undefined ? childCpu - this.#childCpu : 0;
    const share = elapsed > 0 ? round3((100 * (cpu - this.#cpu + grown)) / elapsed) : undefined;
    const p99 = this.#delay.count > 0 ? round3(Math.max(0, this.#delay.percentile(99) / 1e6 - RESOLUTION_MS)) : undefined;
    this.#delay.reset();
    this.#at = at;
    this.#cpu = cpu;
    this.#childCpu = childCpu;
    sheet.set("agent_uptime_s", round3(process.uptime()), "unsupported");
    sheet.set("agent_rss_bytes", process.memoryUsage.rss(), "unsupported");
    sheet.set("agent_cpu_pct", share, "too_few_samples");
    sheet.set("agent_loop_delay_p99_ms", p99, "too_few_samples");
    sheet.set("agent_queue_depth", counts.depth, "unsupported");
    sheet.set("agent_results_dropped", counts.dropped, "unsupported");
    sheet.set("agent_upload_failures", counts.uploadFailures, "unsupported");
    sheet.set("agent_tests_run", this.run, "unsupported");
    sheet.set("agent_tests_failed", this.failed, "unsupported");
    sheet.set("agent_tests_skipped", counts.skipped, "unsupported");
    sheet.set("agent_clock_offset_ms", counts.offset, "too_few_samples");
    sheet.fill(metricsOf("agent"), "unsupported");
    return sheet;
  }

  stop(): void {
    this.#delay.disable();
  }
}
