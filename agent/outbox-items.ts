// The items of an outbox: a table, with the number and size of what waits in it kept beside.
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { LIMITS } from "#contract/limits";

export type Kind = "result" | "host";

export interface Item {
  readonly seq: number;
  readonly kind: Kind;
  /** JSON. */
  readonly body: string;
}

export interface Size {
  readonly count: number;
  readonly bytes: number;
}

const SIZE =
  "SELECT count(*) AS items, coalesce(sum(length(CAST(body AS BLOB))), 0) AS bytes FROM item WHERE seq > ? AND seq <= ?";

export class Items {
  readonly #db: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #after: StatementSync;
  /** What waits. */
  size: Size = { count: 0, bytes: 0 };

  constructor(db: DatabaseSync) {
    this.#db = db;
    db.exec("CREATE TABLE IF NOT EXISTS item (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL) STRICT");
    this.#insert = db.prepare("INSERT INTO item (seq, kind, body) VALUES (?, ?, ?)");
    this.#after = db.prepare("SELECT seq, kind, body FROM item WHERE seq > ? ORDER BY seq");
  }

  append({ seq, kind, body }: Item): void {
    this.#insert.run(seq, kind, body);
    this.size = { count: this.size.count + 1, bytes: this.size.bytes + Buffer.byteLength(body) };
  }

  /** Items behind a number, in order. */
  *after(last: number): Generator<Item> {
    for (const { seq, kind, body } of this.#after.iterate(last)) {
      yield { seq: Number(seq), kind: kind === "host" ? "host" : "result", body: String(body) };
    }
  }

  /** Numbers and sizes of the items behind a number, in order. */
  *sizesAfter(last: number): Generator<{ seq: number; bytes: number }> {
    const sizes = "SELECT seq, length(CAST(body AS BLOB)) AS bytes FROM item WHERE seq > ? ORDER BY seq";
    for (const { seq, bytes } of this.#db.prepare(sizes).iterate(last)) yield { seq: Number(seq), bytes: Number(bytes) };
  }

  /**
   * Deletes items up to `last`, of which those up to `acked` wait no more. Only what goes is counted: a scan of a long backlog
   * at every acknowledgement would take minutes in all.
   */
  forget(last: number, acked: number): void {
    const going = this.#sizeOf(acked, last);
    this.#db.prepare("DELETE FROM item WHERE seq <= ?").run(last);
    this.size = { count: this.size.count - going.count, bytes: this.size.bytes - going.bytes };
  }

  /** All numbers move; through negative ones, since SQLite checks uniqueness row by row. */
  move(distance: number): void {
    this.#db.prepare("UPDATE item SET seq = -(seq + ?)").run(distance);
    this.#db.exec("UPDATE item SET seq = -seq");
  }

  /** Numbers from 1 on, in the old order. */
  restart(): void {
    this.#db.exec(`
      CREATE TABLE moved AS SELECT ROW_NUMBER() OVER (ORDER BY seq) AS seq, kind, body FROM item;
      DELETE FROM item;
      INSERT INTO item SELECT seq, kind, body FROM moved;
      DROP TABLE moved;`);
  }

  /** Counts what waits behind `acked`. */
  recount(acked: number): void {
    this.size = this.#sizeOf(acked, Number.MAX_SAFE_INTEGER);
  }

  #sizeOf(after: number, last: number): Size {
    const row = this.#db.prepare(SIZE).get(after, last);
    return { count: Number(row?.items ?? 0), bytes: Number(row?.bytes ?? 0) };
  }
}

/** An item as JSON; one too large for the server loses its detail, and says so, rather than being refused whole. */
export function encode(item: Record<string, unknown>): string {
  const body = JSON.stringify(item);
  if (Buffer.byteLength(body) <= LIMITS.itemBytes - 64) return body;
  const flags = Array.isArray(item.flags) ? item.flags.slice(0, 15) : [];
  return JSON.stringify({ ...item, detail: {}, flags: [...flags, "detail_too_large"] });
}
