// Processor time of the agent's children: those that ended, and those that run now.
import { readFileSync } from "node:fs";
import { runningPids } from "../exec.ts";
import { ProcFile } from "../proc-file.ts";
import { TICKS_PER_SECOND } from "./rates.ts";

/** Fields of proc_pid_stat(5) by their place behind the name, which may hold spaces and brackets. */
const UTIME = 11;
const STIME = 12;
const CUTIME = 13;
const CSTIME = 14;

function ticks(text: string, fields: readonly number[]): number | undefined {
  const values = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const sum = fields.reduce((total, field) => total + Number(values[field]), 0);
  return Number.isFinite(sum) ? (sum * 1_000_000) / TICKS_PER_SECOND : undefined;
}

/** What a process's ended children used, microseconds. */
export const parseChildTime = (text: string): number | undefined => ticks(text, [CUTIME, CSTIME]);

/** What a process and its ended children used, microseconds. */
export const parseWholeTime = (text: string): number | undefined => ticks(text, [UTIME, STIME, CUTIME, CSTIME]);

const own = new ProcFile("/proc/self/stat");

/**
 * Microseconds that tools have used since this process began, undefined where the system does not tell. A tool that runs
 * counts with what it has used until now, and keeps counting when it has ended, so the sum never goes back.
 */
export function childMicros(): number | undefined {
  if (process.platform !== "linux") return undefined;
  const ended = parseChildTime(own.read() ?? "");
  if (ended === undefined) return undefined;
  return runningPids().reduce((total, pid) => total + (parseWholeTime(statOf(pid)) ?? 0), ended);
}

function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    // It ended meanwhile; its parent's sum has it with the next look.
    return "";
  }
}
