// The fleet, live.
import { useMemo, useState } from "preact/hooks";
import { type FleetClient, fleetSchema } from "#contract/api";
import { get } from "../api.ts";
import { useLive, useQuery } from "../hooks.ts";
import type { LiveState } from "../live.ts";
import { applyFleetFrame, type FleetMap, fleetMap } from "./fleet.ts";

export interface FleetData {
  readonly fleet: FleetMap | null;
  readonly error: unknown;
  readonly live: LiveState;
  readonly reload: () => void;
}

/** While the socket is up it is the truth, its first frame being a whole snapshot; while it is down, what was read last is. */
export function useFleet(): FleetData {
  const query = useQuery("fleet", (signal) => get("/fleet", fleetSchema, signal));
  const [streamed, setStreamed] = useState<FleetMap | null>(null);
  const stored = useMemo(() => (query.data ? fleetMap(query.data.clients) : null), [query.data]);
  const live = useLive(
    "/fleet/live",
    (frame) => setStreamed((old) => applyFleetFrame(old ?? stored ?? new Map<string, FleetClient>(), frame)),
    query.reload,
  );
  const fleet = live === "polling" ? (stored ?? streamed) : (streamed ?? stored);
  return { fleet, error: query.error, live, reload: query.reload };
}
