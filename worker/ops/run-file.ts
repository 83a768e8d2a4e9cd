// Who owns a state directory: `run.json` names the running `npm start` and the process groups it began. A second live one is
// refused; what a killed one left is ended first.
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { OpsError } from "./ops-error.ts";
import type { StatePaths } from "./paths.ts";
import { findProcess, listProcesses, type ProcessInfo, signalGroup } from "./processes.ts";

interface RunRecord {
  pid: number;
  born: string;
  url: string;
  /** Process groups, by what runs in them. */
  groups: { edge?: number; agent?: number };
}

export class RunFile {
  readonly #path: string;
  #record: RunRecord;

  private constructor(path: string, record: RunRecord) {
    this.#path = path;
    this.#record = record;
  }

  /** Takes the state directory, or throws when a live `npm start` has it. `onLeftover` is told what had to be ended. */
  static async claim(state: StatePaths, url: string, onLeftover: (what: string) => void): Promise<RunFile> {
    const self = findProcess(process.pid);
    const record: RunRecord = { pid: process.pid, born: self?.born ?? "", url, groups: {} };
    while (!writeNew(state.run, record)) {
      const other = readRecord(state.run);
      if (other && isRunning(other)) throw alreadyRunning(state, other);
      if (other) await endLeftovers(state, other, onLeftover);
      rmSync(state.run, { force: true });
    }
    return new RunFile(state.run, record);
  }

  /** Notes a group as soon as it exists, so that a later start finds it should this one be killed. */
  note(name: "edge" | "agent", group: number | undefined): void {
    const groups = { ...this.#record.groups };
    if (group === undefined) delete groups[name];
    else groups[name] = group;
    this.#record = { ...this.#record, groups };
    const next = `${this.#path}.next`;
    writeFileSync(next, JSON.stringify(this.#record), { mode: 0o600 });
    renameSync(next, this.#path);
  }

  release(): void {
    rmSync(this.#path, { force: true });
  }
}

/** The live `npm start` on this state directory, if there is one. */
export function runningStart(state: StatePaths): { pid: number; url: string } | null {
  const record = readRecord(state.run);
  return record && isRunning(record) ? record : null;
}

function alreadyRunning(state: StatePaths, other: RunRecord): OpsError {
  return new OpsError(
    `StreamSwarm already runs on ${state.dir} (pid ${other.pid}, ${other.url}); two would write the same databases.\n` +
      `Stop that one (Ctrl-C there, or kill ${other.pid}), or start a second one beside it: STREAMSWARM_STATE=<other directory> PORT=<other port> npm start.`,
  );
}

function isRunning(record: RunRecord): boolean {
  const found = findProcess(record.pid);
  return found !== undefined && found.born === record.born;
}

async function endLeftovers(state: StatePaths, record: RunRecord, onLeftover: (what: string) => void): Promise<void> {
  for (const [name, group] of Object.entries(record.groups)) {
    const members = ourMembers(state, name, group);
    if (members.length === 0) continue;
    onLeftover(`ending what a killed start left: ${name} (${members.length} ${members.length === 1 ? "process" : "processes"})`);
    signalGroup(group, "SIGKILL");
    while (ourMembers(state, name, group).length > 0) await delay(20);
  }
}

/**
 * The group's processes when they are certainly ours. A pid can be given again: the leader, when it lives, must name our state
 * directory; members without a leader must at least be the programs we start.
 */
function ourMembers(state: StatePaths, name: string, group: number): ProcessInfo[] {
  const members = listProcesses().filter((info) => info.group === group);
  const leader = members.find((info) => info.pid === group);
  const programs = name === "edge" ? /workerd|wrangler|esbuild/ : /streamswarm-agent|ping|traceroute/;
  if (leader) return programs.test(leader.command) && leader.command.includes(state.dir) ? members : [];
  return members.every((info) => programs.test(info.command)) ? members : [];
}

function writeNew(path: string, record: RunRecord): boolean {
  // Written aside and linked into place: nobody ever reads half a record.
  const aside = `${path}.${process.pid}`;
  writeFileSync(aside, JSON.stringify(record), { mode: 0o600 });
  try {
    linkSync(aside, path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function readRecord(path: string): RunRecord | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return isRecord(value) ? value : null;
  } catch (error) {
    // Missing, or left empty by a machine that went down: nothing to go by.
    if (error instanceof SyntaxError || (error instanceof Error && "code" in error && error.code === "ENOENT")) return null;
    throw error;
  }
}

function isRecord(value: unknown): value is RunRecord {
  return typeof value === "object" && value !== null && "pid" in value && "born" in value && "url" in value && "groups" in value;
}
