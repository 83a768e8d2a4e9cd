// How much may measure at the same time: more would measure each other.

type Counts<Kind extends string> = Readonly<Record<Kind, number>>;

interface Waiting<Kind extends string> {
  readonly wish: Counts<Kind>;
  readonly go: () => void;
}

/** Who waits longer than the queue is long has come too often. */
const QUEUE_MOST = 200;

/** A fixed number of places of several kinds; who finds too few waits, first come, first served. */
export class PlacePool<Kind extends string> {
  readonly #total: Counts<Kind>;
  readonly #free: Record<Kind, number>;
  readonly #waiting: Waiting<Kind>[] = [];

  constructor(total: Counts<Kind>) {
    this.#total = total;
    this.#free = { ...total };
  }

  /**
   * Takes places, answers how to give them back; undefined when the signal aborts before there are any, or too many wait.
   * A wish beyond all places takes all of them.
   */
  async take(wish: Partial<Record<Kind, number>>, signal?: AbortSignal): Promise<(() => void) | undefined> {
    if (signal?.aborted || this.#waiting.length >= QUEUE_MOST) return undefined;
    const counts: Record<Kind, number> = { ...this.#total };
    for (const kind of this.#kinds()) counts[kind] = Math.min(wish[kind] ?? 0, this.#total[kind]);
    const admitted = await new Promise<boolean>((resolve) => {
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1);
        resolve(false);
        this.#admit();
      };
      const entry: Waiting<Kind> = {
        wish: counts,
        go: () => {
          signal?.removeEventListener("abort", giveUp);
          resolve(true);
        },
      };
      signal?.addEventListener("abort", giveUp, { once: true });
      this.#waiting.push(entry);
      this.#admit();
    });
    if (!admitted) return undefined;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#add(counts, 1);
      this.#admit();
    };
  }

  #kinds(): Kind[] {
    return Object.keys(this.#total) as Kind[];
  }

  #fits(counts: Counts<Kind>): boolean {
    return this.#kinds().every((kind) => counts[kind] <= this.#free[kind]);
  }

  #add(counts: Counts<Kind>, sign: 1 | -1): void {
    for (const kind of this.#kinds()) this.#free[kind] += sign * counts[kind];
  }

  /** Lets in whoever fits, in order; one who does not fit yet holds up only those who need the same kind. */
  #admit(): void {
    const blocked = new Set<Kind>();
    for (const each of [...this.#waiting]) {
      const needs = this.#kinds().filter((kind) => each.wish[kind] > 0);
      if (needs.some((kind) => blocked.has(kind)) || !this.#fits(each.wish)) {
        for (const kind of needs) blocked.add(kind);
        continue;
      }
      this.#waiting.splice(this.#waiting.indexOf(each), 1);
      this.#add(each.wish, -1);
      each.go();
    }
  }
}
