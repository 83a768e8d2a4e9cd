// A real agent: the built file in a process of its own, with its own state directory.
import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { AGENT_FILE } from "../../worker/ops/builds.ts";
import type { Exit } from "./instance.ts";
import { newStateDir } from "./instance.ts";
import { Output } from "./output.ts";

export interface AgentOptions {
  server: string;
  token: string;
  name: string;
  state?: string;
  /** Further options of `run`. */
  args?: readonly string[];
}

export class AgentProcess {
  readonly state: string;
  readonly name: string;
  readonly output: Output;
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;

  constructor(options: AgentOptions) {
    this.state = options.state ?? newStateDir();
    this.name = options.name;
    this.#child = spawn(
      process.execPath,
      [AGENT_FILE, "run", "--state", this.state, "--name", options.name, ...(options.args ?? [])],
      {
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, STREAMSWARM_SERVER: options.server, STREAMSWARM_TOKEN: options.token },
      },
    );
    this.output = new Output(this.#child);
    this.exited = new Promise((resolve) => this.#child.once("exit", (code, signal) => resolve({ code, signal })));
  }

  /** Resolves when it stands in contact with the edge. */
  async connected(): Promise<void> {
    await this.output.line(/"msg":"connected"/, 20_000);
  }

  async stop(): Promise<Exit> {
    this.#child.kill("SIGTERM");
    return this.exited;
  }

  async killHard(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exited;
  }

  async dispose(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.stop();
    rmSync(this.state, { recursive: true, force: true });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get outboxFile(): string {
    return join(this.state, "outbox.db");
  }
}
