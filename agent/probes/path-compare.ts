// Whether a path changed. Pure, but for the memory of what each test saw last.
import type { FlowPath } from "./path-merge.ts";

/** A step of the path that is new where it stands. */
export interface Difference {
  readonly ttl: number;
  /** null where the path ended before. */
  readonly from: string | null;
  readonly to: string;
  /** Flows that show it. */
  readonly flows: readonly number[];
}

/** What is known of a path: the way of each flow, and at each hop every address load balancing may lead to. */
export interface Baseline {
  readonly flows: ReadonlyMap<number, FlowPath>;
  readonly known: readonly ReadonlySet<string>[];
}

/** The first hop at which a flow leaves every way known for its distance. */
function firstDifference(now: FlowPath, before: FlowPath, known: Baseline["known"]): Omit<Difference, "flows"> | undefined {
  for (const [i, to] of now.path.entries()) {
    const beyond = i >= before.path.length;
    // Behind the last hop a dead path showed, anything is news of its recovery and no other way.
    if (beyond && !before.reached) return undefined;
    const from = before.path[i] ?? null;
    if (to === null || to === from || (from === null && !beyond)) continue;
    if (now.stopped?.ttl === i + 1 || before.stopped?.ttl === i + 1) continue;
    if (!known[i]?.has(to)) return { ttl: i + 1, from, to };
  }
  return undefined;
}

/**
 * Steps at which flows left the paths known before, gathered over the flows. A hop that is silent in either is no difference, nor
 * is a flow that moved onto a way another flow had.
 */
export function differences(paths: readonly FlowPath[], baseline: Baseline): Difference[] {
  const found: Difference[] = [];
  for (const now of paths) {
    const before = baseline.flows.get(now.flow);
    const step = before === undefined ? undefined : firstDifference(now, before, baseline.known);
    if (step === undefined) continue;
    const same = found.findIndex(({ ttl, from, to }) => ttl === step.ttl && from === step.from && to === step.to);
    const flows = found[same]?.flows ?? [];
    if (same < 0) found.push({ ...step, flows: [now.flow] });
    else found[same] = { ...step, flows: [...flows, now.flow] };
  }
  return found;
}

/** What a flow is known by from now on: silent hops keep what was known where nothing contradicts it. */
function remembered(now: FlowPath, before: FlowPath | undefined): FlowPath {
  if (before === undefined) return now;
  const agrees = now.path.every((addr, i) => addr === null || (before.path[i] ?? null) === null || before.path[i] === addr);
  if (!agrees || (now.reached && before.reached && now.path.length !== before.path.length)) return now;
  const longer = now.reached || now.path.length >= before.path.length ? now : before;
  const path = longer.path.map((_, i) => now.path[i] ?? before.path[i] ?? null);
  return {
    flow: now.flow,
    path,
    reached: now.reached || (longer === before && before.reached),
    stopped: now.reached ? null : now.stopped,
  };
}

/** Addresses remembered of a hop at most; whoever was not seen for longest is forgotten first. */
const KNOWN_MAX = 64;

/** Every address seen at each hop. */
function addressesByHop(paths: readonly (readonly (string | null)[])[]): Set<string>[] {
  const hops: Set<string>[] = [];
  for (const path of paths)
    for (const [i, addr] of path.entries()) {
      hops[i] ??= new Set();
      if (addr !== null) hops[i].add(addr);
    }
  return hops;
}

const latest = (before: ReadonlySet<string>, now: ReadonlySet<string>): Set<string> =>
  new Set([...[...before].filter((addr) => !now.has(addr)), ...now].slice(-KNOWN_MAX));

/**
 * The baseline for the next comparison. `seen` are further paths of the same time. What load balancing may lead to adds up, so that a
 * next hop may go and come back; after a change only what was seen now counts, so that the way back is a change again.
 */
export function nextBaseline(
  paths: readonly FlowPath[],
  before: Baseline | undefined,
  changed: boolean,
  seen: readonly (readonly (string | null)[])[] = [],
): Baseline {
  const kept = changed ? undefined : before;
  const flows = paths.map((now) => remembered(now, kept?.flows.get(now.flow)));
  const now = addressesByHop([...seen, ...flows.map(({ path }) => path)]);
  const hops = Math.max(now.length, kept?.known.length ?? 0);
  const known = Array.from({ length: hops }, (_, i) => latest(kept?.known[i] ?? new Set(), now[i] ?? new Set()));
  return { flows: new Map(flows.map((flow) => [flow.flow, flow])), known };
}

/** The least recently used go when there are more. */
const REMEMBERED_MAX = 256;

/** What the tests of this process saw last. */
export class PathMemory<Value> {
  readonly #values = new Map<string, Value>();

  get(key: string): Value | undefined {
    const value = this.#values.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: string, value: Value): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    const [oldest] = this.#values.keys();
    if (this.#values.size > REMEMBERED_MAX && oldest !== undefined) this.#values.delete(oldest);
  }
}
