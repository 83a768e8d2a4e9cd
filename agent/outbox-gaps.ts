// Numbers that nobody will ever hold again: ranges in the outbox's file, told to the server so that it does not wait for them.
import type { DatabaseSync } from "node:sqlite";

export type Range = [from: number, to: number];

export class Gaps {
  readonly #db: DatabaseSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
    db.exec("CREATE TABLE IF NOT EXISTS gone (first INTEGER PRIMARY KEY, last INTEGER NOT NULL) STRICT");
  }

  /** Remembers a range, joined with a range it touches. */
  add(first: number, last: number): void {
    const before = this.#db.prepare("SELECT first FROM gone WHERE last = ?").get(first - 1);
    const after = this.#db.prepare("SELECT last FROM gone WHERE first = ?").get(last + 1);
    // With those it covers: what is gone for good may already lie between what goes now.
    const joined = "DELETE FROM gone WHERE last = ? OR first = ? OR (first >= ? AND last <= ?)";
    this.#db.prepare(joined).run(first - 1, last + 1, first, last);
    const start = before === undefined ? first : Number(before.first);
    this.#db.prepare("INSERT INTO gone VALUES (?, ?)").run(start, after === undefined ? last : Number(after.last));
  }

  /** What is gone from this number on, in order. */
  since(from: number): Range[] {
    const rows = this.#db.prepare("SELECT first, last FROM gone WHERE last >= ? ORDER BY first").all(from);
    return rows.map((row) => [Math.max(from, Number(row.first)), Number(row.last)]);
  }

  /** The server knows everything up to `last`. */
  forget(last: number): void {
    this.#db.prepare("DELETE FROM gone WHERE last <= ?").run(last);
    this.#db.prepare("UPDATE gone SET first = ? WHERE first <= ?").run(last + 1, last);
  }

  clear(): void {
    this.#db.exec("DELETE FROM gone");
  }

  /** All numbers move; through negative ones, since SQLite checks uniqueness row by row. */
  move(distance: number): void {
    this.#db.prepare("UPDATE gone SET first = -(first + ?), last = last + ?").run(distance, distance);
    this.#db.exec("UPDATE gone SET first = -first");
  }
}
