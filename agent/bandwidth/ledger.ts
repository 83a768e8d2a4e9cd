// The bytes bandwidth runs have used in a calendar month (UTC). A run enters all it may use before it sends anything and
// corrects that when it is done, so that a kill in between can only overstate.
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readIfThere, writeAtomically } from "../files.ts";
import { defaultStateDir } from "../identity.ts";

const FILE = "bandwidth-ledger.json";

const month = z.string().regex(/^\d{4}-\d{2}$/);
const ledgerSchema = z.strictObject({
  /** Bytes of the runs that are done, by month. Several, since a clock that was wrong at boot comes back. */
  months: z.record(month, z.number().min(0)),
  /** What runs under way, or killed, may have used, by a random name. */
  open: z.record(z.string(), z.strictObject({ month, bytes: z.number().min(0) })),
});
type Book = z.output<typeof ledgerSchema>;

const MONTHS_KEPT = 4;

const monthOf = (now: number): string => new Date(now).toISOString().slice(0, 7);

const usedIn = ({ months, open }: Book, which: string): number =>
  Object.values(open).reduce((total, each) => total + (each.month === which ? each.bytes : 0), months[which] ?? 0);

/** The book without what is too old to matter. */
function pruned(book: Book, current: string): Book {
  const kept = Object.keys({ ...book.months, [current]: 0 })
    .sort((a, b) => (a < b ? -1 : 1))
    .slice(-MONTHS_KEPT);
  const keeps = (which: string) => which === current || kept.includes(which);
  return {
    months: Object.fromEntries(Object.entries(book.months).filter(([which]) => keeps(which))),
    open: Object.fromEntries(Object.entries(book.open).filter(([, { month: which }]) => keeps(which))),
  };
}

/** One run's entry. */
export interface Entry {
  /** Bytes the run may use. */
  readonly granted: number;
  /** Corrects the entry to what was used; answers what is left of the month. */
  settle(used: number): number;
}

export class Ledger {
  readonly #file: string;

  constructor(dir: string) {
    this.#file = join(dir, FILE);
  }

  /** Bytes used in the month of this moment. Throws when the file cannot be read or is no ledger. */
  used(now: number): number {
    return usedIn(this.#read(), monthOf(now));
  }

  /**
   * Enters a run of up to `most` bytes where the month has at least `least` left; undefined where it has not. Throws when the
   * ledger cannot be read or written, and then nothing may be sent.
   */
  enter(now: number, { month_bytes, most, least }: { month_bytes: number; most: number; least: number }): Entry | undefined {
    const book = this.#read();
    const which = monthOf(now);
    const granted = Math.min(most, month_bytes - usedIn(book, which));
    if (granted < least) return undefined;
    const name = randomUUID();
    this.#write(pruned({ ...book, open: { ...book.open, [name]: { month: which, bytes: granted } } }, which));
    return { granted, settle: (used) => this.#settle(name, which, used, month_bytes) };
  }

  #settle(name: string, which: string, used: number, month_bytes: number): number {
    const book = this.#read();
    const { [name]: _entered, ...open } = book.open;
    const settled = { months: { ...book.months, [which]: (book.months[which] ?? 0) + used }, open };
    this.#write(settled);
    return Math.max(0, month_bytes - usedIn(settled, which));
  }

  #read(): Book {
    const text = readIfThere(this.#file);
    if (text === undefined) return { months: {}, open: {} };
    const parsed = ledgerSchema.safeParse(parse(text));
    if (!parsed.success) throw new Error(`${this.#file} is no ledger of bandwidth runs; remove it to begin a new one`);
    return parsed.data;
  }

  #write(book: Book): void {
    writeAtomically(this.#file, `${JSON.stringify(book)}\n`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

let kept: string | undefined;

/** Says where this agent keeps its state; without it, STREAMSWARM_STATE, else the usual directory where there is one. */
export function keepLedgerIn(dir: string): void {
  kept = dir;
}

/** This host's ledger; undefined for a single run on a host without an agent. */
export function hostLedger(): Ledger | undefined {
  const named = kept ?? (process.env.STREAMSWARM_STATE || undefined);
  const dir = named ?? defaultStateDir();
  return existsSync(dir) ? new Ledger(dir) : undefined;
}
