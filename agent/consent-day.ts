// The bytes all runs of a UTC day have moved, for a consent file that limits them. Survives restarts: the file always names at
// least what was moved, since a share is written ahead of use; that also keeps writes rare.
import { z } from "zod";
import { readIfThere, writeAtomically } from "./files.ts";

const bookSchema = z.strictObject({ days: z.record(z.string().regex(/^\d{4}-\d{2}-\d{2}$/), z.number().min(0)) });

/** Days kept: a clock that was wrong comes back to one of them. */
const DAYS_KEPT = 3;
/** Written ahead at a time, as a share of the day's bytes. */
const AHEAD = 1 / 100;

const dayOf = (now: number): string => new Date(now).toISOString().slice(0, 10);

export class DayBytes {
  readonly #file: string;
  readonly #now: () => number;
  readonly #trouble: (message: string) => void;
  /** Moved or planned, by day. */
  readonly #used = new Map<string, number>();
  /** What the file says, by day. */
  #written = new Map<string, number>();

  /** `now` answers epoch ms. `trouble` hears of a file that cannot be read or written; counting goes on without it. */
  constructor(file: string, now: () => number, trouble: (message: string) => void) {
    this.#file = file;
    this.#now = now;
    this.#trouble = trouble;
    this.#written = this.#read();
    for (const [day, bytes] of this.#written) this.#used.set(day, bytes);
  }

  /** Bytes of today so far, planned ones of runs under way included. */
  get today(): number {
    return this.#used.get(dayOf(this.#now())) ?? 0;
  }

  /**
   * Enters a run that may move so many bytes, where the day's `most` leaves them; undefined where it does not. The answer
   * settles the entry with what was moved.
   */
  enter(planned: number, most: number): ((moved: number) => void) | undefined {
    const day = dayOf(this.#now());
    const used = this.#used.get(day) ?? 0;
    if (used + planned > most) return undefined;
    this.#set(day, used + planned, most);
    let open = true;
    return (moved) => {
      if (open) this.#set(day, Math.max(0, (this.#used.get(day) ?? 0) - planned + moved), most);
      open = false;
    };
  }

  /** Writes what is really used, so that a restart begins there. */
  close(): void {
    if ([...this.#used].some(([day, bytes]) => this.#written.get(day) !== bytes)) this.#write(new Map(this.#used));
  }

  #set(day: string, bytes: number, most: number): void {
    this.#used.set(day, bytes);
    const days = [...this.#used.keys()].toSorted((a, b) => (a < b ? -1 : 1));
    for (const old of days.slice(0, -DAYS_KEPT)) if (old !== day) this.#used.delete(old);
    if (bytes <= (this.#written.get(day) ?? 0)) return;
    this.#write(new Map([...this.#used, [day, bytes + Math.ceil(most * AHEAD)]]));
  }

  #write(days: Map<string, number>): void {
    this.#written = days;
    try {
      writeAtomically(this.#file, `${JSON.stringify({ days: Object.fromEntries(days) })}\n`);
    } catch (error) {
      this.#trouble(`the day's bytes cannot be kept in ${this.#file}, a restart would forget them: ${(error as Error).message}`);
    }
  }

  #read(): Map<string, number> {
    try {
      const text = readIfThere(this.#file);
      return text === undefined ? new Map() : new Map(Object.entries(bookSchema.parse(JSON.parse(text)).days));
    } catch (error) {
      this.#trouble(`${this.#file} cannot be read, today's bytes are counted from 0: ${(error as Error).message}`);
      return new Map();
    }
  }
}
