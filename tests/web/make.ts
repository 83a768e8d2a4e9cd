// Small valid objects for the tests of this folder.
import type { ClientDetail, FleetClient } from "#contract/api";
import type { Result } from "#contract/result";

export const NOW = Date.parse("2026-11-23T13:00:00Z");
export const iso = (ms: number) => new Date(ms).toISOString();

export function fleetClient(patch: Partial<FleetClient> = {}): FleetClient {
  return {
    id: "a",
    name: "lyon-gw-01",
    site: "Lyon",
    tags: {},
    status: "online",
    status_reason: "connected",
    status_since: iso(NOW - 3_600_000),
    last_seen_at: iso(NOW),
    measured_at: iso(NOW),
    headline: {},
    failing: 0,
    unmeasured: 0,
    spark: [],
    ...patch,
  };
}

export function clientDetail(patch: Partial<ClientDetail> = {}): ClientDetail {
  const { id, name, site, tags, status, status_reason, status_since, last_seen_at } = fleetClient();
  return {
    ...{ id, name, site, tags, status, status_reason, status_since, last_seen_at },
    version: "0.1.0",
    platform: { os: "linux", arch: "x64", release: "", hostname: "", node: "" },
    capabilities: {},
    edge: null,
    outbox: { depth: 0, dropped: 0, problem: null },
    created_at: iso(NOW - 7_200_000),
    last_seq: 0,
    rejected: { count: 0, recent: [] },
    ignored: 0,
    clock_offset_ms: null,
    consent: null,
    latest: [],
    host: null,
    tests: [],
    ...patch,
  };
}

export function result(seq: number, patch: Partial<Result> = {}): Result {
  const started = NOW + seq * 10_000;
  return {
    id: `a.${seq}`,
    seq,
    client_id: "a",
    peer_id: null,
    test_id: "t",
    run_id: null,
    type: "ping",
    destination: "crm.example",
    address: "192.0.2.10",
    started_at: iso(started),
    received_at: iso(started + 5000),
    duration_ms: 4000,
    status: "ok",
    error: null,
    metrics: { ping_rtt_median: 12.5, ping_loss_pct: 0 },
    reasons: {},
    detail: {},
    flags: [],
    host: null,
    ...patch,
  };
}
