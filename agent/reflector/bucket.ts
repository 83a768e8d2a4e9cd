// Token bucket: so many a second, and so many at once after a pause.

export class TokenBucket {
  readonly #rate: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  /** `rate` tokens a second, at most `burst` saved up; `now` is monotonic milliseconds. */
  constructor(rate: number, burst: number, now: number) {
    this.#rate = rate;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Whether `count` tokens were there; they are gone then. */
  take(now: number, count = 1): boolean {
    if (this.left(now) < count) return false;
    this.#tokens -= count;
    return true;
  }

  /** Takes tokens for what has already happened, so that the bucket may owe some. */
  charge(now: number, count: number): void {
    this.left(now);
    this.#tokens -= count;
  }

  /** Tokens there are. */
  left(now: number): number {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#rate);
    this.#at = now;
    return this.#tokens;
  }

  isFull(now: number): boolean {
    return this.left(now) >= this.#burst;
  }

  /** Seconds until `count` tokens will be there. */
  wait_s(now: number, count: number): number {
    return Math.max(0, (count - this.left(now)) / this.#rate);
  }
}
