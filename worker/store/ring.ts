// Results of one client, in its own object's SQLite: a ring of upload rows.
//
// One row is written per upload and nothing else: sequence, counters and pointers ride in the row as `state`, so an object
// that wakes reads one row to know where it stands. Uploads of the same minute share a row (it is replaced), so that a
// watched client fills 1,440 rows a day at most. When the oldest row has outlived the retention, its slot is reused
// (an UPDATE of the key is one row written, where a DELETE and an INSERT would be two).
import { gunzipSync, gzipSync } from "node:zlib";
import type { Ledger, RejectedItem } from "#contract/api";
import type { HostSample, WireResult } from "#contract/result";
import type { OutboxFigures } from "#contract/wire";
import { gaps, overlap, type Span } from "../analysis/spans.ts";

const SLOTS_PER_MINUTE = 64;
const MINUTE_MS = 60_000;
/** A row larger than this is left alone and the next upload opens a new one. Rows may hold 2 MB. */
const ROW_TARGET_BYTES = 128 * 1024;

export interface Stored<Item> {
  item: Item;
  received_at: number;
}

/** What one upload adds. `received_at` and times are epoch milliseconds. */
export interface Batch {
  from: number;
  to: number;
  received_at: number;
  results: WireResult[];
  hosts: HostSample[];
  rejected: RejectedItem[];
  dropped: [number, number][];
  /** Fields and metrics of stored items that this edge does not know. */
  ignored: number;
}

/** Where the client stands after its newest row. `latest` points from a test to the slot that holds its newest result. */
export interface RingState {
  last_seq: number;
  boot: string;
  rejected: number;
  dropped: number;
  ignored: number;
  outbox: OutboxFigures;
  clock_offset_ms: number | null;
  latest: Record<string, { seq: number; slot: number }>;
  host: { seq: number; slot: number } | null;
  /** Newest rows that hold items kept aside, oldest first. */
  rejected_slots: number[];
  /** Newest latencies per test, oldest first; null is a run without an answer. */
  sparks: Record<string, (number | null)[]>;
}

export const EMPTY_STATE: RingState = {
  last_seq: 0,
  boot: "",
  rejected: 0,
  dropped: 0,
  ignored: 0,
  outbox: { depth: 0, dropped: 0, problem: null },
  clock_offset_ms: null,
  latest: {},
  host: null,
  rejected_slots: [],
  sparks: {},
};

/** A pointer whose row is not chosen yet. */
export const UNPLACED = -1;
/** Rows with items kept aside that the state remembers. */
const REJECTED_SLOTS = 20;

interface Body {
  results: Stored<WireResult>[];
  hosts: Stored<HostSample>[];
  rejected: RejectedItem[];
  dropped: [number, number][];
}

/** A row read back. */
export interface Row extends Body {
  slot: number;
  from: number;
  to: number;
}

type RawRow = { slot: number; from_seq: number; to_seq: number; body: ArrayBuffer };

