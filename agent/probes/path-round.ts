// One round: every flow's sweep, what was lost asked again, and a new step asked twice before it is believed.
import { canonicalAddress } from "../address.ts";
import { type Baseline, type Difference, differences } from "./path-compare.ts";
import { distanceOf, type FlowPath, mergePaths } from "./path-merge.ts";
import { type FlowProbe, type SweepFailure, sweep } from "./path-sweep.ts";
import type { PathTool, SweepRequest } from "./path-tool.ts";

/** Tools of one run at the same time. */
export const PARALLEL_MAX = 6;
/** Children that ask again what was lost, in one round at most. */
const RETRIES_MAX = 8;
/** Flows that ask again about a hop which answered none. */
const SILENT_RETRY_FLOWS = 2;
/** Probes of a flow to a hop when it is alone in asking again. */
const LONE_RETRIES = 3;
/** A new step seen by one flow only is asked this often again. */
const CONFIRM_PROBES = 2;

/** Source ports of flows: above what systems give out by themselves. */
const PORTS = { first: 61_000, count: 4500 } as const;
/** Where a flow moves whose port another program holds. */
const PORT_STEP = 2003;

/** What a trace asks of its tool; the flow and the hops come with each sweep. */
export interface Trace {
  readonly tool: PathTool;
  readonly order: Omit<SweepRequest, "flow" | "first" | "last" | "queries">;
  readonly flows: readonly number[];
  readonly queries: number;
  readonly max_hops: number;
}

export interface RoundWatch {
  readonly signal: AbortSignal;
  /** What the path was before, if that is known. */
  readonly baseline: Baseline | undefined;
  readonly onProbe?: ((probe: FlowProbe) => void) | undefined;
  readonly onFlowEnd?: ((flow: number) => void) | undefined;
}

export interface Round {
  readonly probes: readonly FlowProbe[];
  readonly paths: readonly FlowPath[];
  /** Steps that are really new. */
  readonly changes: readonly Difference[];
  /** Why a flow gave nothing or was cut off; null when all went well. */
  readonly failure: SweepFailure | null;
}

/**
 * Source ports of the flows to an address, the same every time (FNV-1a of the address), so that a flow takes the same one of
 * several equal paths in every run.
 */
export function flowPorts(address: string, flows: number): number[] {
  let hash = 0x811c9dc5;
  for (const character of canonicalAddress(address)) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0;
  return Array.from({ length: flows }, (_, i) => PORTS.first + ((hash + i) % PORTS.count));
}

const otherPort = (port: number): number => PORTS.first + ((port - PORTS.first + PORT_STEP) % PORTS.count);

/** Runs tasks, at most so many at a time, and answers in their order. */
async function inParallel<Result>(tasks: readonly (() => Promise<Result>)[], most = PARALLEL_MAX): Promise<Result[]> {
  const results: Result[] = [];
  const queue = [...tasks.entries()];
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) results[next[0]] = await next[1]();
  };
  await Promise.all(Array.from({ length: Math.min(most, tasks.length) }, worker));
  return results;
}

/** Every flow once over the whole path. */
async function sweepAll(trace: Trace, watch: RoundWatch): Promise<{ probes: FlowProbe[]; failures: SweepFailure[] }> {
  const expect = watch.baseline === undefined ? undefined : distanceOf([...watch.baseline.flows.values()]);
  const one = async (flow: number) => {
    const request = { ...trace.order, flow, first: 1, last: trace.max_hops, queries: trace.queries };
    const about = { signal: watch.signal, expect, onProbe: watch.onProbe };
    const result = await sweep(trace.tool, request, about);
    const again = result.failure?.kind === "port_taken";
    const final = again ? await sweep(trace.tool, { ...request, flow: otherPort(flow) }, about) : result;
    watch.onFlowEnd?.(flow);
    return final;
  };
  const results = await inParallel(trace.flows.map((flow) => () => one(flow)));
  return {
    probes: results.flatMap(({ probes }) => probes),
    failures: results.flatMap(({ failure }) => (failure === null ? [] : [failure])),
  };
}

/** Neighbouring hops as ranges. */
function ranges(ttls: readonly number[]): { first: number; last: number }[] {
  const found: { first: number; last: number }[] = [];
  for (const ttl of ttls) {
    const open = found.at(-1);
    if (open !== undefined && open.last === ttl - 1) found[found.length - 1] = { ...open, last: ttl };
    else found.push({ first: ttl, last: ttl });
  }
  return found;
}

