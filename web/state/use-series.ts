// Series of one client over the view, read again while the view moves.
import { useEffect, useMemo, useRef } from "preact/hooks";
import { type SeriesReply, seriesSchema } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { get, queryString } from "../api.ts";
import { type Query, useQuery } from "../hooks.ts";
import { bounds, type View } from "./view.ts";

const POINTS = 400;
const REFRESH_MS = 60_000;

export interface SeriesData {
  readonly reply: SeriesReply;
  readonly readAt: number;
  /** What was asked for: a metric that is here and not in the reply was not measured. */
  readonly metrics: readonly string[];
}

/** As many requests as the number of metrics needs. */
export function chunksOf(metrics: readonly string[], most: number = LIMITS.seriesMetrics): string[][] {
  const all = [...new Set(metrics)];
  return Array.from({ length: Math.ceil(all.length / most) }, (_, index) => all.slice(index * most, (index + 1) * most));
}

/** Replies about the same stretch of time as one. */
export const joinReplies = (replies: readonly SeriesReply[]): SeriesReply => ({
  resolution_s: replies[0]?.resolution_s ?? 0,
  series: replies.flatMap(({ series }) => series),
  marks: replies.flatMap(({ marks }) => marks),
});

interface Asked {
  readonly id: string;
  readonly metrics: readonly string[];
  readonly view: View;
  readonly points: number;
}

async function read({ id, metrics, view, points }: Asked, signal: AbortSignal): Promise<SeriesData> {
  const readAt = Date.now();
  const { from, to } = bounds(view, readAt);
  const ask = (metric: string[]) =>
    get(
      `/series${queryString({
        client_id: id,
        metric,
        from: new Date(from).toISOString(),
        to: view.kind === "fixed" ? new Date(to).toISOString() : undefined,
        points,
      })}`,
      seriesSchema,
      signal,
    );
  return { reply: joinReplies(await Promise.all(chunksOf(metrics).map(ask))), readAt, metrics };
}

/** Nothing is read without metrics. Of the same view, what is known stays while more metrics are read. */
export function useClientSeries(id: string, metrics: readonly string[], view: View, points = POINTS): Query<SeriesData> {
  const span = `${id} ${view.kind === "fixed" ? `${view.from}-${view.to}` : view.range}`;
  const key = metrics.length === 0 ? null : `${span} ${metrics.join(" ")}`;
  const query = useQuery(key, (signal) => read({ id, metrics, view, points }, signal));
  const { reload } = query;
  useEffect(() => {
    if (view.kind === "fixed" || key === null) return;
    const timer = setInterval(() => {
      if (!document.hidden) reload();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [view.kind, key === null, reload]);
  const known = useRef<{ span: string; data: SeriesData } | null>(null);
  if (query.data) known.current = { span, data: query.data };
  const data = query.data ?? (known.current?.span === span ? known.current.data : undefined);
  return useMemo(() => ({ ...query, data }), [data, query.error, query.loading, reload]);
}
