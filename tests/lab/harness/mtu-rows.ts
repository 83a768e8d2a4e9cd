// Our path MTU beside tracepath's.
import type { Family, Lab } from "./lab.ts";
import { number, probe } from "./ours.ts";
import { tracepath } from "./peers.ts";
import { TARGET } from "./ping-rows.ts";
import { type Row, Sheet } from "./rows.ts";

const LIMIT_MS = 15_000;

export interface MtuTruth {
  blackhole: boolean;
  /** TTL of the router in front of the narrow link; null where none is narrow, undefined where it is not judged. */
  limiting_ttl?: number | null;
}

export async function mtuRows(lab: Lab, setting: string, family: Family, wanted: MtuTruth): Promise<Row[]> {
  const truth = await lab.truth();
  const { pmtu } = truth.paths.A;
  const [ours, peer] = await Promise.all([probe(lab, "mtu", TARGET[family]), tracepath(lab, family, TARGET[family])]);
  const sheet = new Sheet({ bar: "5", setting, family });
  sheet.equal("path MTU", pmtu, number(ours, "path_mtu"), { name: "tracepath", value: peer.pmtu });
  sheet.equal("black hole", wanted.blackhole, ours.metrics.pmtu_blackhole);
  if (wanted.limiting_ttl !== undefined) {
    const hops = family === 4 ? truth.hops4 : truth.hops6;
    const router = wanted.limiting_ttl === null ? null : (hops[wanted.limiting_ttl - 1]?.[0] ?? null);
    sheet.equal("limiting hop", router, ours.metrics.pmtu_limiting_hop);
  }
  sheet.atMost("wall time ms", LIMIT_MS, ours.duration_ms);
  return sheet.rows;
}
