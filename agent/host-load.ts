// Whether this host had processor time to spare between two looks.
import os from "node:os";
import { performance } from "node:perf_hooks";
import { TICKS_PER_SECOND } from "./host/rates.ts";
import { ProcFile } from "./proc-file.ts";

/** Counters at one moment. */
export interface LoadLook {
  /** Monotonic clock, ms. */
  readonly at: number;
  /** All processors' time, the idle part of it (waiting for disks is idle), and what the hypervisor took, ms. */
  readonly total_ms: number;
  readonly idle_ms: number;
  readonly steal_ms: number;
  /** Processor time of this process, ms. */
  readonly own_ms: number;
  /** Time in which some task waited for a processor, ms (pressure stall information); undefined where the kernel does not tell. */
  readonly waiting_ms: number | undefined;
  /** The kernel's mean of that over the last ten seconds, percent. */
  readonly lately_pct: number | undefined;
  /** Time this process's event loop could have run and was not let, ms; undefined where the kernel does not tell. */
  readonly delayed_ms: number | undefined;
}

/** Shares between two looks, percent. */
export interface Load {
  readonly window_ms: number;
  /** Of all processors' time. */
  readonly idle_pct: number;
  readonly steal_pct: number;
  /** What all other processes used. */
  readonly others_pct: number;
  /** Of the window, as in LoadLook; what this process used may be over 100. */
  readonly own_pct: number;
  readonly waiting_pct: number | null;
  readonly delayed_pct: number | null;
}

const stat = new ProcFile("/proc/stat");
const pressure = new ProcFile("/proc/pressure/cpu");
const schedule = new ProcFile("/proc/self/schedstat");
const load = new ProcFile("/proc/loadavg");

const TICK_MS = 1000 / TICKS_PER_SECOND;

interface Processors {
  readonly total_ms: number;
  readonly idle_ms: number;
  readonly steal_ms: number;
}

/** The first line of /proc/stat: user nice system idle iowait irq softirq steal, in ticks (proc_stat(5)). */
export function parseProcessors(text: string): Processors | undefined {
  const line = /^cpu +([\d ]+)/.exec(text)?.[1];
  const ticks = line?.split(" ").slice(0, 8).map(Number) ?? [];
  const [, , , idle, iowait = 0, , , steal = 0] = ticks;
  if (idle === undefined) return undefined;
  const total = ticks.reduce((sum, value) => sum + value, 0);
  return { total_ms: total * TICK_MS, idle_ms: (idle + iowait) * TICK_MS, steal_ms: steal * TICK_MS };
}

/** `some avg10=… total=`, the latter in microseconds. */
export function parseWaiting(text: string): Pick<LoadLook, "waiting_ms" | "lately_pct"> {
  const [, lately, total] = /^some avg10=([\d.]+) .*total=(\d+)/m.exec(text) ?? [];
  if (lately === undefined || total === undefined) return { waiting_ms: undefined, lately_pct: undefined };
  return { waiting_ms: Number(total) / 1000, lately_pct: Number(lately) };
}

/** The second figure of /proc/self/schedstat, nanoseconds: the main thread's wait, which is the event loop's. */
export function parseDelayed(text: string): number | undefined {
  const waited = /^\d+ (\d+) /.exec(text)?.[1];
  return waited === undefined ? undefined : Number(waited) / 1e6;
}

function processors(): Processors {
  const linux = parseProcessors(stat.read() ?? "");
  if (linux !== undefined) return linux;
  let [total_ms, idle_ms] = [0, 0];
  for (const { times } of os.cpus()) {
    total_ms += times.user + times.nice + times.sys + times.idle + times.irq;
    idle_ms += times.idle;
  }
  return { total_ms, idle_ms, steal_ms: 0 };
}

/** What the event loop waited for a processor so far, ms. */
export const delayed = (): number | undefined => parseDelayed(schedule.read() ?? "");

export function lookAtLoad(): LoadLook {
  const { user, system } = process.cpuUsage();
  return {
    at: performance.now(),
    ...processors(),
    own_ms: (user + system) / 1000,
    ...parseWaiting(pressure.read() ?? ""),
    delayed_ms: delayed(),
  };
}

