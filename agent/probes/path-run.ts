// The rounds of one run: which protocol reaches the target, what changed between rounds, and what is known in the end.
import { performance } from "node:perf_hooks";
import { sameAddress } from "../address.ts";
import { waitUntil } from "../wait.ts";
import { type Baseline, type Difference, nextBaseline, PathMemory } from "./path-compare.ts";
import { distanceOf, type FlowPath, hasLoop } from "./path-merge.ts";
import { census, flowPorts, probeRound, type Round, type RoundWatch, type Trace } from "./path-round.ts";
import { type FlowProbe, type SweepFailure, sweep } from "./path-sweep.ts";
import type { PathMethod, PathTool, SweepRequest } from "./path-tool.ts";

/** Echo requests for each hop where there is one flow only. */
const LONE_QUERIES = 3;
/** Echo requests that look into missing answers of the target: children, and for each the most that traceroute sends to a hop. */
const ECHO = { children: 2, queries: 10 } as const;

/** One run, in validated numbers. Seconds. */
export interface RunPlan {
  readonly tool: PathTool;
  readonly order: Omit<Trace["order"], "method" | "port">;
  /** Protocols in the order they are tried. */
  readonly methods: readonly PathMethod[];
  readonly port: number | undefined;
  readonly flows: number;
  readonly count: number;
  readonly rounds: number;
  readonly interval: number;
  readonly max_hops: number;
  /** Names what earlier runs are compared by; absent for a single run. */
  readonly key: string | undefined;
}

export interface PathChange extends Difference {
  readonly round: number;
}

export interface Tried {
  readonly method: PathMethod;
  readonly reached: boolean;
  readonly failure: SweepFailure | null;
}

/** What a run knows in the end. */
export interface PathRun {
  readonly method: PathMethod;
  readonly tried: readonly Tried[];
  /** Flows of the last round. */
  readonly paths: readonly FlowPath[];
  /** What is known of the flows' paths, silent hops filled from earlier rounds. */
  readonly known: readonly FlowPath[];
  /** Since the last change. */
  readonly probes: readonly FlowProbe[];
  /** Of the whole run, to the target's hop; in the order sent, as far as it is known. */
  readonly target: readonly FlowProbe[];
  /** Echo requests to the target where its ICMP errors went missing; undefined where there was no need or no right to send them. */
  readonly echo: readonly FlowProbe[] | undefined;
  /** Addresses by hop that only random flows met. */
  readonly further: readonly (readonly string[])[];
  readonly changes: readonly PathChange[];
  /** Whether there was something to compare with. */
  readonly compared: boolean;
  readonly rounds: number;
  readonly failure: SweepFailure | null;
}

/** Hears what a run does while it does it. */
export interface RunWatch {
  begin(method: PathMethod, round: number, flows: readonly number[]): void;
  probe(probe: FlowProbe): void;
  flowEnd(flow: number): void;
  end(round: Round, method: PathMethod, number: number): void;
}

const baselines = new PathMemory<Baseline>();
const reaching = new PathMemory<PathMethod>();

const DEFAULT_PORT = { udp: 33_434, icmp: 1, tcp: 443 } as const;

function traceOf(plan: RunPlan, method: PathMethod): Trace {
  const { tool } = plan;
  const flows = Math.min(plan.flows, tool.flows(method));
  const queries = flows === 1 && plan.flows > 1 ? Math.max(plan.count, LONE_QUERIES) : plan.count;
  const order: Omit<SweepRequest, "flow" | "first" | "last" | "queries"> = {
    ...plan.order,
    method,
    port: plan.port ?? DEFAULT_PORT[method],
  };
  return { tool, order, flows: flowPorts(plan.order.address, flows), queries, max_hops: plan.max_hops };
}

