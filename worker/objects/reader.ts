// Reads of one client's results: newest values, pages and series.
import { isHostFlag } from "#contract/flags";
import { isMetricName, METRICS, type MetricName } from "#contract/metrics";
import { type HostSample, isUnmeasured, type Result, type Status, type WireResult } from "#contract/result";
import { isSeriesOf, readSeriesId } from "#contract/series-id";
import { isFailing } from "../analysis/headline.ts";
import { bucket, bucketStarts, type Columns, type Point } from "../analysis/series.ts";
import type { Batch, Ring, Stored } from "../store/ring.ts";
import { TESTS_AT_MOST } from "./ingest.ts";
import { type Newest, nearestHost, toResult } from "./view.ts";

export interface ResultQuery {
  test_id?: string | undefined;
  from?: number | undefined;
  to?: number | undefined;
  status?: Status | undefined;
  before_seq?: number | undefined;
  limit: number;
}

export interface ResultPage {
  items: Result[];
  /** Pass as `before_seq` for the next page; null on the last one. */
  next_seq: number | null;
}

export interface SeriesQuery {
  test_id?: string | undefined;
  metrics: string[];
  from: number;
  to: number;
  resolution_s: number;
}

export interface SeriesRow extends Columns {
  test_id: string | null;
  peer_id: string | null;
  metric: string;
}

/** Buckets of one series in which the measuring host explains what was measured. */
export interface MarkRow {
  test_id: string | null;
  peer_id: string | null;
  flag: string;
  t: number[];
}

export interface SeriesPage {
  series: SeriesRow[];
  marks: MarkRow[];
}

/** Upload rows read for one page of results. */
const ROWS_A_PAGE = 5000;

type Fresh = Pick<Batch, "results" | "hosts" | "received_at">;

export class ClientReader {
  readonly #ring: Ring;
  readonly #clientId: () => string;
  readonly #testIds: () => Set<string> | undefined;
  #results: Map<string, Stored<WireResult>> | undefined;
  #host: Stored<HostSample> | null = null;

  constructor(ring: Ring, clientId: () => string, testIds: () => Set<string> | undefined) {
    this.#ring = ring;
    this.#clientId = clientId;
    this.#testIds = testIds;
  }

  /** Newest result of every test the client still runs, and the newest host sample; live samples count. */
  newest(): Newest {
    const results = this.#load();
    const current = this.#testIds();
    return {
      results: [...results].flatMap(([testId, stored]) => (current === undefined || current.has(testId) ? [stored] : [])),
      host: this.#host,
    };
  }

  /** Tests whose newest result failed, or was not measured here, as a comparable word. */
  failing(): string {
    return this.newest()
      .results.filter(({ item }) => isFailing(item) || isUnmeasured(item))
      .map(({ item }) => `${isFailing(item) ? "" : "?"}${item.test_id ?? ""}`)
      .sort((a, b) => a.localeCompare(b))
      .join(" ");
  }

