// When a client last reached nothing at all, whatever stretch of time its charts show.
import { useMemo } from "preact/hooks";
import type { ClientDetail, SeriesReply } from "#contract/api";
import type { HostReading } from "#contract/result";
import { type CutOffSample, cutOffSpans, type Span } from "../cut-off.ts";
import { useClientSeries } from "./use-series.ts";
import { rangeView, type View } from "./view.ts";

const METRIC = "agent_cut_off_s";
const DAY = rangeView("24h");
/** Buckets of a minute: as long as a sample usually stands for. */
const DAY_POINTS = 1440;
/** Read once more around the newest outage, so finely that every sample has its own place; its end as far back as this. */
const NEAR_MS = 3_600_000;
const NEAR_POINTS = 1440;
const AROUND_MS = 150_000;

/** The samples of a series, each at the end of its bucket. Of several in one bucket the longest is known, of one how long it is. */
export function samplesOf(reply: SeriesReply | undefined): CutOffSample[] {
  const stored = reply?.series.find(({ test_id, metric }) => test_id === null && metric === METRIC);
  const bucket_s = reply?.resolution_s ?? 0;
  return (stored?.t ?? []).map((t, index) => {
    const [most, count] = [stored?.max[index] ?? 0, stored?.count[index] ?? 0];
    return { t: t + bucket_s * 1000, seconds: count > 1 ? Math.min(bucket_s, most * count) : most };
  });
}

/** The stretch to read finely: around the newest sample that was cut off. */
function near(samples: readonly CutOffSample[]): View | null {
  const last = samples.findLast(({ seconds }) => seconds > 0);
  if (last === undefined) return null;
  const [from, to] = [last.t - NEAR_MS, last.t + AROUND_MS];
  return { kind: "fixed", from, to, spanMs: to - from };
}

/** The newest outage of the last day; null where there was none. */
export function useOutage(client: ClientDetail, hosts: readonly HostReading[]): Span | null {
  const day = useClientSeries(client.id, [METRIC], DAY, DAY_POINTS).data;
  const roughly = useMemo(() => samplesOf(day?.reply), [day]);
  const view = near(roughly);
  const finely = useClientSeries(client.id, view === null ? [] : [METRIC], view ?? DAY, NEAR_POINTS).data;
  return useMemo(() => {
    const live = hosts.map(({ started_at, metrics }) => ({ t: Date.parse(started_at), seconds: Number(metrics[METRIC] ?? 0) }));
    // What is known finely stands for itself: a minute's bucket only says that something was within it.
    const fine = [...samplesOf(finely?.reply), ...live].toSorted((a, b) => a.t - b.t);
    const first = fine[0]?.t ?? Number.POSITIVE_INFINITY;
    return cutOffSpans([...roughly.filter(({ t }) => t < first), ...fine], client.latest).at(-1) ?? null;
  }, [roughly, finely, hosts, client.latest]);
}
