// Events of a client, or of one of its tests: what is stored, and what arrives on the live line.
import { useEffect, useMemo, useState } from "preact/hooks";
import { type LiveFrame, pageOf } from "#contract/api";
import { eventDetailSchema, eventSchema, type NetworkEvent, type NetworkEventDetail } from "#contract/events";
import { get, idPath, queryString } from "../api.ts";
import { type Query, useQuery } from "../hooks.ts";
import { sortedEvents, withEvent } from "./events.ts";

const eventPage = pageOf(eventSchema);
const EVENTS = 20;
/** Witnesses answer within seconds; until they have, what they said is read again this often. */
const WATCH_MS = 2000;

export interface EventList {
  /** Undefined while they are read for the first time. */
  readonly events: readonly NetworkEvent[] | undefined;
  readonly error: unknown;
  readonly reload: () => void;
  readonly take: (frame: LiveFrame) => void;
}

export interface EventsAsked {
  /** Undefined asks for every client's. */
  readonly clientId?: string;
  readonly testId?: string;
}

export function useEvents({ clientId, testId }: EventsAsked): EventList {
  const key = `events ${clientId ?? ""} ${testId ?? ""}`;
  const path = `/events${queryString({ client_id: clientId, test_id: testId, limit: EVENTS })}`;
  const query = useQuery(key, (signal) => get(path, eventPage, signal));
  const [arrived, setArrived] = useState<{ key: string; events: readonly NetworkEvent[] }>({ key, events: [] });
  const take = (frame: LiveFrame) => {
    if (frame.type !== "event") return;
    const { event } = frame;
    if (event.client_id !== clientId || (testId !== undefined && event.test_id !== testId)) return;
    setArrived((old) => ({ key, events: withEvent(old.key === key ? old.events : [], event) }));
  };
  const live = arrived.key === key ? arrived.events : [];
  const stored = query.data?.items;
  const events = useMemo(() => (stored ? live.reduce(withEvent, sortedEvents(stored)) : undefined), [stored, live]);
  return { events, error: query.error, reload: query.reload, take };
}

/** What the witnesses said; read again while they are heard, and when the event changes. */
export function useEvidence(event: NetworkEvent, open: boolean): Query<NetworkEventDetail> {
  const query = useQuery(open ? `event ${event.id}` : null, (signal) =>
    get(`/events${idPath(event.id)}`, eventDetailSchema, signal),
  );
  const { reload } = query;
  const settled = event.completed_at !== null;
  useEffect(() => {
    if (!open) return;
    if (settled) {
      reload();
      return;
    }
    const timer = setInterval(reload, WATCH_MS);
    return () => clearInterval(timer);
  }, [open, settled, event.closed_at, reload]);
  return query;
}