interface Retry {
  readonly flow: number;
  readonly first: number;
  readonly last: number;
  readonly queries: number;
}

/**
 * What is worth asking again: hops that answered no flow, unless they never do, by two flows; and hops that answered others, by the
 * flow that was not answered.
 */
export function retriesOf(paths: readonly FlowPath[], baseline: Baseline | undefined): Retry[] {
  const distance = distanceOf(paths);
  const until = distance ?? Math.max(0, ...paths.map(({ path }) => path.length));
  const ttls = Array.from({ length: until }, (_, i) => i + 1);
  const silent = ttls.filter((ttl) => paths.every(({ path }) => (path[ttl - 1] ?? null) === null));
  const usual = (ttl: number) =>
    baseline !== undefined && distanceOf([...baseline.flows.values()]) === distance && (baseline.known[ttl - 1]?.size ?? 0) === 0;
  const unexpected = ranges(silent.filter((ttl) => !usual(ttl)));
  const askers = paths.slice(0, SILENT_RETRY_FLOWS).map(({ flow }) => flow);
  const queries = askers.length === 1 ? LONE_RETRIES : 1;
  const forAll = unexpected.flatMap((range) => askers.map((flow) => ({ flow, ...range, queries })));
  const forOne = paths.flatMap(({ flow, path, reached, stopped }) => {
    const end = reached || stopped !== null ? path.length : until;
    const gaps = ttls.filter((ttl) => ttl <= end && (path[ttl - 1] ?? null) === null && !silent.includes(ttl));
    return ranges(gaps).map((range) => ({ flow, ...range, queries: 1 }));
  });
  return [...forAll, ...forOne].slice(0, RETRIES_MAX);
}

async function ask(trace: Trace, retries: readonly Retry[], watch: RoundWatch): Promise<FlowProbe[]> {
  const tasks = retries.map((retry) => () => sweep(trace.tool, { ...trace.order, ...retry }, { signal: watch.signal }));
  return (await inParallel(tasks)).flatMap(({ probes }) => probes);
}

/** Steps that hold when asked again. One that shows its old address too is load balancing within the flow. */
async function confirm(
  trace: Trace,
  found: readonly Difference[],
  watch: RoundWatch,
): Promise<{ changes: Difference[]; probes: FlowProbe[] }> {
  const lone = found.filter(({ flows }) => flows.length === 1).slice(0, RETRIES_MAX);
  const retries = lone.map(({ ttl, flows }) => ({ flow: flows[0] ?? 0, first: ttl, last: ttl, queries: CONFIRM_PROBES }));
  const probes = await ask(trace, retries, watch);
  const returned = (step: Difference) =>
    probes.some(({ ttl, flow, addr }) => step.flows.includes(flow) && ttl === step.ttl && addr !== null && addr !== step.to);
  return { changes: found.filter((step) => !returned(step)), probes };
}

/** Probes the whole path once, over every flow. */
export async function probeRound(trace: Trace, watch: RoundWatch): Promise<Round> {
  const swept = await sweepAll(trace, watch);
  const target = trace.order.address;
  const first = mergePaths(swept.probes, target);
  if (first.length === 0) return { probes: [], paths: [], changes: [], failure: swept.failures[0] ?? null };
  const asked = await ask(trace, retriesOf(first, watch.baseline), watch);
  const probes = [...swept.probes, ...asked];
  const paths = mergePaths(probes, target);
  const found = watch.baseline === undefined ? [] : differences(paths, watch.baseline);
  const confirmed = found.length === 0 ? { changes: [], probes: [] } : await confirm(trace, found, watch);
  return { probes: [...probes, ...confirmed.probes], paths, changes: confirmed.changes, failure: swept.failures[0] ?? null };
}

/** Random flows that look for next hops which the steady ones missed: six meet both of two in 97 of 100 cases only. */
const CENSUS_PROBES = 8;

/** Addresses by hop, from the first to `last`, that probes of many flows meet. */
export async function census(trace: Trace, last: number, signal: AbortSignal): Promise<string[][]> {
  const request = { ...trace.order, flow: 0, first: 1, last, queries: CENSUS_PROBES };
  const { probes } = await sweep(trace.tool, request, { signal });
  const at = (ttl: number) => probes.flatMap((probe) => (probe.ttl === ttl && probe.addr !== null ? [probe.addr] : []));
  return Array.from({ length: last }, (_, i) => [...new Set(at(i + 1))]);
}