export class Ring {
  readonly #sql: SqlStorage;
  #state: RingState = EMPTY_STATE;
  #newest: { slot: number; from: number; bytes: number } | null = null;
  #newestBody: Body | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.open();
  }

  /** Reads where the client stands; makes an empty ring where there is none, as after everything was deleted. */
  open(): void {
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS ring (
      slot INTEGER PRIMARY KEY, from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL,
      t_min INTEGER NOT NULL, t_max INTEGER NOT NULL, state TEXT NOT NULL, body BLOB NOT NULL
    ) STRICT`);
    const row = this.#sql
      .exec<{ slot: number; from_seq: number; bytes: number; state: string }>(
        "SELECT slot, from_seq, length(body) AS bytes, state FROM ring ORDER BY slot DESC LIMIT 1",
      )
      .toArray()[0];
    this.#state = row === undefined ? structuredClone(EMPTY_STATE) : { ...EMPTY_STATE, ...(JSON.parse(row.state) as RingState) };
    this.#newest = row === undefined ? null : { slot: row.slot, from: row.from_seq, bytes: row.bytes };
    this.#newestBody = null;
  }

  get state(): Readonly<RingState> {
    return this.#state;
  }

  /** Something of a greeting could not be read; stored with the next upload. */
  noteIgnored(): void {
    this.#state = { ...this.#state, ignored: this.#state.ignored + 1 };
  }

  /** What the agent said of its outbox; stored with the next upload. */
  noteOutbox(outbox: OutboxFigures): void {
    this.#state = { ...this.#state, outbox };
  }

  /** Stores one upload and the state after it, in one row written. The caller has already cut off what was stored before. */
  append(batch: Batch, state: RingState, retentionMs: number): void {
    const minuteSlot = Math.floor(batch.received_at / MINUTE_MS) * SLOTS_PER_MINUTE;
    const newest = this.#newest;
    const joins = newest !== null && newest.slot >= minuteSlot && newest.bytes < ROW_TARGET_BYTES;
    const slot = joins ? newest.slot : Math.max(minuteSlot, (newest?.slot ?? -1) + 1);
    const body = joins ? this.#loadNewestBody() : emptyBody();
    const stamp = <Item>(item: Item): Stored<Item> => ({ item, received_at: batch.received_at });
    const merged: Body = {
      results: [...body.results, ...batch.results.map(stamp)],
      hosts: [...body.hosts, ...batch.hosts.map(stamp)],
      rejected: [...body.rejected, ...batch.rejected],
      dropped: [...body.dropped, ...batch.dropped],
    };
    for (const at of Object.values(state.latest)) if (at.slot === UNPLACED) at.slot = slot;
    if (batch.rejected.length > 0) {
      state.rejected_slots = [...state.rejected_slots.filter((one) => one !== slot), slot].slice(-REJECTED_SLOTS);
    }
    const host = batch.hosts.at(-1);
    if (host !== undefined) state.host = { seq: host.seq, slot };
    const from = joins ? newest.from : batch.from;
    const bytes = this.#write(slot, from, batch.to, merged, state, joins, batch.received_at - retentionMs);
    this.#newest = { slot, from, bytes };
    this.#newestBody = merged;
    this.#state = state;
  }

  #write(slot: number, from: number, to: number, body: Body, state: RingState, joins: boolean, keepAfter: number): number {
    const times = [...body.results, ...body.hosts].map(({ item }) => item.started_at);
    const packed = gzipSync(JSON.stringify(body));
    const values = [slot, from, to, Math.min(...times, Date.now()), Math.max(...times, 0), JSON.stringify(state), packed];
    const oldest = joins ? null : this.#oldestSlot();
    if (oldest !== null && oldest < Math.floor(keepAfter / MINUTE_MS) * SLOTS_PER_MINUTE) {
      this.#sql.exec(
        "UPDATE ring SET slot = ?, from_seq = ?, to_seq = ?, t_min = ?, t_max = ?, state = ?, body = ? WHERE slot = ?",
        ...values,
        oldest,
      );
    } else {
      this.#sql.exec(
        "INSERT OR REPLACE INTO ring (slot, from_seq, to_seq, t_min, t_max, state, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
        ...values,
      );
    }
    return packed.byteLength;
  }

  #oldestSlot(): number | null {
    return this.#sql.exec<{ slot: number | null }>("SELECT min(slot) AS slot FROM ring").one().slot;
  }

  #loadNewestBody(): Body {
    if (this.#newestBody === null && this.#newest !== null) this.#newestBody = this.slot(this.#newest.slot) ?? emptyBody();
    return this.#newestBody ?? emptyBody();
  }

  /** One row by its slot. */
  slot(slot: number): Row | undefined {
    const raw = this.#sql.exec<RawRow>("SELECT slot, from_seq, to_seq, body FROM ring WHERE slot = ?", slot).toArray()[0];
    return raw === undefined ? undefined : unpack(raw);
  }

  /** Rows that may hold items measured in [from, to] (epoch milliseconds), oldest first, decoded one at a time. */
  *range(from: number, to: number): Generator<Row> {
    // Items are received after they were measured; an hour of slack covers clocks that run ahead.
    const first = Math.max(0, Math.floor((from - 3_600_000) / MINUTE_MS) * SLOTS_PER_MINUTE);
    const rows = this.#sql.exec<RawRow>(
      "SELECT slot, from_seq, to_seq, body FROM ring WHERE slot >= ? AND t_min <= ? AND t_max >= ? ORDER BY slot",
      first,
      to,
      from,
    );
    for (const raw of rows) yield unpack(raw);
  }

  /** Rows newest first, from the one that holds `beforeSeq - 1` on, decoded one at a time. */
  *backwards(beforeSeq: number, from: number): Generator<Row> {
    const first = Math.max(0, Math.floor((from - 3_600_000) / MINUTE_MS) * SLOTS_PER_MINUTE);
    const rows = this.#sql.exec<RawRow>(
      "SELECT slot, from_seq, to_seq, body FROM ring WHERE slot >= ? AND from_seq < ? AND t_max >= ? ORDER BY slot DESC",
      first,
      beforeSeq,
      from,
    );
    for (const raw of rows) yield unpack(raw);
  }

  /** The item with this sequence number, a result or nothing. */
  result(seq: number): { row: Row; stored: Stored<WireResult> } | undefined {
    const raw = this.#sql
      .exec<RawRow>("SELECT slot, from_seq, to_seq, body FROM ring WHERE from_seq <= ? ORDER BY slot DESC LIMIT 1", seq)
      .toArray()[0];
    if (raw === undefined) return undefined;
    const row = unpack(raw);
    const stored = row.results.find(({ item }) => item.seq === seq);
    return stored === undefined ? undefined : { row, stored };
  }

  /** Newest items the edge could not accept, newest first. */
  rejected(limit: number): RejectedItem[] {
    const found: RejectedItem[] = [];
    for (const slot of this.#state.rejected_slots.toReversed()) {
      found.push(...(this.slot(slot)?.rejected ?? []).toReversed());
      if (found.length >= limit) break;
    }
    return found.slice(0, limit);
  }

  /** Counts every sequence number the ring holds: the proof that nothing is missing or double. */
  ledger(): Ledger {
    const ledger: Ledger = {
      last_seq: this.#state.last_seq,
      results: 0,
      hosts: 0,
      rejected: 0,
      dropped: 0,
      missing: [],
      duplicates: 0,
    };
    const spans: Span[] = [];
    let first: number | null = null;
    for (const row of this.range(0, Number.MAX_SAFE_INTEGER)) {
      first ??= row.from;
      spans.push(...spansOf(row, ledger));
    }
    ledger.missing = gaps(spans, first ?? 1, ledger.last_seq);
    ledger.duplicates = overlap(spans);
    return ledger;
  }
}

/** Sequence ranges a row accounts for, ascending, and their counts added to the ledger. */
function spansOf(row: Row, ledger: Ledger): Span[] {
  ledger.results += row.results.length;
  ledger.hosts += row.hosts.length;
  ledger.rejected += row.rejected.length;
  ledger.dropped += row.dropped.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  const single = [...row.results, ...row.hosts].map(({ item }): Span => [item.seq, item.seq]);
  const aside = row.rejected.flatMap(({ seq }): Span[] => (seq === null ? [] : [[seq, seq]]));
  return [...single, ...aside, ...row.dropped];
}

function emptyBody(): Body {
  return { results: [], hosts: [], rejected: [], dropped: [] };
}

function unpack(raw: RawRow): Row {
  const body = JSON.parse(gunzipSync(raw.body).toString()) as Body;
  return { slot: raw.slot, from: raw.from_seq, to: raw.to_seq, ...body };
}
