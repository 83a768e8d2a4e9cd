// How much may measure at the same time: more would measure each other.

type Counts<Kind extends string> = Readonly<Record<Kind, number>>;

interface Waiting<Kind extends string> {
  readonly wish: Counts<Kind>;
  readonly go: () => void;
}

/** A fixed number of places of several kinds; who finds too few waits, first come, first served. */
export class PlacePool<Kind extends string> {
  readonly #total: Counts<Kind>;
  readonly #free: Record<Kind, number>;
  readonly #waiting: Waiting<Kind>[] = [];

  constructor(total: Counts<Kind>) {
    this.#total = total;
    this.#free = { ...total };
  }

  /** Takes places, answers how to give them back. A wish beyond all places takes all of them. */
  async take(wish: Partial<Record<Kind, number>>): Promise<() => void> {
    const counts: Record<Kind, number> = { ...this.#total };
    for (const kind of this.#kinds()) counts[kind] = Math.min(wish[kind] ?? 0, this.#total[kind]);
    await new Promise<void>((go) => {
      this.#waiting.push({ wish: counts, go });
      this.#admit();
    });
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
