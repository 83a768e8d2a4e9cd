// When a client last reached nothing at all, whatever stretch of time its charts show.
import { useMemo } from "preact/hooks";
import type { ClientDetail } from "#contract/api";
import type { HostReading } from "#contract/result";
import { cutOffSpans, type Span } from "../cut-off.ts";
import { useClientSeries } from "./use-series.ts";
import { rangeView } from "./view.ts";

const METRIC = "agent_cut_off_s";
const DAY = rangeView("24h");
/** Buckets of a minute: as long as a sample usually stands for. */
const DAY_POINTS = 1440;

/** The newest outage of the last day; null where there was none. */
export function useOutage(client: ClientDetail, hosts: readonly HostReading[]): Span | null {
  const { data } = useClientSeries(client.id, [METRIC], DAY, DAY_POINTS);
  return useMemo(() => {
    const stored = data?.reply.series.find(({ test_id, metric }) => test_id === null && metric === METRIC);
    const longest = data?.reply.resolution_s ?? 0;
    // Of several samples in one bucket only the longest is known.
    const secondsOf = (index: number) => Math.min(longest, (stored?.max[index] ?? 0) * (stored?.count[index] ?? 0));
    // A sample lies somewhere in its bucket.
    const samples = (stored?.t ?? []).map((t, index) => ({ t: t + longest * 500, seconds: secondsOf(index) }));
    const live = hosts.map(({ started_at, metrics }) => ({ t: Date.parse(started_at), seconds: Number(metrics[METRIC] ?? 0) }));
    return cutOffSpans([...samples, ...live], client.latest).at(-1) ?? null;
  }, [data, hosts, client.latest]);
}
