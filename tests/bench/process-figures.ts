// What processes take from this host, as the kernel counts it: read from /proc, so on Linux only.
import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ: the unit of times in /proc/PID/stat on every Linux that Node runs on. */
const TICKS_PER_S = 100;
const KIB_PER_MIB = 1024;

export interface CpuTime {
  /** User and system time of the process itself, seconds. */
  readonly own: number;
  /** The same of its children and theirs, those that ended and those that still run, seconds. */
  readonly children: number;
}

/** MiB. `file` are pages of programs and libraries, which processes share. */
export interface Memory {
  readonly rss: number;
  readonly anon: number;
  readonly file: number;
  /** The most it ever had. */
  readonly peak: number;
}

/** A file of a process, or "" when it has ended. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return "";
    throw error;
  }
}

/** Fields of proc_pid_stat(5) from the third on: the second, the name, may hold spaces. */
const statOf = (pid: number): string[] => {
  const text = read(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
};

/** Children that run now. */
export function childrenOf(pid: number): number[] {
  let threads: string[] = [];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  return threads.flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`)
      .split(" ")
      .filter((child) => child !== "")
      .map(Number),
  );
}

/** Processor time so far, children included whether they ended or not. */
export function cpuTime(pid: number): CpuTime {
  // Fields 14 to 17: utime, stime, and both of children that were waited for.
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = statOf(pid)
    .slice(11, 15)
    .map((ticks) => Number(ticks) / TICKS_PER_S);
  const running = childrenOf(pid)
    .map(cpuTime)
    .reduce((sum, { own, children }) => sum + own + children, 0);
  return { own: user + system, children: endedUser + endedSystem + running };
}

/** What a process holds now; zeros when it has ended. */
export function memoryOf(pid: number): Memory {
  const status = read(`/proc/${pid}/status`);
  const mib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0) / KIB_PER_MIB;
  return { rss: mib("VmRSS"), anon: mib("RssAnon"), file: mib("RssFile"), peak: mib("VmHWM") };
}

/** Bytes an interface of the process's network namespace has sent, headers included; undefined where it has none of that name. */
export function bytesSent(pid: number, name: string): number | undefined {
  const line = read(`/proc/${pid}/net/dev`)
    .split("\n")
    .find((each) => each.trim().startsWith(`${name}:`));
  const sent = line
    ?.slice(line.indexOf(":") + 1)
    .trim()
    .split(/\s+/)[8];
  return sent === undefined ? undefined : Number(sent);
}
