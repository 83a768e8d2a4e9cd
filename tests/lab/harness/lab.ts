// One lab of namespaces and emulated links, driven through netlab.sh.
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { TOOL_PATH } from "./needs.ts";
import { type Packet, readTrace } from "./trace.ts";

const SCRIPT = fileURLToPath(new URL("../netlab.sh", import.meta.url));
/** The file in a lab's state directory that says whose it is. */
const OWNER = "owner";

export type Family = 4 | 6;
export const FAMILIES: readonly Family[] = [4, 6];

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
  took_ms: number;
}

export interface PathTruth {
  rtt_ms: number;
  oneway_up_ms: number;
  oneway_down_ms: number;
  jitter_sum_ms: number;
  loss_up_pct: number;
  loss_down_pct: number;
  loss_roundtrip_pct: number;
  pmtu: number;
}

export interface Truth {
  target4: string;
  target6: string;
  hops4: string[][];
  hops6: string[][];
  silent_ttls: number[];
  icmp_blackhole: boolean;
  paths: { A: PathTruth; B?: PathTruth };
}

/** Offices beside `agent`, there after `sites`. */
export type Office = "o2" | "o3" | "o4";
export type LabNode = "agent" | "r1" | "r2" | "r3" | "target" | "edge" | Office;

export interface ExecOptions {
  /** Without CAP_NET_RAW, as nobody. */
  unprivileged?: boolean;
  node?: LabNode;
  env?: Record<string, string>;
  /** Milliseconds after which the command is killed. */
  timeout?: number;
  signal?: AbortSignal;
}

/** Runs a command to its end; killed with its children at `timeout` or by `signal`. */
function run(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  timeout: number,
  signal?: AbortSignal,
): Promise<Ended> {
  const start = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  const child = spawn(file, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const kill = () => {
    if (child.pid === undefined || child.exitCode !== null) return;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It ended in this moment.
    }
  };
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const timer = setTimeout(kill, timeout);
  signal?.addEventListener("abort", kill);
  child.on("error", reject);
  child.on("close", (code) => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", kill);
    resolve({ code, stdout, stderr, took_ms: performance.now() - start });
  });
  return promise;
}

export class Lab {
  readonly id: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(id: string) {
    this.id = id;
    this.#env = { ...process.env, PATH: TOOL_PATH, NETLAB_ID: id, NETLAB_NODE: process.execPath };
  }

  get state(): string {
    return `/run/netlab-${this.id}`;
  }

  /** The certificate authority of the lab's servers. */
  get ca(): string {
    return join(this.state, "ca.pem");
  }

  async #command(...args: readonly string[]): Promise<string> {
    const ended = await run("bash", [SCRIPT, ...args], this.#env, 120_000);
    if (ended.code === 0) return ended.stdout;
    throw new Error(`netlab.sh ${args.join(" ")} ended with ${ended.code}:\n${ended.stderr || ended.stdout}`);
  }

  /** Builds the lab, or clears the impairments of one that stands. */
  async up(): Promise<void> {
    await this.#command("up");
  }

  /** Marks the lab as this process's, so that a later run can clear what a killed one left. */
  own(): void {
    writeFileSync(join(this.state, OWNER), String(process.pid));
  }

  /** Clears everything, then applies the words of `netlab.sh set`, and forgets all counts. */
  async shape(...words: readonly string[]): Promise<void> {
    await this.#command("set", "all", "clear", ...words);
    await this.reset();
  }

  /** Changes what the words name and nothing else. */
  async change(...words: readonly string[]): Promise<void> {
    await this.#command("set", ...words);
  }

  /** Adds offices beside `agent`, `count` in all, and the node where an edge can run. */
  async sites(count: 2 | 3 | 4): Promise<void> {
    await this.#command("sites", String(count));
  }

  async preset(name: string): Promise<void> {
    await this.#command("preset", name);
  }

  async truth(): Promise<Truth> {
    return JSON.parse(await this.#command("truth")) as Truth;
  }

  /** Counters and trace start anew. */
  async reset(): Promise<void> {
    await this.#command("counters", "--reset");
  }

  /** Every packet on every link since the last reset. */
  async trace(): Promise<Packet[]> {
    return readTrace(await this.#command("trace"));
  }

  /** Packets that the emulator did not choose to lose; a lab is only fair while this is 0. */
  async overruns(): Promise<number> {
    return Number(/must be 0\): (\d+)/.exec(await this.#command("status"))?.[1] ?? Number.NaN);
  }

  exec(argv: readonly string[], options: ExecOptions = {}): Promise<Ended> {
    const flags = options.unprivileged ? ["--unpriv"] : [];
    const args = [SCRIPT, "exec", ...flags, options.node ?? "agent", "--", ...argv];
    const env = { ...this.#env, LC_ALL: "C", ...options.env };
    return run("bash", args, env, options.timeout ?? 120_000, options.signal);
  }

  /** Starts a command that runs until it is stopped, in a process group of its own. */
  spawn(node: LabNode, argv: readonly string[], env: Record<string, string> = {}): ChildProcess {
    const options: SpawnOptions = { env: { ...this.#env, ...env }, stdio: ["ignore", "pipe", "pipe"], detached: true };
    return spawn("bash", [SCRIPT, "exec", node, "--", ...argv], options);
  }

  down(): void {
    spawnSync("bash", [SCRIPT, "down"], { env: this.#env, stdio: "ignore" });
  }
}

/** Takes down labs whose owner was killed before it could. */
export function clearAbandoned(): void {
  for (const name of readdirSync("/run")) {
    const id = /^netlab-([a-z0-9]{1,8})$/.exec(name)?.[1];
    const owner = join("/run", name, OWNER);
    if (id === undefined || !existsSync(owner)) continue;
    if (!existsSync(`/proc/${readFileSync(owner, "utf8").trim()}`)) new Lab(id).down();
  }
}
