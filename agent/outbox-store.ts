// The outbox's file: opened once, moved aside when it is damaged, replaced while the agent runs.
import { existsSync, renameSync } from "node:fs";
import { FatalError } from "./exit.ts";
import type { Log } from "./log.ts";
import { type Kind, Outbox } from "./outbox.ts";

/** Whether SQLite says the file is damaged, or no database at all. */
function isCorruption(error: unknown): boolean {
  const code = (error as { errcode?: unknown }).errcode;
  // SQLITE_CORRUPT 11 and SQLITE_NOTADB 26, with their extended codes in the higher bits.
  return typeof code === "number" && ((code & 0xff) === 11 || (code & 0xff) === 26);
}

/** Whether another process holds the file. */
function isLocked(error: unknown): boolean {
  const code = (error as { errcode?: unknown }).errcode;
  return typeof code === "number" && (code & 0xff) === 5;
}

/** Opens the outbox; a damaged file is moved aside and a new one begun: what waits elsewhere must not stop what comes. */
export function openOutbox(path: string, log: Pick<Log, "error">): Outbox {
  try {
    return new Outbox(path);
  } catch (error) {
    if (isLocked(error)) throw new FatalError(`another agent uses ${path}; stop it, or give this one its own --state directory`);
    if (!isCorruption(error)) throw new FatalError(`the outbox ${path} cannot be opened: ${(error as Error).message}`);
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
  #outbox: Outbox;
  /** Items that could not be written at all (disk full, file lost). */
  lost = 0;
  /** Told when the outbox had to be replaced: the numbering has to be agreed with the server again. */
  replaced: () => void = () => {};

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    this.#outbox = openOutbox(path, log);
  }

  get outbox(): Outbox {
    return this.#outbox;
  }

  /** Stores an item and answers its number, or undefined when the disk takes nothing. */
  add(kind: Kind, item: Record<string, unknown>): number | undefined {
    try {
      return this.#outbox.add(kind, item);
    } catch (error) {
      if (isCorruption(error)) return this.#replaceAndAdd(kind, item);
      this.lost += 1;
      this.#log.error({ error: String(error) }, "a result could not be stored and is lost; is the disk full?");
      return undefined;
    }
  }

  close(): void {
    this.#outbox.close();
  }

  #replaceAndAdd(kind: Kind, item: Record<string, unknown>): number {
    this.#outbox.close();
    this.#outbox = openOutbox(this.#path, this.#log);
    const seq = this.#outbox.add(kind, item);
    this.replaced();
    return seq;
  }
}
