// Everything the test page shows of one client: stored results or buckets of the view, and what arrives live.
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { type LiveFrame, pageOf, seriesSchema } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { type Result, resultSchema } from "#contract/result";
import { get, queryString } from "../api.ts";
import { useLive, useQuery } from "../hooks.ts";
import type { LiveState } from "../live.ts";
import { toast } from "../parts/toasts.tsx";
import { messageOf } from "../problem.ts";
import { type Band, bandsOfItems, bandsOfMarks, mergeBands } from "./bands.ts";
import { type Point, pointsOfResults, pointsOfSeries, withLive } from "./points.ts";
import { mergeResults } from "./results.ts";
import { bounds, fitsRaw, type View } from "./view.ts";

const resultPage = pageOf(resultSchema);
const TABLE_ROWS = 50;
const POINTS = 600;
/** Buckets are read again this often while new ones form. */
const REFRESH_MS = 60_000;
/** Live results kept beside the stored ones. */
const LIVE_KEPT = 2000;

interface Stored {
  readonly points: readonly Point[];
  readonly bands: readonly Band[];
  readonly results: readonly Result[];
  /** 0 for single results. */
  readonly resolutionMs: number;
}

export interface TestDataOptions {
  readonly testId: string;
  readonly clientId: string;
  /** The client measured, where the test measures clients. */
  readonly peerId: string | null;
  readonly intervalS: number;
  readonly metrics: readonly string[];
  readonly view: View;
  readonly onFrame: (frame: LiveFrame) => void;
}

/** What to ask for: one client's results of the test, to one peer where it has several. */
const asked = ({ testId, peerId, clientId }: Pick<TestDataOptions, "testId" | "peerId" | "clientId">) => ({
  test_id: testId,
  client_id: clientId,
  peer_id: peerId ?? undefined,
});

const isOwn = (
  one: { readonly test_id: string | null; readonly peer_id: string | null },
  { testId, peerId }: Pick<TestDataOptions, "testId" | "peerId">,
) => one.test_id === testId && (peerId === null || one.peer_id === peerId);

async function readView(options: TestDataOptions, signal: AbortSignal): Promise<Stored> {
  const { clientId, view, intervalS, metrics } = options;
  const { from, to } = bounds(view, Date.now());
  const stretch = { from: new Date(from).toISOString(), ...(view.kind === "fixed" ? { to: new Date(to).toISOString() } : {}) };
  const which = { ...asked(options), ...stretch };
  if (fitsRaw(view, intervalS, LIMITS.resultsPage)) {
    const page = await get(`/results${queryString({ ...which, limit: LIMITS.resultsPage })}`, resultPage, signal);
    return { points: [], bands: [], results: page.items, resolutionMs: 0 };
  }
  const readAt = Date.now();
  const reply = await get(`/series${queryString({ ...which, metric: metrics, points: POINTS })}`, seriesSchema, signal);
  const own = reply.series.filter((one) => one.client_id === clientId && isOwn(one, options));
  const marks = reply.marks.filter((one) => one.client_id === clientId && isOwn(one, options));
  return {
    points: pointsOfSeries(own, reply.resolution_s, readAt),
    bands: bandsOfMarks(marks, reply.resolution_s),
    results: [],
    resolutionMs: reply.resolution_s * 1000,
  };
}

export interface TestData {
  readonly points: readonly Point[];
  /** Where the measuring host explains the figures. */
  readonly bands: readonly Band[];
  /** Newest first. */
  readonly results: readonly Result[];
  readonly stepMs: number;
  readonly live: LiveState;
  readonly loading: boolean;
  readonly error: unknown;
  readonly reload: () => void;
  readonly older: (() => void) | null;
}

interface Arrived {
  readonly key: string;
  readonly results: readonly Result[];
}

export function useTestData(options: TestDataOptions): TestData {
  const { testId, clientId, peerId, view, intervalS } = options;
  const key = [testId, clientId, peerId].join(" ");
  const span = view.kind === "fixed" ? `${view.from}-${view.to}` : view.range;
  const stored = useQuery(`${key} ${span} ${intervalS}`, (signal) => readView(options, signal));
  const recent = useQuery(key, (signal) =>
    get(`/results${queryString({ ...asked(options), limit: TABLE_ROWS })}`, resultPage, signal),
  );
  const [arrived, setArrived] = useState<Arrived>({ key, results: [] });
  const [earlier, setEarlier] = useState<{ key: string; items: Result[]; cursor: string | null } | null>(null);

  const arrive = (results: readonly Result[]) => {
    const own = results.filter((result) => isOwn(result, options) && result.client_id === clientId);
    if (own.length === 0) return;
    setArrived((old) => ({ key, results: mergeResults(old.key === key ? old.results : [], own).slice(0, LIVE_KEPT) }));
  };
  const onFrame = (frame: LiveFrame) => {
    if (frame.type === "result" && frame.result) arrive([frame.result]);
    if (frame.type === "snapshot" && frame.client) arrive(frame.client.latest);
    options.onFrame(frame);
  };
  const reload = useCallback(() => {
    stored.reload();
    recent.reload();
  }, [stored.reload, recent.reload]);
  const live = useLive(`/clients/${encodeURIComponent(clientId)}/live`, onFrame, reload);

  useEffect(() => {
    if (view.kind === "fixed") return;
    const timer = setInterval(() => {
      if (!document.hidden) stored.reload();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [view.kind, stored.reload]);

  const liveResults = arrived.key === key ? arrived.results : [];
  const past = earlier?.key === key ? earlier : null;
  const results = useMemo(
    () => mergeResults(mergeResults(liveResults, past?.items ?? []), recent.data?.items ?? []),
    [liveResults, past, recent.data],
  );
  const points = useMemo(() => pointsOf(stored.data, liveResults), [stored.data, liveResults]);
  const stepMs = Math.max(intervalS * 1000, stored.data?.resolutionMs ?? 0);
  const bands = useMemo(() => bandsOf(stored.data, liveResults, stepMs), [stored.data, liveResults, stepMs]);
  const cursor = past ? past.cursor : recent.data?.next_cursor;
  const older = () => {
    if (!cursor) return;
    const path = `/results${queryString({ ...asked(options), limit: TABLE_ROWS, cursor })}`;
    get(path, resultPage)
      .then((page) => setEarlier({ key, items: [...(past?.items ?? []), ...page.items], cursor: page.next_cursor }))
      .catch((error: unknown) => toast(`Older results cannot be read: ${messageOf(error)}`, "bad"));
  };
  return {
    points,
    bands,
    results,
    stepMs,
    live,
    loading: stored.loading && stored.data === undefined,
    error: stored.error ?? recent.error,
    reload,
    older: cursor ? older : null,
  };
}

function pointsOf(stored: Stored | undefined, live: readonly Result[]): Point[] {
  if (!stored || stored.resolutionMs === 0) return pointsOfResults(mergeResults(stored?.results ?? [], live)).reverse();
  return withLive(stored.points, pointsOfResults(live));
}

function bandsOf(stored: Stored | undefined, live: readonly Result[], stepMs: number): Band[] {
  const single = bandsOfItems(mergeResults(stored?.results ?? [], live));
  return mergeBands([...(stored?.bands ?? []), ...single], stepMs * 1.5);
}
