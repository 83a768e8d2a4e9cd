// From the probes of a round to the path of each flow. Pure.
import { canonicalAddress, sameAddress } from "../address.ts";
import type { FlowProbe } from "./path-sweep.ts";

/** The way of one flow. */
export interface FlowPath {
  readonly flow: number;
  /** Address by hop, from the first; null where nobody answered this flow. Ends with the target when it was reached. */
  readonly path: readonly (string | null)[];
  readonly reached: boolean;
  /** The ICMP error that ended it, and whose it was; null when none did. */
  readonly stopped: { readonly ttl: number; readonly by: string; readonly icmp: string } | null;
}

/** Addresses that answered one flow at one hop, in order. */
function addressesAt(probes: readonly FlowProbe[], ttl: number): string[] {
  return probes.flatMap((probe) => (probe.ttl === ttl && probe.addr !== null ? [probe.addr] : []));
}

function pathOf(flow: number, all: readonly FlowProbe[], target: string): FlowPath {
  const probes = all.filter((probe) => probe.flow === flow);
  const last = Math.max(0, ...probes.map(({ ttl }) => ttl));
  const path: (string | null)[] = [];
  for (let ttl = 1; ttl <= last; ttl++) {
    const addresses = addressesAt(probes, ttl);
    if (addresses.some((addr) => sameAddress(addr, target))) {
      return { flow, path: [...path, canonicalAddress(target)], reached: true, stopped: null };
    }
    const error = probes.find((probe) => probe.ttl === ttl && probe.icmp !== null && probe.addr !== null);
    if (error?.addr && error.icmp !== null) {
      // Whoever refuses may be a router already passed: its address is no step of the path.
      const stopped = { ttl, by: error.addr, icmp: error.icmp };
      return { flow, path: path.includes(error.addr) ? path : [...path, error.addr], reached: false, stopped };
    }
    path.push(addresses[0] ?? null);
  }
  while (path.at(-1) === null) path.pop();
  return { flow, path, reached: false, stopped: null };
}

/** The first distance at which the target answered any flow; undefined when it did not. */
export function distanceOf(paths: readonly FlowPath[]): number | undefined {
  const ends = paths.filter(({ reached }) => reached).map(({ path }) => path.length);
  return ends.length === 0 ? undefined : Math.min(...ends);
}

/**
 * A flow whose answer from the target was lost meets the target again one hop later: those hops do not exist. Nor do hops behind
 * the target's distance of which nothing was heard.
 */
function cutBehindTarget(flowPath: FlowPath, distance: number): FlowPath {
  const { path, reached } = flowPath;
  const behind = path.slice(distance - 1, reached ? -1 : undefined);
  if (path.length <= distance || behind.some((addr) => addr !== null)) return flowPath;
  return { ...flowPath, path: [...path.slice(0, distance - 1), null] };
}

/**
 * A router that refuses answers every packet that comes past it, but seldom: a flow whose earlier probes it left unanswered
 * hears of it late. The path ends where the first flow heard of it.
 */
function cutAtRefuser(flowPath: FlowPath, paths: readonly FlowPath[]): FlowPath {
  const { stopped, path } = flowPath;
  if (stopped === null) return flowPath;
  const heard = paths.flatMap((other) => (other.stopped?.by === stopped.by ? [other.stopped.ttl] : []));
  const ttl = Math.min(...heard);
  if (ttl === stopped.ttl) return flowPath;
  const before = path.slice(0, ttl - 1);
  const shorter = before.includes(stopped.by) ? before : [...before, stopped.by];
  return { ...flowPath, path: shorter, stopped: { ...stopped, ttl } };
}

/** The path of every flow that was probed. `target` is the address measured. */
export function mergePaths(probes: readonly FlowProbe[], target: string): FlowPath[] {
  const flows = [...new Set(probes.map(({ flow }) => flow))];
  const heard = flows.map((flow) => pathOf(flow, probes, target));
  const paths = heard.map((path) => cutAtRefuser(path, heard));
  const distance = distanceOf(paths);
  return distance === undefined ? paths : paths.map((path) => cutBehindTarget(path, distance));
}

/** Hops to list: up to the target on the longest path to it, else up to the first of the silent ones at the end. */
export function listedHops(paths: readonly FlowPath[], probed: number): number {
  const reached = paths.filter((path) => path.reached).map(({ path }) => path.length);
  if (reached.length > 0) return Math.max(...reached);
  const stopped = Math.max(0, ...paths.map((path) => path.stopped?.ttl ?? 0));
  const answered = Math.max(0, ...paths.map(({ path }) => path.length));
  return Math.min(
    probed,
    Math.max(stopped, stopped > answered ? stopped : answered + (stopped === answered && stopped > 0 ? 0 : 1)),
  );
}

/** Whether two paths can be the same one, a silent hop being any. */
export function compatible(one: readonly (string | null)[], other: readonly (string | null)[]): boolean {
  if (one.length !== other.length) return false;
  return one.every((addr, i) => addr === null || other[i] === null || addr === other[i]);
}

/** Fills the silent hops of one path from a compatible other. */
const joined = (one: readonly (string | null)[], other: readonly (string | null)[]): (string | null)[] =>
  one.map((addr, i) => addr ?? other[i] ?? null);

const silentHops = (path: readonly (string | null)[]): number => path.filter((addr) => addr === null).length;

/** Distinct paths among those of the flows; ones that differ in silent hops only are the same. */
export function distinctPaths(paths: readonly (readonly (string | null)[])[]): (string | null)[][] {
  const distinct: (string | null)[][] = [];
  for (const path of [...paths].sort((a, b) => silentHops(a) - silentHops(b))) {
    const same = distinct.findIndex((other) => compatible(path, other));
    if (same < 0) distinct.push([...path]);
    else distinct[same] = joined(distinct[same] ?? [], path);
  }
  return distinct;
}

/**
 * Whether a path meets an address again after another one, or three times: packets go in circles (RFC 792 time exceeded from the
 * same router). Twice in a row is a router that passes on expired packets.
 */
export function hasLoop(path: readonly (string | null)[], target: string): boolean {
  return path.some((addr, i) => {
    if (addr === null || sameAddress(addr, target)) return false;
    const again = path.indexOf(addr, i + 1);
    return again > i + 1 || (again === i + 1 && path[i + 2] === addr);
  });
}
