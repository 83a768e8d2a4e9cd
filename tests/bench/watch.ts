// Looks at processes for some minutes and says what they took.
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { bytesSent, type CpuTime, childrenOf, cpuTime, type Memory, memoryOf } from "./process-figures.ts";

const MEMORY_EVERY_MS = 1000;
/** A child that lives shorter than this may go unseen. */
const CHILDREN_EVERY_MS = 10;

export interface Watched {
  readonly pid: number;
  /** Interface that leads to its server, and to nothing else. */
  readonly line?: string | undefined;
  /** Whether its children are counted one by one. */
  readonly countChildren?: boolean;
}

export interface Usage {
  readonly seconds: number;
  /** Percent of one core. */
  readonly cpu_own_pct: number;
  readonly cpu_children_pct: number;
  /** One look a second, the first when the watch began. */
  readonly memory: readonly (Memory & { readonly at_s: number })[];
  /** Children seen; undefined where nobody counted. */
  readonly spawned: number | undefined;
  readonly sent_bytes: number | undefined;
}

/** Children of one process, each counted once. */
class Spawns {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  #running: ReadonlySet<number> = new Set();
  count = 0;

  constructor(pid: number) {
    this.#pid = pid;
    this.#running = new Set(childrenOf(pid));
    this.#timer = setInterval(() => this.#look(), CHILDREN_EVERY_MS);
  }

  #look(): void {
    const now = childrenOf(this.#pid);
    this.count += now.filter((child) => !this.#running.has(child)).length;
    this.#running = new Set(now);
  }

  stop(): number {
    clearInterval(this.#timer);
    return this.count;
  }
}

const share = (after: number, before: number, seconds: number): number => (100 * (after - before)) / seconds;

/** Watches all of these at the same time. Throws when one of them has ended before. */
export async function watch(all: readonly Watched[], minutes: number): Promise<Usage[]> {
  const start = performance.now();
  const before = all.map(({ pid }): CpuTime => cpuTime(pid));
  const sent = all.map(({ pid, line }) => (line === undefined ? undefined : bytesSent(pid, line)));
  const spawns = all.map(({ pid, countChildren }) => (countChildren === true ? new Spawns(pid) : undefined));
  const memory = all.map((): (Memory & { at_s: number })[] => []);
  const look = () => {
    const at_s = (performance.now() - start) / 1000;
    for (const [i, { pid }] of all.entries()) memory[i]?.push({ at_s, ...memoryOf(pid) });
  };
  for (let due = start; due <= start + minutes * 60_000; due += MEMORY_EVERY_MS) {
    await delay(Math.max(0, due - performance.now()));
    look();
  }
  const seconds = (performance.now() - start) / 1000;
  return all.map(({ pid, line }, i) => {
    const [was, is] = [before[i], cpuTime(pid)];
    if (was === undefined || is.own === 0) throw new Error(`process ${pid} ended while it was watched`);
    const after = line === undefined ? undefined : bytesSent(pid, line);
    const first = sent[i];
    return {
      seconds,
      cpu_own_pct: share(is.own, was.own, seconds),
      cpu_children_pct: share(is.children, was.children, seconds),
      memory: memory[i] ?? [],
      spawned: spawns[i]?.stop(),
      sent_bytes: after === undefined || first === undefined ? undefined : after - first,
    };
  });
}

/** Slope of the least squares line through the resident memory, MiB an hour. */
export function growthPerHour(memory: Usage["memory"]): number {
  const n = memory.length;
  const meanAt = memory.reduce((sum, { at_s }) => sum + at_s, 0) / n;
  const meanRss = memory.reduce((sum, { rss }) => sum + rss, 0) / n;
  const across = memory.reduce((sum, { at_s, rss }) => sum + (at_s - meanAt) * (rss - meanRss), 0);
  const along = memory.reduce((sum, { at_s }) => sum + (at_s - meanAt) ** 2, 0);
  return (3600 * across) / along;
}
