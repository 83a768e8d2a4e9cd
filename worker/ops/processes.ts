// What runs on this machine, and how to end a process group of ours.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

export interface ProcessInfo {
  pid: number;
  group: number;
  /** When it began, in the system's own words: with the pid it names one process for good. */
  born: string;
  command: string;
}

/** Every process one may look at; one that ends meanwhile is left out. */
export function listProcesses(): ProcessInfo[] {
  if (process.platform === "linux") return listProc();
  if (process.platform === "win32") return listWindows();
  return listPs();
}

export function findProcess(pid: number): ProcessInfo | undefined {
  if (process.platform === "linux") return readProc(String(pid));
  return listProcesses().find((info) => info.pid === pid);
}

function listProc(): ProcessInfo[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProc(name) ?? []);
}

function readProc(pid: string): ProcessInfo | undefined {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Fields after the name, which is in brackets and may hold anything: state, ppid, pgrp, … starttime is field 22.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie has ended; only its parent has not looked yet.
    if (fields[0] === "Z") return undefined;
    return { pid: Number(pid), group: Number(fields[2]), born: fields[19] ?? "", command };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

function listPs(): ProcessInfo[] {
  const text = execFileSync("ps", ["-A", "-ww", "-o", "pid=,pgid=,lstart=,command="], {
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" },
  });
  return text.split("\n").flatMap((line) => {
    const [, pid, group, born, command] = line.match(/^\s*(\d+)\s+(\d+)\s+(\S+\s+\S+\s+\d+\s+[\d:]+\s+\d+)\s+(.*)$/) ?? [];
    return pid && group && born && command ? [{ pid: Number(pid), group: Number(group), born, command }] : [];
  });
}

/** Windows knows no groups: a process counts as its own, and ending it ends its descendants. */
function listWindows(): ProcessInfo[] {
  const query =
    'Get-CimInstance Win32_Process | ForEach-Object { "$($_.ProcessId)`t$($_.CreationDate.Ticks)`t$($_.CommandLine)" }';
  const text = execFileSync("powershell.exe", ["-NoProfile", "-Command", query], { encoding: "utf8" });
  return text.split(/\r?\n/).flatMap((line) => {
    const [pid, born, command] = line.split("\t");
    return pid && born ? [{ pid: Number(pid), group: Number(pid), born, command: command ?? "" }] : [];
  });
}

/** Sends a signal to a whole group; false when nothing of it is left. */
export function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  try {
    if (process.platform === "win32") execFileSync("taskkill", ["/PID", String(group), "/T", "/F"], { stdio: "ignore" });
    else process.kill(-group, signal);
    return true;
  } catch (error) {
    if (process.platform === "win32" || isGone(error)) return false;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOENT" || code === "ESRCH" || code === "EACCES" || code === "EPERM";
}
