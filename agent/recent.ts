// The newest values of something that happens again and again.
import { PERCENTILE_MIN, percentile } from "./statistics.ts";

const KEPT = 100;

export class Recent {
  readonly #values: number[] = [];

  push(value: number): void {
    this.#values.push(value);
    if (this.#values.length > KEPT) this.#values.shift();
  }

  /** 95th percentile of the newest hundred; undefined with fewer than twenty. */
  get p95(): number | undefined {
    return this.#values.length < PERCENTILE_MIN.p95 ? undefined : percentile(this.#values, 95);
  }
}
