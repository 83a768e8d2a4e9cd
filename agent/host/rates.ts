// Rates from counters. Pure.
import type { CpuTimes } from "./parse-proc.ts";

/** Growth a second, or undefined without an earlier reading, without time between, and when the counter was reset. */
export function rate(before: number | undefined, now: number | undefined, elapsed_s: number): number | undefined {
  if (before === undefined || now === undefined || elapsed_s <= 0 || now < before) return undefined;
  return (now - before) / elapsed_s;
}

/** Shares of one interval, percent of all processors' time. */
export interface CpuShares {
  readonly busy: number;
  readonly user: number;
  readonly system: number;
  readonly iowait: number;
  readonly steal: number;
}

/**
 * CPU shares between two readings: busy = 1 − Δ(idle + iowait) / Δtotal (proc_stat(5)).
 * Single fields may run backwards by a tick on tickless kernels; those count as no growth.
 */
export function cpuShares(before: CpuTimes | undefined, now: CpuTimes | undefined): CpuShares | undefined {
  if (before === undefined || now === undefined) return undefined;
  const grown = (field: keyof CpuTimes) => Math.max(0, now[field] - before[field]);
  const fields = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"] as const;
  const total = fields.reduce((sum, field) => sum + grown(field), 0);
  if (total <= 0 || now.idle + now.user < before.idle + before.user) return undefined;
  const share = (...names: (keyof CpuTimes)[]) => (100 * names.reduce((sum, name) => sum + grown(name), 0)) / total;
  return {
    busy: 100 - share("idle", "iowait"),
    user: share("user", "nice"),
    system: share("system", "irq", "softirq"),
    iowait: share("iowait"),
    steal: share("steal"),
  };
}
