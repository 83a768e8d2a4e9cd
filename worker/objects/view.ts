// Stored items as the web API shows them. Pure.
import type { ClientDetail, FleetClient, RejectedItem } from "#contract/api";
import { type HostReading, type HostSample, isUnmeasured, type Result, type WireResult } from "#contract/result";
import { readSeriesId } from "#contract/series-id";
import type { Capabilities, OutboxFigures } from "#contract/wire";
import { headline, isFailing, spark } from "../analysis/headline.ts";
import { toClient } from "../store/clients.ts";
import type { RingState, Stored } from "../store/ring.ts";
import type { ClientRow } from "../store/schema.ts";
import { rfc3339, rfc3339OrNull } from "../time.ts";

export function toResult(clientId: string, stored: Stored<WireResult>, host: Stored<HostSample> | undefined): Result {
  const { item, received_at } = stored;
  return {
    ...item,
    id: `${clientId}.${item.seq}`,
    client_id: clientId,
    ...(item.test_id === null ? { test_id: null, peer_id: null } : readSeriesId(item.test_id)),
    started_at: rfc3339(item.started_at),
    received_at: rfc3339(received_at),
    host: host?.item.metrics ?? null,
  };
}

export function toReading(clientId: string, stored: Stored<HostSample>): HostReading {
  const { item, received_at } = stored;
  return { ...item, client_id: clientId, started_at: rfc3339(item.started_at), received_at: rfc3339(received_at) };
}

/** The host sample nearest in time to an item. */
export function nearestHost(hosts: readonly Stored<HostSample>[], startedAt: number): Stored<HostSample> | undefined {
  let best: Stored<HostSample> | undefined;
  for (const host of hosts) {
    if (best === undefined || Math.abs(host.item.started_at - startedAt) < Math.abs(best.item.started_at - startedAt))
      best = host;
  }
  return best;
}

/** What the object remembers of who it is. */
export interface Identity {
  id: string;
  name: string;
  site: string;
  tags: Record<string, string>;
  epoch: number;
  /** Version and capabilities as D1 knows them, to see when an agent says otherwise. */
  greeting: string;
  /** What the host's owner allows as D1 knows it, as JSON; absent where nobody looked yet. */
  consent?: string;
}

/** What an agent says of itself, as one comparable word; capabilities it does not name stay as they were. */
export function greetingOf(version: string, capabilities: Capabilities): string {
  return JSON.stringify([version, Object.entries(capabilities).sort(([a], [b]) => a.localeCompare(b))]);
}

export interface StatusRecord {
  status: "online" | "offline" | "never_seen" | "retired";
  reason: string;
  since: number;
  last_seen_at: number | null;
  /** How the agent is connected; an HTTP agent is given up after missed heartbeats, a socket when it closes. */
  transport: "socket" | "http" | null;
}

export interface Newest {
  results: Stored<WireResult>[];
  host: Stored<HostSample> | null;
}

/** How many tests these results are of; one that measures many peers counts once. */
const testsOf = (results: readonly WireResult[]): number =>
  new Set(results.map(({ test_id }) => test_id && readSeriesId(test_id).test_id)).size;

export function toFleetClient(
  identity: Identity,
  status: StatusRecord,
  testing: boolean,
  state: RingState,
  newest: Newest,
): FleetClient {
  const results = newest.results.map(({ item }) => item);
  const host = newest.host?.item ?? null;
  const measured = [...results, ...(host === null ? [] : [host])].map((item) => item.started_at + item.duration_ms);
  return {
    id: identity.id,
    name: identity.name,
    site: identity.site,
    tags: identity.tags,
    status: status.status === "online" && testing ? "testing" : status.status,
    status_reason: status.reason,
    status_since: rfc3339(status.since),
    last_seen_at: rfc3339OrNull(status.last_seen_at),
    measured_at: measured.length === 0 ? null : rfc3339(Math.round(Math.max(...measured))),
    headline: headline(results, host),
    failing: testsOf(results.filter(isFailing)),
    unmeasured: testsOf(results.filter(isUnmeasured)),
    spark: spark(results, state.sparks),
  };
}

/** What a client's page needs beyond D1's row. */
export interface ClientState {
  status: StatusRecord["status"] | "testing";
  status_reason: string;
  status_since: number;
  last_seen_at: number | null;
  outbox: OutboxFigures;
  last_seq: number;
  rejected: { count: number; recent: RejectedItem[] };
  ignored: number;
  clock_offset_ms: number | null;
  latest: Result[];
  host: HostReading | null;
}

/** A client's page, its tests apart: D1's row with what its object knows over it. */
export function toClientPage(row: ClientRow, state: ClientState): Omit<ClientDetail, "tests"> {
  const times = { status_since: rfc3339(state.status_since), last_seen_at: rfc3339OrNull(state.last_seen_at) };
  return { ...toClient(row, state), ...state, ...times, consent: row.consent };
}
