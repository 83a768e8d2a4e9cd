// Processor time of the agent's ended children.
import { readFile } from "node:fs/promises";

/** USER_HZ, which Linux fixes at 100 for user space on every architecture Node runs on. */
const TICKS_PER_SECOND = 100;

/** cutime + cstime of proc_pid_stat(5), microseconds. The name may hold spaces and brackets, so fields count from its end. */
export function parseChildTime(text: string): number | undefined {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[13]) + Number(fields[14]);
  return Number.isFinite(ticks) ? (ticks * 1_000_000) / TICKS_PER_SECOND : undefined;
}

/** Undefined where the system does not tell. */
export async function childMicros(): Promise<number | undefined> {
  if (process.platform !== "linux") return undefined;
  return parseChildTime(await readFile("/proc/self/stat", "utf8").catch(() => ""));
}
