// What a result tells of a path beside its metrics: hops and flows, cut to what a result can hold. Pure.
import type { AsnTable, Network } from "../asn.ts";
import type { Hop } from "./path-hops.ts";
import type { PathReading } from "./path-metrics.ts";
import type { PathChange, PathRun } from "./path-run.ts";

/** A hop as it is told. `names` and `asns` stand in the order of `addrs`; null where nobody knows. */
export interface HopDetail extends Hop {
  /** Addresses met here besides, when there were too many to tell. */
  readonly more_addrs?: number;
  readonly names?: readonly (string | null)[];
  readonly asns?: readonly (Network | null)[];
}

export interface PathDetail {
  readonly method: string;
  readonly rounds: number;
  readonly hops: readonly HopDetail[];
  readonly flows: readonly { readonly flow: number; readonly path: readonly (string | null)[]; readonly reached: boolean }[];
  readonly changes: readonly PathChange[];
}

/** What is known of addresses; either may not have been asked for. */
export interface Directory {
  readonly names: { of(address: string): string | null } | undefined;
  readonly table: Pick<AsnTable, "find"> | undefined;
}

/** What is told of each hop: so many addresses, and texts of so many characters. */
interface Room {
  readonly addresses: number;
  readonly text: number;
}
/** The first of these with which all hops together stay below the limit, bytes of JSON, is taken. */
const ROOMS: readonly Room[] = [
  { addresses: 8, text: 100 },
  { addresses: 4, text: 100 },
  { addresses: 2, text: 100 },
  { addresses: 1, text: 100 },
];
const LEAST_ROOM: Room = { addresses: 1, text: 30 };
const HOPS_BYTES = 28_000;
const CHANGES_MAX = 32;

function hopDetail(hop: Hop, { addresses, text }: Room, { names, table }: Directory): HopDetail {
  const cut = (words: string): string => (words.length > text ? `${words.slice(0, text - 1)}…` : words);
  const addrs = hop.addrs.slice(0, addresses);
  const rest = hop.addrs.length - addrs.length;
  const nameOf = (address: string): string | null => {
    const name = names?.of(address) ?? null;
    return name === null ? null : cut(name);
  };
  const networkOf = (address: string): Network | null => {
    const network = table?.find(address);
    return network === undefined ? null : { asn: network.asn, name: cut(network.name) };
  };
  return {
    ...hop,
    addrs,
    ...(hop.icmp === undefined ? {} : { icmp: hop.icmp.slice(0, addresses) }),
    ...(hop.mpls === undefined ? {} : { mpls: hop.mpls.slice(0, addresses).map(cut) }),
    ...(rest > 0 ? { more_addrs: rest } : {}),
    ...(names === undefined ? {} : { names: addrs.map(nameOf) }),
    ...(table === undefined ? {} : { asns: addrs.map(networkOf) }),
  };
}

/** The hops, each with as many addresses as there is room for, the most frequent first. */
function hopDetails(hops: readonly Hop[], directory: Directory): HopDetail[] {
  const told = (room: Room) => hops.map((hop) => hopDetail(hop, room, directory));
  const room = ROOMS.find((each) => Buffer.byteLength(JSON.stringify(told(each))) <= HOPS_BYTES);
  return told(room ?? LEAST_ROOM);
}

/** Addresses in the detail of all flows together at most; beyond it each distinct path is told once. */
const DETAIL_ADDRESSES = 400;

/** The flows of the last round; for paths that would fill a result, one flow for each distinct path. */
function flowDetail(run: Pick<PathRun, "paths">): { flow: number; path: readonly (string | null)[]; reached: boolean }[] {
  const all = run.paths.map(({ flow, path, reached }) => ({ flow, path, reached }));
  const size = (flows: typeof all) => flows.reduce((sum, { path }) => sum + path.length, 0);
  if (size(all) <= DETAIL_ADDRESSES) return all;
  const first = new Map<string, (typeof all)[number]>();
  for (const flow of all) if (!first.has(flow.path.join(" "))) first.set(flow.path.join(" "), flow);
  const told: typeof all = [];
  for (const flow of first.values()) if (size(told) + flow.path.length <= DETAIL_ADDRESSES) told.push(flow);
  return told;
}

/** The part of a result's detail that is about the path. */
export function pathDetail(run: PathRun, reading: PathReading, directory: Directory): PathDetail {
  return {
    method: run.method,
    rounds: run.rounds,
    hops: hopDetails(reading.hops, directory),
    flows: flowDetail(run),
    changes: run.changes.slice(0, CHANGES_MAX),
  };
}
