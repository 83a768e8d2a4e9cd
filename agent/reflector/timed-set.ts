// Things remembered for a while, at most so many of them.

/** A set whose members leave after a fixed time. Adding to a full one is refused, nothing is pushed out early. */
export class TimedSet<Item> {
  readonly #until = new Map<Item, number>();
  readonly #limit: number;
  readonly #life_ms: number;
  readonly #now: () => number;

  constructor(limit: number, life_ms: number, now: () => number) {
    this.#limit = limit;
    this.#life_ms = life_ms;
    this.#now = now;
  }

  has(item: Item): boolean {
    return (this.#until.get(item) ?? Number.NEGATIVE_INFINITY) > this.#now();
  }

  /** Whether there was room. */
  add(item: Item): boolean {
    const now = this.#now();
    // Insertion order is order of expiry.
    for (const [old, until] of this.#until) {
      if (until > now) break;
      this.#until.delete(old);
    }
    if (this.#until.size >= this.#limit) return false;
    this.#until.set(item, now + this.#life_ms);
    return true;
  }
}
