// One `npm start` of its own: free port, own state directory, own process group.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listProcesses } from "../../worker/ops/processes.ts";
import { Output } from "./output.ts";

const START = join(import.meta.dirname, "../../worker/ops/start.ts");
const READY_MS = 60_000;

export interface InstanceOptions {
  state?: string;
  port?: number;
  env?: Record<string, string>;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export class Instance {
  readonly state: string;
  readonly port: number;
  readonly output: Output;
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;

  private constructor(state: string, port: number, env: Record<string, string>) {
    this.state = state;
    this.port = port;
    this.#child = spawn(process.execPath, [START], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        HOST: "127.0.0.1",
        PORT: String(port),
        STREAMSWARM_STATE: state,
        // Tests send nothing to a machine outside.
        STARTER_DESTINATION: "127.0.0.1",
        ...env,
      },
    });
    this.output = new Output(this.#child);
    this.exited = new Promise((resolve) => this.#child.once("exit", (code, signal) => resolve({ code, signal })));
  }

  /** Starts without waiting: for a start that shall fail, or one that is killed on its way. */
  static async spawn(options: InstanceOptions = {}): Promise<Instance> {
    return new Instance(options.state ?? newStateDir(), options.port ?? (await freePort()), options.env ?? {});
  }

  static async start(options: InstanceOptions = {}): Promise<Instance> {
    const instance = await Instance.spawn(options);
    await instance.ready();
    return instance;
  }

  async ready(): Promise<void> {
    await this.output.line(/^ready http/, READY_MS);
  }

  get url(): string {
    return `http://localhost:${this.port}`;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The one-time link of a first start. */
  get setupLink(): string | undefined {
    return this.output.text.match(/^http\S+\/setup#\S+$/m)?.[0];
  }

  /** Every process of this instance: the starter, and the groups of edge and agent with all their members. */
  processes() {
    const all = listProcesses();
    const leaders = all.filter((info) => info.pid === this.pid || info.command.includes(this.state));
    const groups = new Set(leaders.filter((info) => info.pid !== process.pid).map((info) => info.group));
    return all.filter((info) => groups.has(info.group));
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Exit> {
    this.#child.kill(signal);
    return this.exited;
  }

  /** As a power cut would: nothing gets a chance to tidy up. `only` leaves the rest running. */
  async killHard(only: (command: string) => boolean = () => true): Promise<void> {
    for (const info of this.processes().filter(({ command }) => only(command))) {
      try {
        process.kill(info.pid, "SIGKILL");
      } catch (error) {
        // It went with its parent.
        if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
      }
    }
    await this.exited;
  }

  /** Ends whatever is left and deletes the state: for the end of a test, in any condition. */
  async dispose(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.stop();
    rmSync(this.state, { recursive: true, force: true });
  }
}

export function newStateDir(): string {
  return mkdtempSync(join(tmpdir(), "streamswarm-e2e-"));
}

export async function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.once("error", reject);
  server.listen({ host: "127.0.0.1", port: 0 }, () => {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    server.close(() => resolve(port));
  });
  return promise;
}
