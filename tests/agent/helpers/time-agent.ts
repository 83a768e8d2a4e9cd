// A real agent whose clocks a test sets: its wall clock by libfaketime, its time since boot by a file over /proc/uptime.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "vitest";
import type { InstructedTest } from "#contract/wire";
import { CLI, scratch } from "./cli.ts";
import { HttpEdge, type Item } from "./edge.ts";
import { CA_FILE } from "./web-server.ts";

const LIBRARY = ["x86_64", "aarch64"]
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path));
/** Debian's package faketime is installed. */
export const CAN_SET = LIBRARY !== undefined;
/** A process may have mounts of its own. */
export const CAN_MOUNT = process.platform === "linux" && spawnSync("unshare", ["-m", "true"]).status === 0;

export interface Result extends Item {
  test_id: string;
  started_at: number;
  duration_ms: number;
  status: string;
  error: { code: string; source: string; message: string } | null;
  metrics: Record<string, number | string | boolean | null>;
  flags: string[];
  detail: Record<string, unknown>;
}

export type Planned = Pick<InstructedTest, "test_id" | "type" | "destination" | "params" | "interval_s"> &
  Partial<Pick<InstructedTest, "offset_s">>;

export class TimeAgent {
  readonly edge = new HttpEdge();
  readonly #context: TestContext;
  readonly #dir = scratch();
  readonly #wall = join(this.#dir, "faketime");
  readonly #uptime = join(this.#dir, "uptime");
  #process: ChildProcess | undefined;
  #asleep_s = 0;

  private constructor(context: TestContext) {
    this.#context = context;
  }

  /** Runs an agent with these tests until the test that asked for it is over. */
  static async start(
    context: TestContext,
    tests: readonly Planned[],
    { wall = "+0", sleeps = false }: { wall?: string; sleeps?: boolean } = {},
  ): Promise<TimeAgent> {
    const agent = new TimeAgent(context);
    await agent.#start(tests, wall, sleeps);
    return agent;
  }

  async #start(tests: readonly Planned[], wall: string, sleeps: boolean): Promise<void> {
    this.edge.instruction = {
      revision: 1,
      tests: tests.map((each, index) => ({ offset_s: index * 0.3, schedule: null, ...each })),
      upload_s: 1,
    };
    const server = await this.edge.listen();
    this.#context.onTestFinished(() => this.edge.close());
    this.setWall(wall);
    const run = [CLI, "run", "--server", server, "--token", "enrol", "--state", join(this.#dir, "state"), "--ca", CA_FILE];
    const mount = ["-m", "sh", "-c", 'mount --bind "$0" /proc/uptime && exec "$@"', this.#uptime, process.execPath, ...run];
    const [file, args] = sleeps ? ["unshare", mount] : [process.execPath, run];
    if (sleeps) this.#keepUptime();
    const faked = { LD_PRELOAD: LIBRARY, FAKETIME_TIMESTAMP_FILE: this.#wall, FAKETIME_NO_CACHE: "1", DONT_FAKE_MONOTONIC: "1" };
    const env = { ...process.env, NODE_NO_WARNINGS: "1", ...(CAN_SET ? faked : {}) };
    this.#process = spawn(file as string, args as string[], { stdio: "ignore", env });
    this.#context.onTestFinished(() => {
      this.#process?.kill("SIGCONT");
      this.#process?.kill("SIGKILL");
    });
  }

  /** The file the agent takes for /proc/uptime runs with the real one. */
  #keepUptime(): void {
    writeFileSync(this.#uptime, "");
    const file = openSync(this.#uptime, "w");
    const write = () => {
      const seconds = Number.parseFloat(readFileSync("/proc/uptime", "utf8")) + this.#asleep_s;
      writeSync(file, `${seconds.toFixed(2).padStart(16, "0")} 0.00\n`, 0);
    };
    write();
    const timer = setInterval(write, 20);
    this.#context.onTestFinished(() => clearInterval(timer));
  }

  /** Sets the agent's wall clock, as `+1d`. */
  setWall(to: string): void {
    writeFileSync(this.#wall, `${to}\n`);
  }

  /** The host has slept, as the agent's clocks tell it. */
  sleep(seconds: number): void {
    this.#asleep_s += seconds;
    this.setWall(`+${this.#asleep_s}`);
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name);
  }

  results(test_id?: string): Result[] {
    const all = this.edge.items.filter((item): item is Result => typeof item.test_id === "string");
    return test_id === undefined ? all : all.filter((result) => result.test_id === test_id);
  }

  /** Host samples so far. */
  samples(): Item[] {
    return this.edge.items.filter((item) => item.test_id === undefined);
  }

  /** Waits until something holds of the results. */
  async until(what: string, holds: () => boolean, timeout = 20_000): Promise<void> {
    await this.#context.expect.poll(holds, { message: what, timeout, interval: 100 }).toBe(true);
  }
}
