// What was measured and not yet acknowledged, on disk. Every item gets the next number of one gapless count per client.
// Write-ahead log with a full sync: an item that add() returned a number for survives kill -9 and a power cut.
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { LIMITS } from "#contract/limits";

export type Kind = "result" | "host";
export type Range = [from: number, to: number];

/** Numbers from..to, each in an item or in a dropped range. */
export interface Batch {
  readonly from: number;
  readonly to: number;
  readonly results: Record<string, unknown>[];
  readonly hosts: Record<string, unknown>[];
  readonly dropped: Range[];
}

export interface OutboxLimits {
  readonly items: number;
  readonly bytes: number;
}

const DEFAULT_LIMITS: OutboxLimits = { items: 500_000, bytes: 200 * 1024 * 1024 };
/** Ranges one upload may name. */
const RANGES_PER_BATCH = 100;

/** item: what waits. gone: numbers nobody will ever hold again. state: next, sent (highest ever put in an upload), acked, dropped. */
const SCHEMA = `
CREATE TABLE IF NOT EXISTS item (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS gone (first INTEGER PRIMARY KEY, last INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO state VALUES ('next', 1), ('sent', 0), ('acked', 0), ('dropped', 0);
`;

type StateName = "next" | "sent" | "acked" | "dropped";

export class Outbox {
  readonly #db: DatabaseSync;
  readonly #limits: OutboxLimits;
  readonly #insert: StatementSync;
  readonly #after: StatementSync;
  readonly #write: StatementSync;
  readonly #state: Record<StateName, number>;
  #count = 0;
  #bytes = 0;

