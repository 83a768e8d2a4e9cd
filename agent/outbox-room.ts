// The outbox's room on the disk: taken beforehand and in steps, so that what it has holds when the disk is full.
//
// With a write-ahead log even deleting needs room: every change is first appended to the log, and the log can only begin anew
// when all of it has been moved into the file, for which the file must not grow. So the log gets its full size at once, the
// file grows only here, each step written out before it is used, and ordinary writes find their pages in the file.

import { randomBytes } from "node:crypto";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { roomAt, sqliteCode } from "./disk.ts";
import { removeIfPossible } from "./files.ts";

const PAGE = 4096;
/** The file grows by this much where there is room, and by less on a small disk, bytes. */
const STEP = 1024 * 1024;
const SMALLEST_STEP = 8 * PAGE;
/** Pages the log collects before they are moved into the file. */
const CHECKPOINT_PAGES = 64;
/** The log's size: what it collects, and the largest change that may come on top. */
const LOG_BYTES = 512 * 1024;
/** With fewer free pages the file grows, if it may. */
const LOW_PAGES = 32;
/** Free pages that are left for deleting and counting. */
const SPARE_PAGES = 8;
/** A file this much larger than what is in it gives the room back. */
const SLACK_PAGES = (16 * 1024 * 1024) / PAGE;

const SETTINGS = `
PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;
PRAGMA wal_autocheckpoint=${CHECKPOINT_PAGES}; PRAGMA cache_size=-1024;
CREATE TABLE IF NOT EXISTS room (ballast BLOB) STRICT;
`;

const reserveOf = (path: string): string => `${path}.reserve`;

/** Gives back the room that stands for the log while no agent runs. */
export function releaseReserve(path: string): void {
  removeIfPossible(reserveOf(path));
}

/** Takes the room that the log had, so that the next start finds it. Less of it is better than none. */
export function keepReserve(path: string): void {
  try {
    // Random, since some file systems store nothing for zeros.
    if (!existsSync(path)) return;
    releaseReserve(path);
    writeFileSync(reserveOf(path), randomBytes(LOG_BYTES), { mode: 0o600, flag: "wx" });
  } catch {
    // The disk is full: what was written of it stays.
  }
}

export class OutboxRoom {
  readonly #db: DatabaseSync;
  readonly #path: string;
  #freePages: StatementSync | undefined;
  #logged = false;
  /** Whether the file had to grow and could not. */
  short = false;

  constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#path = path;
    db.exec(SETTINGS);
  }

  /** Takes the room for the log and for the first items. A disk without room for it is none to fail on. */
  prepare(): void {
    this.#db.exec("DELETE FROM room");
    if (this.#free() * PAGE < STEP && this.#grow()) return;
    // Less than a full step may still do for long.
    this.short = this.#free() < LOW_PAGES;
    this.#limit();
    const bytes = Math.min(LOG_BYTES, (this.#free() - 4) * PAGE);
    if (bytes >= SMALLEST_STEP) this.#writeThrough(bytes);
  }

  /** Before something is added: grows where few pages are left. */
  provide(): void {
    const free = this.#free();
    // Once it was short, only much room is room again: else it would be short and not in turns.
    const enough = this.short ? Math.min(STEP / PAGE, this.#pages() / 2) : LOW_PAGES;
    if (free >= enough) this.short = false;
    else this.#grow();
  }

  /** Whether what is free is only enough for deleting: something has to go before something comes. */
  get tight(): boolean {
    return this.short && this.#free() < SPARE_PAGES;
  }

  /** After much was deleted: gives back what a long backlog took. */
  giveBack(): void {
    if (this.#free() < SLACK_PAGES) return;
    try {
      this.#db.exec("PRAGMA max_page_count=4294967294; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
    } catch (error) {
      // It needs room itself; another time.
      if (sqliteCode(error) === undefined) throw error;
    }
    this.prepare();
  }

  /** One step, if the host keeps enough. The log takes as much as the file. */
  #grow(): boolean {
    const step = Math.floor(Math.min(STEP, roomAt(dirname(this.#path)) / 4) / PAGE) * PAGE;
    this.short = step < SMALLEST_STEP;
    if (this.short) return false;
    this.#db.exec(`PRAGMA max_page_count=${this.#pages() + step / PAGE + 8}`);
    this.short = !this.#writeThrough(step);
    this.#limit();
    return !this.short;
  }

  /** Writes ballast through the log into the file and frees its pages; false when the disk had no room for it after all. */
  #writeThrough(bytes: number): boolean {
    try {
      this.#db.prepare("INSERT INTO room VALUES (zeroblob(?))").run(bytes);
      this.#db.exec("DELETE FROM room; PRAGMA wal_checkpoint");
      // A log that had to stay smaller is emptied sooner.
      if (!this.#logged) this.#db.exec(`PRAGMA wal_autocheckpoint=${Math.min(CHECKPOINT_PAGES, Math.floor(bytes / PAGE / 2))}`);
      this.#logged = true;
      return statSync(this.#path).size >= this.#pages() * PAGE;
    } catch (error) {
      if (sqliteCode(error) === undefined) throw error;
      return false;
    }
  }

  /** Nothing but #grow makes the file larger. */
  #limit(): void {
    this.#db.exec(`PRAGMA max_page_count=${this.#pages()}`);
  }

  #free(): number {
    this.#freePages ??= this.#db.prepare("PRAGMA freelist_count");
    return Number(this.#freePages.get()?.freelist_count ?? 0);
  }

  #pages(): number {
    return Number(this.#db.prepare("PRAGMA page_count").get()?.page_count ?? 0);
  }
}
