// Rates from counters. Pure.
import type { CpuTimes } from "./parse-proc.ts";

/** Looks nearer together than this make no rate: a tick or a late wake-up would be most of it. */
const LEAST_GAP_S = 0.1;

/** What was read before and how long ago. */
export interface Earlier<Look> {
  readonly look: Look;
  readonly seconds: number;
}

/** Keeps the look before the present one, by a monotonic clock. */
export class LookBefore<Look> {
  #kept: { readonly look: Look; readonly at: number } | undefined;

  /**
   * Answers the earlier look and keeps this one for the next. A look that comes too soon gets no answer and is not kept, so
   * that somebody who looks often does not take the rates from somebody who looks seldom.
   */
  replace(look: Look, at_ms: number): Earlier<Look> | undefined {
    const before = this.#kept;
    const seconds = before === undefined ? 0 : (at_ms - before.at) / 1000;
    if (before !== undefined && seconds >= 0 && seconds < LEAST_GAP_S) return undefined;
    this.#kept = { look, at: at_ms };
    return before === undefined || seconds < 0 ? undefined : { look: before.look, seconds };
  }
}

/**
 * Growth between two readings. Undefined without an earlier one, when the counter ran backwards (reset, or wrapped: which of
 * the two nobody can tell), and beyond 2^53, where figures are no longer exact and counters are underflows.
 */
export function growth(before: number | undefined, now: number | undefined): number | undefined {
  if (before === undefined || now === undefined || now < before || !Number.isSafeInteger(Math.ceil(now))) return undefined;
  return now - before;
}

/** Growth a second; undefined as with growth(), and when hardly any time passed. */
export function rate(before: number | undefined, now: number | undefined, elapsed_s: number): number | undefined {
  const grown = growth(before, now);
  return grown === undefined || elapsed_s < LEAST_GAP_S ? undefined : grown / elapsed_s;
}

/**
 * Growth of counters that begin together, as those of one interface: when one ran backwards all were reset, and one that
 * seems to have grown has passed its old value since.
 */
export function growths<Name extends string>(
  before: Readonly<Record<Name, number>> | undefined,
  now: Readonly<Record<Name, number>>,
  names: readonly Name[],
): Record<Name, number> | undefined {
  if (before === undefined) return undefined;
  const grown: Partial<Record<Name, number>> = {};
  for (const name of names) {
    const by = growth(before[name], now[name]);
    if (by === undefined) return undefined;
    grown[name] = by;
  }
  return grown as Record<Name, number>;
}

/** Shares of one interval, percent of the processors' time. */
export interface CpuShares {
  readonly busy: number;
  readonly user: number;
  readonly system: number;
  readonly interrupts: number;
  readonly iowait: number;
  readonly steal: number;
}

const FIELDS = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"] as const;

/** Ticks a field may run backwards without its processor having been away: tickless kernels correct themselves by one or two. */
const CORRECTION = 5;

/**
 * CPU shares between two readings: busy = 1 − Δ(idle + iowait) / Δtotal (proc_stat(5)). Waiting for disks may shrink, as that
 * page warns, and counts as no growth then; any other field that shrinks by more than a correction was reset.
 */
export function cpuShares(before: CpuTimes | undefined, now: CpuTimes | undefined): CpuShares | undefined {
  if (before === undefined || now === undefined) return undefined;
  if (FIELDS.some((field) => field !== "iowait" && now[field] < before[field] - CORRECTION)) return undefined;
  const grown = (field: keyof CpuTimes) => Math.max(0, now[field] - before[field]);
  const total = FIELDS.reduce((sum, field) => sum + grown(field), 0);
  if (total <= 0) return undefined;
  const share = (...names: (keyof CpuTimes)[]) => (100 * names.reduce((sum, name) => sum + grown(name), 0)) / total;
  return {
    busy: 100 - share("idle", "iowait"),
    user: share("user", "nice"),
    system: share("system", "irq", "softirq"),
    interrupts: share("irq", "softirq"),
    iowait: share("iowait"),
    steal: share("steal"),
  };
}

/** USER_HZ, which Linux fixes at 100 for user space on every architecture Node runs on. */
export const TICKS_PER_SECOND = 100;

/** What a processor's times may exceed the clock by: reading them is not one instant, and the hypervisor's share comes late. */
const SLACK = 1.5;
const SLACK_TICKS = 50;

/**
 * Shares of every processor that was there at both looks and whose times grew as fast as time passed. One that was switched
 * off and on in between reports times that jump, and one that is new has no look before.
 */
export function coreShares(
  before: ReadonlyMap<string, CpuTimes>,
  now: ReadonlyMap<string, CpuTimes>,
  elapsed_s: number,
): Map<string, CpuShares> {
  const most = elapsed_s * TICKS_PER_SECOND * SLACK + SLACK_TICKS;
  const shares = new Map<string, CpuShares>();
  for (const [name, times] of now) {
    const old = before.get(name);
    const share = cpuShares(old, times);
    if (share === undefined || old === undefined) continue;
    const total = FIELDS.reduce((sum, field) => sum + times[field] - old[field], 0);
    if (total <= most) shares.set(name, share);
  }
  return shares;
}

/** Times of several processors together. */
export function addedTimes(times: readonly CpuTimes[]): CpuTimes {
  const sum = (field: keyof CpuTimes) => times.reduce((all, each) => all + each[field], 0);
  return {
    user: sum("user"),
    nice: sum("nice"),
    system: sum("system"),
    idle: sum("idle"),
    iowait: sum("iowait"),
    irq: sum("irq"),
    softirq: sum("softirq"),
    steal: sum("steal"),
  };
}
