// Our route measurements against the lab's hop list.
import type { Family, Lab, Truth } from "./lab.ts";
import { number, type Options, probe, type Result } from "./ours.ts";
import type { PathReading } from "./peers.ts";
import { TARGET } from "./ping-rows.ts";
import { type Row, Sheet } from "./rows.ts";

export interface Hop {
  ttl: number;
  addrs: string[];
  sent: number;
  received: number;
}

export const hopsOf = (result: Result): Hop[] => (result.detail.hops ?? []) as Hop[];

/** The hop list that a correct tool reports; a silent hop has no address. */
export function trueHops(truth: Truth, family: Family): string[][] {
  const hops = family === 4 ? truth.hops4 : truth.hops6;
  return hops.map((addresses, index) => (truth.silent_ttls.includes(index + 1) ? [] : addresses));
}

/** As text, so that lists compare and print: `10.77.1.1 * 10.77.2.2/10.77.4.2 …`. */
export const route = (hops: readonly (readonly string[])[]): string =>
  hops.map((addresses) => (addresses.length === 0 ? "*" : [...addresses].sort((a, b) => (a < b ? -1 : 1)).join("/"))).join(" ");

export const ourRoute = (result: Result): string => route(hopsOf(result).map((hop) => hop.addrs));

export function trace(lab: Lab, family: Family, options: Options = {}): Promise<Result> {
  return probe(lab, "traceroute", TARGET[family], options);
}

export interface RouteTally {
  runs: number;
  exact: number;
  /** The first route that was not the truth. */
  wrong: string | null;
}

/** Counts runs that give the true route. */
export async function tally(
  runs: number,
  truth: string,
  once: () => Promise<string>,
  from: RouteTally = { runs: 0, exact: 0, wrong: null },
): Promise<RouteTally> {
  let { exact, wrong } = from;
  for (let run = from.runs; run < runs; run += 1) {
    const found = await once();
    if (found === truth) exact += 1;
    else wrong ??= found;
  }
  return { runs, exact, wrong };
}

/** The best of the peers at the same setting. */
export function bestPeer(readings: readonly PathReading[], truth: string): { name: string; value: string } | undefined {
  const hit = readings.find((reading) => route(reading.hops) === truth) ?? readings[0];
  return hit && { name: hit.tool, value: route(hit.hops) === truth ? "exact" : "differs" };
}

/** What must hold of one run whatever was lost: no address at the wrong place, and everybody named whose answer arrived. */
export function heardRows(setting: string, family: Family, result: Result, truth: Truth, heard: ReadonlySet<string>): Row[] {
  const sheet = new Sheet({ bar: "4", setting, family });
  const hops = trueHops(truth, family);
  const known = hops.map((addresses) => addresses.filter((address) => heard.has(address)));
  const reached = known.at(-1)?.length === 1;
  sheet.equal("reached", reached, result.metrics.path_reached === true);
  if (reached) sheet.equal("hops", hops.length, number(result, "path_hop_count"));
  const wanted = reached ? known : known.slice(0, 1 + known.findLastIndex((addresses) => addresses.length > 0));
  const found = hopsOf(result).map((hop) => hop.addrs);
  const ours = reached ? found : found.slice(0, wanted.length);
  sheet.equal("route, by the answers that arrived", route(wanted), route(ours));
  return sheet.rows;
}
