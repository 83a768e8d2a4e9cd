// Reads the files of /proc about processors, memory and the system: text in, numbers out, undefined where a file or a field is
// not there. See proc(5) and its pages.

/** CPU time since boot in clock ticks (proc_stat(5)). */
export interface CpuTimes {
  readonly user: number;
  readonly nice: number;
  readonly system: number;
  readonly idle: number;
  readonly iowait: number;
  readonly irq: number;
  readonly softirq: number;
  readonly steal: number;
}

export interface Stat {
  /** All processors together, also those switched off. */
  readonly cpu: CpuTimes;
  /** Processors switched on, by the kernel's name (`cpu0`). */
  readonly cores: ReadonlyMap<string, CpuTimes>;
  /** Since boot. */
  readonly contextSwitches: number | undefined;
  readonly interrupts: number | undefined;
  readonly forks: number | undefined;
  /** Now. */
  readonly running: number | undefined;
  readonly blocked: number | undefined;
}

const numbers = (text: string): number[] => text.trim().split(/\s+/).map(Number);

function cpuTimes(fields: string): CpuTimes | undefined {
  const [user, nice, system, idle, iowait = 0, irq = 0, softirq = 0, steal = 0] = numbers(fields);
  if (user === undefined || nice === undefined || system === undefined || idle === undefined) return undefined;
  const times = { user, nice, system, idle, iowait, irq, softirq, steal };
  return Object.values(times).every(Number.isFinite) ? times : undefined;
}

export function parseStat(text: string): Stat | undefined {
  const cores = new Map<string, CpuTimes>();
  const figures = new Map<string, number>();
  let cpu: CpuTimes | undefined;
  for (const line of text.split("\n")) {
    const end = line.indexOf(" ");
    const name = line.slice(0, end);
    if (!name.startsWith("cpu")) {
      // Of the interrupts only their sum is of interest, and there may be thousands behind it.
      const next = line.indexOf(" ", end + 1);
      figures.set(name, Number(line.slice(end + 1, next === -1 ? undefined : next)));
      continue;
    }
    const times = cpuTimes(line.slice(end + 1));
    if (name === "cpu") cpu = times;
    else if (times !== undefined) cores.set(name, times);
  }
  if (cpu === undefined) return undefined;
  const known = (name: string) => {
    const figure = figures.get(name);
    return Number.isFinite(figure) ? figure : undefined;
  };
  return {
    cpu,
    cores,
    contextSwitches: known("ctxt"),
    interrupts: known("intr"),
    forks: known("processes"),
    running: known("procs_running"),
    blocked: known("procs_blocked"),
  };
}

export interface Load {
  /** Averages over 1, 5 and 15 minutes. */
  readonly averages: readonly [number, number, number];
  /** Tasks the kernel schedules: threads of processes and its own. */
  readonly threads: number;
}

/** proc_loadavg(5). */
export function parseLoadavg(text: string): Load | undefined {
  const match = /^(\d+\.\d+) (\d+\.\d+) (\d+\.\d+) \d+\/(\d+) /.exec(text);
  if (match === null) return undefined;
  return { averages: [Number(match[1]), Number(match[2]), Number(match[3])], threads: Number(match[4]) };
}

/** proc_meminfo(5) in bytes, by name. */
export function parseMeminfo(text: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const match of text.matchAll(/^([\w()]+): +(\d+)( kB)?$/gm)) {
    if (match[1] !== undefined) values.set(match[1], Number(match[2]) * (match[3] === undefined ? 1 : 1024));
  }
  return values;
}

/** The named counters of proc_vmstat(5), which has two hundred. */
export function parseVmstat<Name extends string>(text: string, names: readonly Name[]): Partial<Record<Name, number>> {
  const values: Partial<Record<Name, number>> = {};
  for (const name of names) {
    const digits = new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1];
    if (digits !== undefined) values[name] = Number(digits);
  }
  return values;
}

/** Shares of time in which some, or all tasks that had work, waited: 10 s averages, percent (Documentation/accounting/psi.rst). */
export interface Pressure {
  readonly some: number | undefined;
  readonly full: number | undefined;
}

export function parsePressure(text: string): Pressure {
  const share = (line: string) => {
    const digits = new RegExp(`^${line} avg10=(\\d+\\.\\d+) `, "m").exec(text)?.[1];
    return digits === undefined ? undefined : Number(digits);
  };
  return { some: share("some"), full: share("full") };
}

/** File handles, system wide (/proc/sys/fs/file-nr): allocated, and how many may be. */
export function parseFileNr(text: string): { readonly open: number; readonly most: number } | undefined {
  const match = /^(\d+)\s+\d+\s+(\d+)/.exec(text);
  return match === null ? undefined : { open: Number(match[1]), most: Number(match[2]) };
}

/** Seconds since boot. */
export function parseUptime(text: string): number | undefined {
  const seconds = /^(\d+\.\d+) /.exec(text)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

/** Mean of the current frequencies in /proc/cpuinfo, MHz. */
export function parseCpuMhz(text: string): number | undefined {
  const values = [...text.matchAll(/^cpu MHz\s*: (\d+\.\d+)$/gm)].map((match) => Number(match[1]));
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}
