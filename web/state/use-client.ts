// One client, live, with the host samples and results that arrive while its page is open.
import { useMemo, useRef, useState } from "preact/hooks";
import { type ClientDetail, clientDetailSchema, type LiveFrame } from "#contract/api";
import type { HostReading, Result } from "#contract/result";
import { get, idPath } from "../api.ts";
import { useLive, useQuery } from "../hooks.ts";
import type { LiveState } from "../live.ts";
import { ApiError } from "../problem.ts";
import { applyClientFrame } from "./client.ts";
import { mergeResults } from "./results.ts";
import { type EventList, useEvents } from "./use-events.ts";
import { type RunNow, useRuns } from "./use-runs.ts";

const LIVE_KEPT = 2000;

export interface LiveClient {
  readonly client: ClientDetail | undefined;
  readonly error: unknown;
  readonly live: LiveState;
  readonly gone: boolean;
  readonly hosts: readonly HostReading[];
  readonly results: readonly Result[];
  readonly runNow: RunNow;
  readonly events: EventList;
  readonly reload: () => void;
}

interface Arrived {
  readonly base: ClientDetail | undefined;
  readonly client: ClientDetail | undefined;
}

export function mergeHosts(known: readonly HostReading[], host: HostReading): HostReading[] {
  return [...known.filter((one) => one.seq !== host.seq), host].sort((a, b) => a.seq - b.seq).slice(-LIVE_KEPT);
}

/** Rendered with the client's id as its key, so that nothing of another client remains. */
export function useClient(id: string): LiveClient {
  const query = useQuery(`client ${id}`, (signal) => get(`/clients${idPath(id)}`, clientDetailSchema, signal));
  const [arrived, setArrived] = useState<Arrived>({ base: undefined, client: undefined });
  const [hosts, setHosts] = useState<HostReading[]>([]);
  const [results, setResults] = useState<Result[]>([]);
  const [gone, setGone] = useState(false);
  const runs = useRuns();
  const events = useEvents({ clientId: id });
  const base = query.data;
  // Frames may arrive before the first answer; they are laid over it then.
  const early = useRef<LiveFrame[]>([]);
  const start = useMemo(() => (base ? early.current.splice(0).reduce(applyClientFrame, base) : undefined), [base]);
  const current = arrived.base === base && arrived.client ? arrived.client : start;
  const onFrame = (frame: LiveFrame) => {
    if (frame.type === "gone") setGone(true);
    runs.take(frame);
    events.take(frame);
    if (frame.type === "result") {
      const { host, result } = frame;
      if (host) setHosts((old) => mergeHosts(old, host));
      if (result) setResults((old) => mergeResults(old, [result]).slice(0, LIVE_KEPT));
    }
    if (!base) early.current.push(frame);
    else
      setArrived((old) => ({
        base,
        client: applyClientFrame(old.base === base && old.client ? old.client : (start ?? base), frame),
      }));
  };
  // A client that is not there, or that this person may not see, has no socket either.
  const refused = query.error instanceof ApiError && (query.error.status === 403 || query.error.status === 404);
  const live = useLive(refused ? null : `/clients${idPath(id)}/live`, onFrame, query.reload);
  const running = runs.while(live);
  // Of many tests something is always under way; shown is what takes its time and says how far it is.
  const runNow: RunNow = (testId, peerId) => {
    const run = running(testId, peerId);
    return run?.fraction == null ? null : run;
  };
  return {
    client: current,
    error: query.error,
    live,
    gone,
    hosts,
    results,
    runNow,
    events,
    reload: query.reload,
  };
}
