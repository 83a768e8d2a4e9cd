// The numbers an outbox counts by, in its file.
import type { DatabaseSync, StatementSync } from "node:sqlite";

export interface Counts {
  /** The number of the next item. */
  next: number;
  /** The highest number ever put in an upload. */
  sent: number;
  /** The highest number that the server has acknowledged. */
  acked: number;
  /** Numbers given up so far. */
  dropped: number;
}

export class Counters {
  readonly #write: StatementSync;
  /** As they count now; only set() also writes them. */
  counts: Counts = { next: 1, sent: 0, acked: 0, dropped: 0 };

  constructor(db: DatabaseSync) {
    db.exec(`
      CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
      INSERT OR IGNORE INTO state VALUES ('next', 1), ('sent', 0), ('acked', 0), ('dropped', 0);`);
    this.#write = db.prepare("UPDATE state SET value = ? WHERE name = ?");
    for (const row of db.prepare("SELECT name, value FROM state").iterate()) {
      const name = String(row.name);
      if (Object.hasOwn(this.counts, name)) this.counts[name as keyof Counts] = Number(row.value);
    }
  }

  set(change: Partial<Counts>): void {
    for (const [name, value] of Object.entries(change)) this.#write.run(value, name);
    this.counts = { ...this.counts, ...change };
  }
}
