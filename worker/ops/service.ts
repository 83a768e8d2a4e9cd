// One long-running program of `npm start`: its own process group, its output in a log, an orderly end.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, renameSync, statSync } from "node:fs";
import { tail } from "./child.ts";
import { PARENT_WATCH, ROOT } from "./paths.ts";
import { signalGroup } from "./processes.ts";

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export class Service {
  readonly #child: ChildProcess;
  readonly #log: string;
  /** Resolves when the program ended, for whatever reason. */
  readonly exited: Promise<Exit>;
  /** The process group: its leader's pid. */
  readonly group: number;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv, log: string, onMessage: (message: unknown) => void) {
    this.#log = log;
    const output = openSync(log, "a", 0o600);
    this.#child = spawn(process.execPath, ["--no-warnings", "--import", PARENT_WATCH, ...args], {
      cwd: ROOT,
      env,
      detached: true,
      stdio: ["ignore", output, output, "ipc"],
    });
    closeSync(output);
    this.#child.on("message", onMessage);
    this.exited = new Promise((resolve, reject) => {
      this.#child.on("error", reject);
      this.#child.on("exit", (code, signal) => resolve({ code, signal }));
    });
    this.group = this.#child.pid ?? 0;
  }

  /** Asks the leader to end, then ends whatever is left of the group after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGTERM");
      const timer = setTimeout(() => this.kill(), graceMs);
      await this.exited;
      clearTimeout(timer);
    }
    this.kill();
  }

  kill(): void {
    if (this.group > 0) signalGroup(this.group, "SIGKILL");
  }

  lastLines(): string {
    return tail(readFileSync(this.#log, "utf8"));
  }
}

/** Keeps the log of the run before as `<log>.1`. */
export function rotate(log: string): void {
  if ((statSync(log, { throwIfNoEntry: false })?.size ?? 0) > 0) renameSync(log, `${log}.1`);
}