  constructor(path: string, limits: OutboxLimits = DEFAULT_LIMITS) {
    this.#limits = limits;
    this.#db = new DatabaseSync(path);
    try {
      // Exclusive: two agents on one state directory would both count on from the same number.
      this.#db.exec("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
      this.#db.exec(SCHEMA);
      this.#insert = this.#db.prepare("INSERT INTO item (seq, kind, body) VALUES (?, ?, ?)");
      this.#after = this.#db.prepare("SELECT seq, kind, body FROM item WHERE seq > ? ORDER BY seq");
      this.#write = this.#db.prepare("UPDATE state SET value = ? WHERE name = ?");
      this.#state = this.#readState();
      this.#recount();
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  /** Items that wait. */
  get depth(): number {
    return this.#count;
  }

  /** Numbers given up so far: the outbox was full, or the server asked for what it had acknowledged before. */
  get dropped(): number {
    return this.#state.dropped;
  }

  /** The number the next item will get. */
  get next(): number {
    return this.#state.next;
  }

  /** Stores an item (without its seq) and answers its number. */
  add(kind: Kind, item: Record<string, unknown>): number {
    const seq = this.#state.next;
    const body = encode(item);
    this.#transaction(() => {
      this.#insert.run(seq, kind, body);
      this.#set("next", seq + 1);
    });
    this.#count += 1;
    this.#bytes += Buffer.byteLength(body);
    if (this.#count > this.#limits.items || this.#bytes > this.#limits.bytes) this.#shed();
    return seq;
  }

  /** The oldest items that fit, or undefined when there are none. `maxBytes` counts the items' JSON. */
  batch(maxItems: number, maxBytes: number): Batch | undefined {
    const from = this.#state.acked + 1;
    const gone = this.#gone(from);
    const batch = { from, to: from - 1, results: [], hosts: [], dropped: [] } as { -readonly [Key in keyof Batch]: Batch[Key] };
    let bytes = 0;
    const passGone = () => {
      for (let range = gone[0]; range?.[0] === batch.to + 1 && batch.dropped.length < RANGES_PER_BATCH; range = gone[0]) {
        batch.dropped.push(range);
        batch.to = range[1];
        gone.shift();
      }
    };
    passGone();
    for (const row of this.#after.iterate(this.#state.acked)) {
      const seq = Number(row.seq);
      const body = String(row.body);
      bytes += Buffer.byteLength(body) + 32;
      const items = batch.results.length + batch.hosts.length;
      if (seq !== batch.to + 1 || items >= maxItems || (items > 0 && bytes > maxBytes)) break;
      const list = row.kind === "host" ? batch.hosts : batch.results;
      list.push({ seq, ...(JSON.parse(body) as Record<string, unknown>) });
      batch.to = seq;
      passGone();
    }
    return batch.to < from ? undefined : batch;
  }

  /** Notes that numbers up to `to` are about to leave; call before sending. */
  sending(to: number): void {
    if (to > this.#state.sent) this.#set("sent", to);
  }

  /** The server holds everything up to `to`: forgets it. */
  acked(to: number): void {
    const last = Math.min(to, this.#state.sent);
    if (last <= this.#state.acked) return;
    this.#transaction(() => {
      this.#forget(last);
      this.#set("acked", last);
    });
  }

  /**
   * Brings both counts together when the server says the last number it holds.
   * What was sent and is held there is acknowledged. What has a number the server already used but was never sent from here
   * (this store was lost or restored) moves behind it, in order. Where the server is further back than what was
   * acknowledged (it lost data), the missing numbers are given up, so that it does not wait for them for ever.
   */
  reconcile(lastSeq: number): void {
    if (lastSeq > this.#state.sent) this.#renumber(lastSeq - this.#state.sent, lastSeq);
    else if (lastSeq >= this.#state.acked) this.acked(lastSeq);
    else this.#giveUp(lastSeq + 1, this.#state.acked);
  }

  /** Numbers everything that waits from 1 again, for a new client. */
  restart(): void {
    this.#transaction(() => {
      this.#db.exec(`
        CREATE TABLE moved AS SELECT ROW_NUMBER() OVER (ORDER BY seq) AS seq, kind, body FROM item;
        DELETE FROM item; DELETE FROM gone;
        INSERT INTO item SELECT seq, kind, body FROM moved;
        DROP TABLE moved;`);
      this.#set("next", this.#count + 1);
      this.#set("sent", 0);
      this.#set("acked", 0);
    });
  }

  close(): void {
    this.#db.close();
  }

  /** Never-sent numbers start behind `sent`; they all move by the same distance, so order and gaplessness stay. */
  #renumber(distance: number, lastSeq: number): void {
    const { sent } = this.#state;
    this.#transaction(() => {
      this.#forget(sent);
      // Through negative numbers, since SQLite checks uniqueness row by row.
      this.#db.prepare("UPDATE item SET seq = -(seq + ?)").run(distance);
      this.#db.exec("UPDATE item SET seq = -seq");
      this.#db.prepare("UPDATE gone SET first = -(first + ?), last = last + ?").run(distance, distance);
      this.#db.exec("UPDATE gone SET first = -first");
      this.#set("next", Math.max(this.#state.next, sent + 1) + distance);
      this.#set("sent", lastSeq);
      this.#set("acked", lastSeq);
    });
  }

  /** Deletes numbers up to `last`, items and ranges. */
  #forget(last: number): void {
    this.#deleteItems(last);
    this.#db.prepare("DELETE FROM gone WHERE last <= ?").run(last);
    this.#db.prepare("UPDATE gone SET first = ? WHERE first <= ?").run(last + 1, last);
  }

  /** Only what goes is counted: a scan of a long backlog at every acknowledgement would take minutes in all. */
  #deleteItems(last: number): void {
    const size = "SELECT count(*) AS items, coalesce(sum(length(CAST(body AS BLOB))), 0) AS bytes FROM item WHERE seq <= ?";
    const going = this.#db.prepare(size).get(last);
    this.#db.prepare("DELETE FROM item WHERE seq <= ?").run(last);
    this.#count -= Number(going?.items ?? 0);
    this.#bytes -= Number(going?.bytes ?? 0);
  }

  #giveUp(first: number, last: number): void {
    this.#transaction(() => {
      this.#addGone(first, last);
      this.#set("acked", first - 1);
      this.#set("dropped", this.#state.dropped + last - first + 1);
    });
  }

  /** Drops the oldest items until a twentieth of the room is free, so that it need not be done for every item. */
  #shed(): void {
    const rows = this.#db.prepare("SELECT seq, length(CAST(body AS BLOB)) AS bytes FROM item ORDER BY seq").iterate();
    let count = this.#count;
    let bytes = this.#bytes;
    let first = 0;
    let last = 0;
    for (const row of rows) {
      if (count <= this.#limits.items * 0.95 && bytes <= this.#limits.bytes * 0.95) break;
      last = Number(row.seq);
      first ||= last;
      count -= 1;
      bytes -= Number(row.bytes);
    }
    if (last === 0) return;
    const dropped = this.#count - count;
    this.#transaction(() => {
      this.#deleteItems(last);
      this.#addGone(first, last);
      this.#set("dropped", this.#state.dropped + dropped);
    });
  }

  /** Remembers a range, joined with a range it touches. */
  #addGone(first: number, last: number): void {
    const before = this.#db.prepare("SELECT first FROM gone WHERE last = ?").get(first - 1);
    const after = this.#db.prepare("SELECT last FROM gone WHERE first = ?").get(last + 1);
    this.#db.prepare("DELETE FROM gone WHERE last = ? OR first = ?").run(first - 1, last + 1);
    const start = before === undefined ? first : Number(before.first);
    this.#db.prepare("INSERT INTO gone VALUES (?, ?)").run(start, after === undefined ? last : Number(after.last));
  }

  #gone(from: number): Range[] {
    const rows = this.#db.prepare("SELECT first, last FROM gone WHERE last >= ? ORDER BY first").all(from);
    return rows.map((row) => [Math.max(from, Number(row.first)), Number(row.last)]);
  }

  #set(name: StateName, value: number): void {
    this.#write.run(value, name);
    this.#state[name] = value;
  }

  #readState(): Record<StateName, number> {
    const state: Record<StateName, number> = { next: 1, sent: 0, acked: 0, dropped: 0 };
    for (const row of this.#db.prepare("SELECT name, value FROM state").iterate()) {
      const name = String(row.name);
      if (Object.hasOwn(state, name)) state[name as StateName] = Number(row.value);
    }
    return state;
  }

  #recount(): void {
    const row = this.#db
      .prepare("SELECT count(*) AS items, coalesce(sum(length(CAST(body AS BLOB))), 0) AS bytes FROM item")
      .get();
    this.#count = Number(row?.items ?? 0);
    this.#bytes = Number(row?.bytes ?? 0);
  }

  #transaction(work: () => void): void {
    const held = { ...this.#state };
    const [count, bytes] = [this.#count, this.#bytes];
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#db.exec("COMMIT");
    } catch (error) {
      Object.assign(this.#state, held);
      [this.#count, this.#bytes] = [count, bytes];
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }
}

/** An item as JSON; one too large for the server loses its detail, and says so, rather than being refused whole. */
function encode(item: Record<string, unknown>): string {
  const body = JSON.stringify(item);
  if (Buffer.byteLength(body) <= LIMITS.itemBytes - 64) return body;
  const flags = Array.isArray(item.flags) ? item.flags.slice(0, 15) : [];
  return JSON.stringify({ ...item, detail: {}, flags: [...flags, "detail_too_large"] });
}