/** The rounds of one run, and what it finds. */
export class PathRunner {
  readonly #plan: RunPlan;
  readonly #watch: RunWatch;
  readonly #signal: AbortSignal;
  readonly #tried: Tried[] = [];
  readonly #changes: PathChange[] = [];
  readonly #baselines = new Map<PathMethod, Baseline>();
  #settled: { method: PathMethod; last: Round } | undefined;
  #probes: FlowProbe[] = [];
  #target: FlowProbe[] = [];
  #rounds = 0;
  #compared = false;

  constructor(plan: RunPlan, watch: RunWatch, signal: AbortSignal) {
    this.#plan = plan;
    this.#watch = watch;
    this.#signal = signal;
  }

  #key(method: PathMethod): string | undefined {
    const { key, tool } = this.#plan;
    return key === undefined || !tool.steady(method) ? undefined : `${key} ${method} ${this.#plan.order.address}`;
  }

  #baseline(method: PathMethod): Baseline | undefined {
    const key = this.#key(method);
    return this.#baselines.get(method) ?? (key === undefined ? undefined : baselines.get(key));
  }

  async #probe(method: PathMethod): Promise<Round> {
    const trace = traceOf(this.#plan, method);
    this.#watch.begin(method, this.#rounds + 1, trace.flows);
    const steady = this.#plan.tool.steady(method);
    const about: RoundWatch = {
      signal: this.#signal,
      baseline: steady ? this.#baseline(method) : undefined,
      onProbe: (probe) => this.#watch.probe(probe),
      onFlowEnd: (flow) => this.#watch.flowEnd(flow),
    };
    const round = await probeRound(trace, about);
    this.#watch.end(round, method, this.#rounds + 1);
    return round;
  }

  /** Protocols for the next round: the one in use, else all, the one that reached the target last time first. */
  #candidates(): PathMethod[] {
    if (this.#settled !== undefined) return [this.#settled.method];
    const { key, methods } = this.#plan;
    const proven = key === undefined ? undefined : reaching.get(`${key} ${this.#plan.order.address}`);
    return proven === undefined || !methods.includes(proven) ? [...methods] : [...new Set([proven, ...methods])];
  }

  /** One round; of several protocols the first that reaches the target, else the one that saw most of the path. */
  async round(): Promise<void> {
    let best: { method: PathMethod; last: Round } | undefined;
    const seen = (round: Round) => Math.max(0, ...round.paths.map(({ path }) => path.length));
    for (const method of this.#candidates()) {
      const last = await this.#probe(method);
      const reached = distanceOf(last.paths) !== undefined;
      if (this.#settled === undefined) this.#tried.push({ method, reached, failure: last.failure });
      if (best === undefined || reached || seen(last) > seen(best.last)) best = { method, last };
      // What goes in circles does so by any protocol.
      const circles = last.paths.some(({ path }) => hasLoop(path, this.#plan.order.address));
      // A router that says there is no such network or host says it to every protocol.
      const nowhere = last.paths.some(({ stopped }) => stopped?.icmp === "!N" || stopped?.icmp === "!H");
      if (reached || circles || nowhere || this.#signal.aborted) break;
    }
    if (best === undefined || best.last.paths.length === 0) return;
    this.#rounds += 1;
    this.#settled = best;
    this.#learn(best.method, best.last);
  }

  #learn(method: PathMethod, round: Round): void {
    const before = this.#baseline(method);
    const changed = round.changes.length > 0;
    this.#compared ||= before !== undefined;
    this.#changes.push(...round.changes.map((change) => ({ ...change, round: this.#rounds })));
    if (changed) this.#probes = [];
    this.#probes.push(...round.probes);
    const distance = distanceOf(round.paths);
    // Silence where the target answers others is its loss; a flow of another length has its own last hop.
    const ends = new Map(round.paths.map(({ flow, path, reached }) => [flow, reached ? path.length : distance]));
    this.#target.push(...round.probes.filter(({ flow, ttl }) => ends.get(flow) === ttl));
    this.#remember(method, nextBaseline(round.paths, before, changed, this.#seenBeside(round)));
    const { key } = this.#plan;
    if (key !== undefined && distance !== undefined) reaching.set(`${key} ${this.#plan.order.address}`, method);
  }

  /** Every answer of a round as a path of one hop, so that all of them are known at their hop. */
  #seenBeside(round: Round): (string | null)[][] {
    return round.probes
      .filter(({ addr, icmp }) => addr !== null && icmp === null)
      .map(({ ttl, addr }) => [...Array.from({ length: ttl - 1 }, () => null), addr]);
  }

  #remember(method: PathMethod, baseline: Baseline): void {
    this.#baselines.set(method, baseline);
    const key = this.#key(method);
    if (key !== undefined) baselines.set(key, baseline);
  }

  /** Looks once with random flows when a path seen for the first time has a single way. */
  async #further(): Promise<string[][]> {
    const settled = this.#settled;
    if (settled === undefined || this.#compared || this.#signal.aborted || settled.method !== "udp") return [];
    const trace = traceOf(this.#plan, settled.method);
    const distance = distanceOf(settled.last.paths);
    const single = new Set(settled.last.paths.map(({ path }) => path.join(" "))).size === 1;
    if (distance === undefined || distance < 2 || trace.flows.length === 1 || !single) return [];
    const found = await census(trace, distance - 1, this.#signal);
    const seen = found.flatMap((addrs, i) => addrs.map((addr) => [...Array.from({ length: i }, () => null), addr]));
    this.#remember(settled.method, nextBaseline(settled.last.paths, this.#baseline(settled.method), false, seen));
    return found;
  }

  /**
   * A target may hold its ICMP errors back (RFC 1812 4.3.2.8, RFC 4443 2.4 f), but not its echo replies: they tell whether what is
   * missing was lost.
   */
  async #echo({ method, last }: { method: PathMethod; last: Round }): Promise<readonly FlowProbe[] | undefined> {
    const distance = distanceOf(last.paths);
    const whole = this.#target.every(({ addr }) => addr !== null);
    if (method !== "udp" || distance === undefined || whole || this.#signal.aborted) return undefined;
    const { tool } = this.#plan;
    if (!tool.methods.includes("icmp")) return undefined;
    const [flow = 0] = flowPorts(this.#plan.order.address, 1);
    const order = { ...this.#plan.order, method: "icmp" as const, port: DEFAULT_PORT.icmp, flow };
    const request = { ...order, first: distance, last: distance, queries: ECHO.queries };
    const sweeps = Array.from({ length: ECHO.children }, () => sweep(tool, request, { signal: this.#signal }));
    const probes = (await Promise.all(sweeps)).flatMap((swept) => swept.probes);
    return probes.some(({ addr }) => sameAddress(addr, order.address)) ? probes : undefined;
  }

  /** What is known by now; undefined when no round gave anything. */
  async finish(): Promise<PathRun | { tried: readonly Tried[] }> {
    const settled = this.#settled;
    if (settled === undefined) return { tried: this.#tried };
    const known = this.#baselines.get(settled.method)?.flows;
    const further = await this.#further();
    const echo = await this.#echo(settled);
    return {
      method: settled.method,
      tried: this.#tried,
      paths: settled.last.paths,
      known: settled.last.paths.map((path) => known?.get(path.flow) ?? path),
      probes: this.#probes,
      target: this.#target,
      echo,
      further,
      changes: this.#changes,
      compared: this.#compared,
      rounds: this.#rounds,
      failure: settled.last.failure,
    };
  }
}

/** Runs the rounds on their schedule until all are done or the signal says that time is over. */
export async function runRounds(plan: RunPlan, watch: RunWatch, signal: AbortSignal): Promise<PathRunner> {
  const runner = new PathRunner(plan, watch, signal);
  const start = performance.now();
  for (let i = 0; i < plan.rounds; i++) {
    if (!(await waitUntil(start + i * plan.interval * 1000, signal))) break;
    await runner.round();
  }
  return runner;
}