  #load(): Map<string, Stored<WireResult>> {
    if (this.#results !== undefined) return this.#results;
    this.#results = new Map();
    const { latest, host } = this.#ring.state;
    const rows = new Map<number, ReturnType<Ring["slot"]>>();
    const row = (slot: number) => {
      if (!rows.has(slot)) rows.set(slot, this.#ring.slot(slot));
      return rows.get(slot);
    };
    for (const [testId, at] of Object.entries(latest)) {
      const stored = row(at.slot)?.results.find(({ item }) => item.seq === at.seq);
      if (stored !== undefined) this.#results.set(testId, stored);
    }
    if (host !== null) this.#host = row(host.slot)?.hosts.find(({ item }) => item.seq === host.seq) ?? null;
    return this.#results;
  }

  /** Reads again from the ring when asked next. */
  forget(): void {
    this.#results = undefined;
    this.#host = null;
  }

  /** Takes note of items just stored or just streamed. */
  took({ results, hosts, received_at }: Fresh): void {
    const newest = this.#load();
    const current = this.#testIds();
    for (const item of results) {
      if (item.test_id === null || current?.has(item.test_id) === false) continue;
      const known = newest.get(item.test_id);
      if (known === undefined || known.item.seq <= item.seq) newest.set(item.test_id, { item, received_at });
    }
    // Ids come from the agent: besides those of its tests, only so many are remembered.
    for (const id of newest.keys()) {
      if (newest.size <= TESTS_AT_MOST + (current?.size ?? 0)) break;
      if (current?.has(id) !== true) newest.delete(id);
    }
    for (const item of hosts) {
      if (this.#host === null || this.#host.item.seq <= item.seq) this.#host = { item, received_at };
    }
  }

  /** A page of results, newest first. */
  results(query: ResultQuery): ResultPage {
    const items: Result[] = [];
    const { from = 0, to = Number.MAX_SAFE_INTEGER, before_seq = Number.MAX_SAFE_INTEGER } = query;
    let scanned = 0;
    for (const row of this.#ring.backwards(before_seq, from)) {
      // A filter that rarely matches must not read years in one request: the page ends early and says where to go on.
      if (++scanned > ROWS_A_PAGE) return { items, next_seq: row.to + 1 };
      for (const stored of row.results.toReversed()) {
        const { item } = stored;
        if (item.seq >= before_seq || item.started_at < from || item.started_at > to) continue;
        if (query.test_id !== undefined && !(item.test_id !== null && isSeriesOf(item.test_id, query.test_id))) continue;
        if (query.status !== undefined && item.status !== query.status) continue;
        if (items.length >= query.limit) return { items, next_seq: items.at(-1)?.seq ?? null };
        items.push(toResult(this.#clientId(), stored, nearestHost(row.hosts, item.started_at) ?? this.#host ?? undefined));
      }
    }
    return { items, next_seq: null };
  }

  result(seq: number): Result | null {
    const found = this.#ring.result(seq);
    if (found === undefined) return null;
    return toResult(this.#clientId(), found.stored, nearestHost(found.row.hosts, found.stored.item.started_at));
  }

  /** One series per metric for the host, or per metric and test; with the marks of the items read for them. */
  series(query: SeriesQuery): SeriesPage {
    const names = query.metrics.filter(isMetricName);
    const points = new Map<string, Point[]>();
    const marked = new Map<string, number[]>();
    const add = (testId: string | null, metric: MetricName, point: Point) => append(points, keyOf(testId, metric), point);
    const mark = (testId: string | null, item: { started_at: number; flags: readonly string[] }) => {
      for (const flag of item.flags) if (isHostFlag(flag)) append(marked, keyOf(testId, flag), item.started_at);
    };
    const aboutHost = names.some(isHostMetric);
    const inRange = (item: { started_at: number }) => item.started_at >= query.from && item.started_at <= query.to;
    for (const row of this.#ring.range(query.from, query.to)) {
      for (const { item } of row.hosts) {
        if (!inRange(item) || !aboutHost) continue;
        addHost(item, names, add);
        mark(null, item);
      }
      for (const { item } of row.results) {
        if (item.test_id === null || !inRange(item)) continue;
        if (query.test_id !== undefined && !isSeriesOf(item.test_id, query.test_id)) continue;
        // A run that was not measured here is a gap, not a loss; its mark says why.
        if (!isUnmeasured(item)) addResult(item, names, add);
        if (names.some((name) => name in item.metrics)) mark(item.test_id, item);
      }
    }
    const series = [...points].map(([key, list]) => {
      const { name, ...ids } = readKey(key);
      return { ...ids, metric: name, ...bucket(list, query.resolution_s) };
    });
    const marks = [...marked].map(([key, moments]) => {
      const { name, ...ids } = readKey(key);
      return { ...ids, flag: name, t: bucketStarts(moments, query.resolution_s) };
    });
    return { series, marks };
  }
}

function append<Item>(lists: Map<string, Item[]>, key: string, item: Item): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}

const keyOf = (testId: string | null, name: string) => `${testId ?? ""} ${name}`;

function readKey(key: string): { test_id: string | null; peer_id: string | null; name: string } {
  // A metric's name holds no blank, nor does a flag that is known here; a test id that an agent made up may.
  const at = key.lastIndexOf(" ");
  const testId = key.slice(0, at);
  const series = testId === "" ? { test_id: null, peer_id: null } : readSeriesId(testId);
  return { ...series, name: key.slice(at + 1) };
}

type Add = (testId: string | null, metric: MetricName, point: Point) => void;

function isHostMetric(name: MetricName): boolean {
  return METRICS[name].source === "host" || METRICS[name].source === "agent";
}

function addHost(item: HostSample, names: readonly MetricName[], add: Add): void {
  for (const name of names) {
    if (!isHostMetric(name)) continue;
    const value = item.metrics[name];
    if (typeof value === "number") add(null, name, { t: item.started_at, value });
  }
}

function addResult(item: WireResult, names: readonly MetricName[], add: Add): void {
  const { ping_sent: sent, ping_received: received } = item.metrics;
  const counted = typeof sent === "number" && typeof received === "number" ? { sent, received } : {};
  for (const name of names) {
    if (isHostMetric(name) || !(name in item.metrics)) continue;
    const value = item.metrics[name];
    add(item.test_id, name, { t: item.started_at, value: typeof value === "number" ? value : null, ...counted });
  }
}
