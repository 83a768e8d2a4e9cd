// The busiest and the largest processes, from /proc/PID/stat. Names only: command lines hold secrets.

import { readFileSync, readlinkSync } from "node:fs";
import { endianness } from "node:os";
import { basename } from "node:path";
import { performance } from "node:perf_hooks";
import type { HostDetail, Process } from "#contract/host-detail";
import { round3 } from "../statistics.ts";
import { namesIn, type Roots, textOf } from "./hardware-files.ts";
import { TICKS_PER_SECOND } from "./rates.ts";

const MOST = 2000;
const SHOWN = 5;
/** So many files are read between two turns of the event loop. */
const AT_ONCE = 200;

export interface ProcessStat {
  readonly pid: number;
  readonly name: string;
  /** User and system time so far, clock ticks. */
  readonly ticks: number;
  /** Since boot, clock ticks: tells a process from a later one with the same number. */
  readonly started: number;
  readonly rss_pages: number;
}

/** proc_pid_stat(5). The name stands in brackets and may hold brackets and spaces itself, so it ends at the last one. */
export function parseProcessStat(text: string): ProcessStat | undefined {
  const open = text.indexOf("(");
  const end = text.lastIndexOf(")");
  if (open < 1 || end < open) return undefined;
  const fields = text.slice(end + 2).split(" ");
  const stat = {
    pid: Number(text.slice(0, open)),
    name: text.slice(open + 1, end).replaceAll(/\p{Cc}/gu, "?"),
    ticks: Number(fields[11]) + Number(fields[12]),
    started: Number(fields[19]),
    rss_pages: Number(fields[21]),
  };
  return [stat.pid, stat.ticks, stat.started, stat.rss_pages].every(Number.isFinite) ? stat : undefined;
}

const AT_PAGESZ = 6;

/** Bytes in a page of memory, from the auxiliary vector (getauxval(3)); 16 KiB on some ARM boards. Undefined where not told. */
export function pageSize(vector: Buffer, word: 4 | 8 = /64|s390x/.test(process.arch) ? 8 : 4): number | undefined {
  const little = endianness() === "LE";
  const read = (at: number) => {
    if (word === 8) return Number(little ? vector.readBigUInt64LE(at) : vector.readBigUInt64BE(at));
    return little ? vector.readUInt32LE(at) : vector.readUInt32BE(at);
  };
  for (let at = 0; at + 2 * word <= vector.length; at += 2 * word) if (read(at) === AT_PAGESZ) return read(at + word);
  return undefined;
}

function ownPageSize(): number | undefined {
  try {
    return pageSize(readFileSync("/proc/self/auxv"));
  } catch {
    return undefined;
  }
}

interface Look {
  /** Monotonic, milliseconds. */
  readonly at: number;
  /** Since boot, clock ticks; 0 where the system does not tell. */
  readonly uptime: number;
  readonly stats: ReadonlyMap<number, ProcessStat>;
}

export class Processes {
  readonly #roots: Roots;
  readonly #page = ownPageSize();
  #before: Look | undefined;
  #looks = 0;
  #cost_ms = 0;

  constructor(roots: Roots) {
    this.#roots = roots;
  }

  /** Whether a look is worth its cost: each may take a ten-thousandth of the time; five times that on a busy host. */
  due(now: number, busy: boolean): boolean {
    if (this.#looks < 2 || this.#before === undefined) return true;
    return now - this.#before.at >= this.#cost_ms * (busy ? 2000 : 10_000);
  }

  /** One look: shares over the time since the look before, where there was one. `at` is in monotonic milliseconds. */
  async look(at: number): Promise<HostDetail["processes"]> {
    const start = performance.now();
    const uptime = TICKS_PER_SECOND * Number.parseFloat(textOf(`${this.#roots.proc}/uptime`) ?? "0");
    const now = { at, uptime, stats: await this.#all() };
    const before = this.#before;
    this.#before = now;
    this.#looks++;
    this.#cost_ms = performance.now() - start;
    if (now.stats.size === 0) return undefined;
    const over_s = before === undefined ? null : (now.at - before.at) / 1000;
    const rows = [...now.stats.values()].map((stat) => ({
      pid: stat.pid,
      name: stat.name,
      cpu_pct: before === undefined || over_s === null ? null : cpuShare(before, stat, over_s),
      rss_bytes: this.#page === undefined ? null : stat.rss_pages * this.#page,
    }));
    return {
      over_s: over_s === null ? null : round3(over_s),
      top_cpu: over_s === null ? [] : largest(rows, "cpu_pct").map((row) => this.#named(row)),
      top_memory: largest(rows, "rss_bytes").map((row) => this.#named(row)),
    };
  }

  async #all(): Promise<Map<number, ProcessStat>> {
    const stats = new Map<number, ProcessStat>();
    const pids = (namesIn(this.#roots.proc) ?? []).filter((name) => /^\d+$/.test(name));
    for (const [i, pid] of pids.slice(0, MOST).entries()) {
      if (i % AT_ONCE === AT_ONCE - 1) await new Promise((resolve) => setImmediate(resolve));
      const stat = this.#one(pid);
      if (stat !== undefined) stats.set(stat.pid, stat);
    }
    return stats;
  }

  /** Node.js calls its main thread so, whatever the program: then the program's file tells more, where it may be seen. */
  #named(row: Process): Process {
    if (row.name !== "MainThread") return row;
    try {
      return { ...row, name: basename(readlinkSync(`${this.#roots.proc}/${row.pid}/exe`)).slice(0, 64) };
    } catch {
      return row;
    }
  }

  #one(pid: string): ProcessStat | undefined {
    try {
      return parseProcessStat(readFileSync(`${this.#roots.proc}/${pid}/stat`, "utf8"));
    } catch {
      // Ended since the list was made.
      return undefined;
    }
  }
}

/** Percent of one core. A process that started since the look before has used all its time since then. */
function cpuShare(before: Look, now: ProcessStat, over_s: number): number | null {
  const earlier = before.stats.get(now.pid);
  const same = earlier?.started === now.started;
  if (over_s <= 0 || !(same || now.started >= before.uptime)) return null;
  return round3((100 * Math.max(0, now.ticks - (same ? earlier.ticks : 0))) / TICKS_PER_SECOND / over_s);
}

const largest = (rows: readonly Process[], by: "cpu_pct" | "rss_bytes"): Process[] =>
  rows
    .filter((row) => (row[by] ?? 0) > 0)
    .sort((a, b) => (b[by] ?? 0) - (a[by] ?? 0))
    .slice(0, SHOWN);
