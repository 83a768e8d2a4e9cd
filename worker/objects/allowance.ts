// A number of times at once, and once more every so often: for what an agent may cause, and an honest one rarely does.
export class Allowance {
  readonly #most: number;
  readonly #each_ms: number;
  #left: number;
  #at = 0;

  /** `most` times at once; used ones come back one every `each_ms`. */
  constructor(most: number, each_ms: number) {
    this.#most = most;
    this.#each_ms = each_ms;
    this.#left = most;
  }

  /** Whether it may happen now, epoch ms; then one time less is left. */
  take(now: number): boolean {
    const back = Math.max(0, now - this.#at) / this.#each_ms;
    this.#left = Math.min(this.#most, this.#left + back);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
