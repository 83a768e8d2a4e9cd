// Where the outbox is: in its file; moved aside when that is damaged; in memory while the disk takes nothing.
//
// The outbox in memory counts on from the last number that the server holds, so that uploads go on. Items in the file that
// were under way are settled first; those that never left stay in the file, and follow with later numbers when it can be
// written again. So nothing is sent twice, and the server sees one count without gaps.
import { existsSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import type { OutboxFigures, OutboxProblem } from "#contract/wire";
import { diskProblem, sqliteCode } from "./disk.ts";
import { FatalError } from "./exit.ts";
import { makePrivateDir } from "./files.ts";
import type { Log } from "./log.ts";
import { type Batch, LARGEST, MEMORY, Outbox, type OutboxLimits } from "./outbox.ts";
import type { Kind } from "./outbox-items.ts";
import { keepReserve, releaseReserve } from "./outbox-room.ts";

/** What memory holds while the disk takes nothing; the oldest go first. */
const IN_MEMORY: OutboxLimits = { items: 200, bytes: 4 * 1024 * 1024 };
/** The disk is tried again, and looked for, at most this often, ms. */
const TRY_MS = 5000;
/** A loss this long after the last one is news, ms. */
const QUIET_MS = 10 * 60 * 1000;
const SQLITE_BUSY = 5;
/** SQLITE_CORRUPT and SQLITE_NOTADB. */
const DAMAGED: readonly (number | undefined)[] = [11, 26];

/** Whether SQLite says the file is damaged, or no database at all. */
const isCorruption = (error: unknown): boolean => DAMAGED.includes(sqliteCode(error));

/** Opens the outbox; a damaged file is moved aside and a new one begun: what waits elsewhere must not stop what comes. */
export function openOutbox(path: string, log: Pick<Log, "error">): Outbox {
  try {
    releaseReserve(path);
    return new Outbox(path);
  } catch (error) {
    // Another process holds the file.
    if (sqliteCode(error) === SQLITE_BUSY) {
      throw new FatalError(`another agent uses ${path}; stop it, or give this one its own --state directory`);
    }
    if (!isCorruption(error)) throw error;
    const aside = `${path}.corrupt-${Date.now()}`;
    for (const suffix of ["", "-wal", "-shm"]) if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
    log.error({ aside }, "the outbox was damaged; it was moved aside and a new one begun");
    return new Outbox(path);
  }
}

/** Holds the outbox and survives its failures. */
export class OutboxStore {
  readonly #path: string;
  readonly #log: Log;
  #file: Outbox | undefined;
  /** Stands in for the file. */
  #memory: Outbox | undefined;
  /** What the server held of the file when memory began to count; undefined until it said so. */
  #base: number | undefined;
  #restarted = false;
  /** The state directory was removed: it has to be made again, with all that was in it. */
  #homeless = false;
  #problem: OutboxProblem | null = null;
  #triedAt = performance.now();
  #lostAt = Number.NEGATIVE_INFINITY;
  /** Told when the outbox had to be replaced: the numbering has to be agreed with the server again. */
  replaced: () => void = () => {};
  /** Told when the figures hold news that no upload may carry. */
  changed: () => void = () => {};
  /** Told when the state directory was removed and made again. */
  remade: () => void = () => {};

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    try {
      this.#file = openOutbox(path, log);
    } catch (error) {
      const problem = diskProblem(error, dirname(path));
      if (problem === undefined) throw error;
      this.#standIn(problem, error, 0);
    }
  }

  /** The outbox that takes what comes. */
  get outbox(): Outbox {
    return (this.#memory ?? this.#file) as Outbox;
  }

  /** Items that wait. */
  get depth(): number {
    return (this.#file?.depth ?? 0) + (this.#memory?.depth ?? 0);
  }

  /** Numbers given up so far. */
  get dropped(): number {
    return (this.#file?.dropped ?? 0) + (this.#memory?.dropped ?? 0);
  }

  /** Why the disk takes nothing, or nothing more. */
  get problem(): OutboxProblem | null {
    if (this.#memory !== undefined) return this.#problem;
    return this.#file?.short === true ? "disk_full" : null;
  }

  get figures(): OutboxFigures {
    return { depth: this.depth, dropped: this.dropped, problem: this.problem };
  }

  /** Stores an item and answers its number. */
  add(kind: Kind, item: Record<string, unknown>): number {
    const before = this.figures;
    this.#look();
    const seq = this.#memory === undefined ? this.#addToFile(kind, item) : this.#addBeside(this.#memory, kind, item);
    if (before.problem !== this.problem || before.dropped !== this.dropped) this.changed();
    this.#tellLoss(this.dropped > before.dropped);
    return seq;
  }

  /** The oldest items that fit; see Outbox. */
  batch(maxItems: number, maxBytes: number): Batch | undefined {
    const settling = this.#settling;
    return settling?.batch(maxItems, maxBytes, settling.sent) ?? this.outbox.batch(maxItems, maxBytes);
  }

  /** Notes that numbers up to `to` are about to leave. Throws when the disk does not take the note: then they may not. */
  sending(to: number): void {
    if (this.#settling !== undefined) return;
    try {
      this.outbox.sending(to);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  /** The server holds everything up to `to`. */
  acked(to: number): void {
    const settling = this.#settling;
    (settling ?? this.outbox).acked(to);
    if (settling?.inFlight === false) this.#base = settling.acknowledged;
    this.#look();
  }

  /** The server said the last number it holds; see Outbox. */
  reconcile(lastSeq: number): void {
    if (lastSeq > LARGEST) {
      this.#log.error({ last_seq: lastSeq }, "the server claims to hold a number that nobody can have counted to");
      return;
    }
    const settling = this.#settling;
    try {
      if (settling !== undefined && lastSeq >= settling.acknowledged && lastSeq <= settling.sent) this.acked(lastSeq);
      else {
        if (this.#memory !== undefined) this.#base ??= Math.max(lastSeq, this.#file?.acknowledged ?? 0);
        this.outbox.reconcile(lastSeq);
      }
    } catch (error) {
      // Memory counts on from there.
      this.#fail(error, lastSeq);
    }
  }

  /** Numbers everything that waits from 1 again, for a new client. */
  restart(): void {
    if (this.#memory !== undefined) {
      this.#restarted = true;
      this.#base = undefined;
    }
    this.outbox.restart();
  }

  close(): void {
    if (this.#memory !== undefined) this.#land();
    if (this.#memory !== undefined && this.#memory.depth > 0) {
      const lost = this.#memory.depth;
      this.#log.error({ lost, problem: this.#problem }, "results that were kept in memory are lost: the disk takes nothing");
    }
    this.#memory?.close();
    if (this.#file === undefined) return;
    this.#file.close();
    keepReserve(this.#path);
  }

  /** The file while it holds what is under way, and memory has to wait for its end. */
  get #settling(): Outbox | undefined {
    return this.#memory !== undefined && this.#base === undefined && this.#file?.inFlight === true ? this.#file : undefined;
  }

  #addToFile(kind: Kind, item: Record<string, unknown>): number {
    const file = this.#file as Outbox;
    try {
      return file.add(kind, item);
    } catch (error) {
      if (isCorruption(error)) return this.#replaceAndAdd(kind, item);
      return this.#fail(error).add(kind, item);
    }
  }

  /** What stands in may be a removed file, on a disk that is full by now. */
  #addBeside(memory: Outbox, kind: Kind, item: Record<string, unknown>): number {
    try {
      return memory.add(kind, item);
    } catch (error) {
      if (!this.#homeless || diskProblem(error, dirname(this.#path)) === undefined) throw error;
      const inMemory = new Outbox(MEMORY, IN_MEMORY, memory.acknowledged);
      inMemory.takeOver(memory, undefined);
      inMemory.sending(memory.sent);
      memory.close();
      this.#memory = inMemory;
      return inMemory.add(kind, item);
    }
  }

  #replaceAndAdd(kind: Kind, item: Record<string, unknown>): number {
    this.#file?.close();
    this.#file = openOutbox(this.#path, this.#log);
    const seq = this.#file.add(kind, item);
    this.replaced();
    return seq;
  }

  /** Says once that results are lost, until none was for a while. */
  #tellLoss(lost: boolean): void {
    const now = performance.now();
    if (!lost) return;
    if (now - this.#lostAt > QUIET_MS) {
      this.#log.error({ ...this.figures }, "there is no room for all results that wait: the oldest are dropped");
    }
    this.#lostAt = now;
  }

  /** The file failed: memory stands in, if it was the disk. `held`: what the server holds, where it has just said so. */
  #fail(error: unknown, held?: number): Outbox {
    const problem = diskProblem(error, dirname(this.#path));
    if (problem === undefined || this.#memory !== undefined) throw error;
    const memory = this.#standIn(problem, error, held ?? this.#file?.sent ?? 0);
    if (held !== undefined || this.#file?.inFlight === false) this.#base = memory.acknowledged;
    this.changed();
    return memory;
  }

  #standIn(problem: OutboxProblem, error: unknown, after: number): Outbox {
    this.#problem = problem;
    this.#homeless ||= problem === "directory_gone";
    this.#triedAt = performance.now();
    const why = (error as Error).message;
    this.#log.error(
      { problem, why, path: this.#path },
      `the disk takes no results; the newest ${IN_MEMORY.items} are kept in memory`,
    );
    this.#memory = new Outbox(MEMORY, IN_MEMORY, after);
    return this.#memory;
  }

  /** Now and then: whether the disk takes something again, and whether the file is still there. */
  #look(): void {
    if (performance.now() - this.#triedAt < TRY_MS) return;
    this.#triedAt = performance.now();
    if (this.#memory === undefined && !existsSync(this.#path)) this.#becomeHomeless();
    if (this.#memory !== undefined && this.#land()) this.changed();
  }

  /** The file was removed while it was open: it still works, but nobody will find it again. */
  #becomeHomeless(): void {
    this.#log.error({ path: this.#path }, "the state directory was removed; making it again");
    this.#memory = this.#file;
    this.#file = undefined;
    this.#problem = "directory_gone";
    this.#homeless = true;
    this.#base = undefined;
  }

  /** Moves what memory holds into the file, when the disk lets it and nothing is under way. */
  #land(): boolean {
    const memory = this.#memory;
    if (memory === undefined || memory.inFlight || this.#settling !== undefined) return false;
    try {
      if (this.#homeless) makePrivateDir(dirname(this.#path));
      this.#file ??= openOutbox(this.#path, this.#log);
      const base = this.#base ?? (memory.acknowledged > 0 ? memory.acknowledged : undefined);
      this.#file.takeOver(memory, base, this.#restarted);
    } catch (error) {
      const problem = diskProblem(error, dirname(this.#path));
      if (problem === undefined) throw error;
      this.#problem = problem;
      this.#homeless ||= problem === "directory_gone";
      // A file that does not only lack room is opened anew with the next try.
      if (problem !== "disk_full" && this.#base !== undefined) this.#letGo();
      return false;
    }
    memory.close();
    this.#memory = undefined;
    this.#base = undefined;
    this.#restarted = false;
    this.#log.info({ waiting: this.depth, dropped: this.dropped }, "the disk takes results again");
    if (this.#homeless) this.remade();
    this.#homeless = false;
    return true;
  }

  #letGo(): void {
    try {
      this.#file?.close();
    } catch (error) {
      this.#log.debug({ error: String(error) }, "the outbox did not close");
    }
    this.#file = undefined;
  }
}