/** Tasks that run or could run now, this process among them; where the kernel does not tell, the mean of the last minute. */
function runnable(): number {
  const tasks = / (\d+)\/\d+ /.exec(load.read() ?? "")?.[1];
  return tasks === undefined ? (os.loadavg()[0] ?? 0) : Number(tasks);
}

const share = (part: number, whole: number): number => Math.min(100, Math.max(0, (100 * part) / whole));

/** Shares between two looks; undefined where no processor time has passed, or the counters were reset. */
export function loadBetween(before: LoadLook, now: LoadLook): Load | undefined {
  const window_ms = now.at - before.at;
  const total = now.total_ms - before.total_ms;
  if (window_ms <= 0 || total <= 0) return undefined;
  const grown = (a: number | undefined, b: number | undefined) =>
    a === undefined || b === undefined ? null : share(b - a, window_ms);
  const idle_pct = share(now.idle_ms - before.idle_ms, total);
  const steal_pct = share(now.steal_ms - before.steal_ms, total);
  return {
    window_ms,
    idle_pct,
    steal_pct,
    others_pct: Math.max(0, 100 - idle_pct - steal_pct - share(now.own_ms - before.own_ms, total)),
    own_pct: (100 * Math.max(0, now.own_ms - before.own_ms)) / window_ms,
    waiting_pct: grown(before.waiting_ms, now.waiting_ms),
    delayed_pct: grown(before.delayed_ms, now.delayed_ms),
  };
}

/**
 * Processors are accounted in ticks of 10 ms, and any start of a tool fills some: a window of half a second is judged, and a
 * shorter one only where a run was over before, ms.
 */
export const WINDOW_MS = 500;
export const SHORT_WINDOW_MS = 200;
/** Fewer percent idle than this are none to spare; and it is others who have to use the rest. */
const SPARE_PCT = 5;
const LEAST_OTHERS_PCT = 50;
const WAITING_PCT = 30;
const STEAL_PCT = 20;
const OTHERS_PCT = 85;
const DELAYED_PCT = 20;
/** So long a wait in a short window asks for a longer look, ms; so do ten percent of the seconds before it. */
const HELD_MS = 2;
const LATELY_PCT = 10;
/** Of so much processor time some ticks are idle where any is to spare, ms. */
const IDLE_SHOWS_MS = 40;

/**
 * Whether a host so loaded makes its times its own. No processor idle is not enough: this process itself may have been the one
 * that ran. It takes tasks that wait for a processor for a third of the time (with twice as many busy processes as cores it
 * is over 75 %, with one core of two busy under 2 %), a hypervisor that takes a fifth, or other processes that use nearly all.
 * Where a quota rather than a full host holds this process up, as in a container, only its own waiting shows it: an agent that
 * waits for a fifth of the time, and longer than it runs, is not let run.
 */
export function isOverloaded(load: Load): boolean {
  if ((load.delayed_pct ?? 0) >= Math.max(DELAYED_PCT, load.own_pct)) return true;
  if (load.idle_pct > SPARE_PCT) return false;
  if (load.steal_pct >= STEAL_PCT || load.others_pct >= OTHERS_PCT) return true;
  return load.others_pct >= LEAST_OTHERS_PCT && (load.waiting_pct ?? 0) >= WAITING_PCT;
}

/** Whether a window too short to judge is reason enough to look longer. */
export function isSuspicious(before: LoadLook, now: LoadLook): boolean {
  const waited = (now.waiting_ms ?? 0) - (before.waiting_ms ?? 0);
  const held = (now.delayed_ms ?? 0) - (before.delayed_ms ?? 0);
  if (held >= HELD_MS || waited >= Math.max(HELD_MS, (now.at - before.at) * (WAITING_PCT / 100))) return true;
  if ((now.lately_pct ?? 0) >= LATELY_PCT) return true;
  if (now.total_ms - before.total_ms >= IDLE_SHOWS_MS && now.idle_ms <= before.idle_ms) return true;
  return runnable() > 2 * os.availableParallelism();
}
