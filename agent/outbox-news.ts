// News of the outbox that no upload may carry: told at once when the disk begins or ceases to take nothing, and now and then
// while more is lost.
import type { OutboxFigures } from "#contract/wire";
import { type Clock, systemClock } from "./scheduler.ts";

/** Further losses are told at most this often, ms. */
const LOSSES_MS = 10_000;

export class OutboxNews {
  readonly #send: (figures: OutboxFigures) => boolean;
  readonly #clock: Clock;
  #told: OutboxFigures = { depth: 0, dropped: 0, problem: null };
  #at = Number.NEGATIVE_INFINITY;

  /** `send` answers whether somebody listens; who does not hears it with the next greeting. */
  constructor(send: (figures: OutboxFigures) => boolean, clock: Clock = systemClock) {
    this.#send = send;
    this.#clock = clock;
  }

  tell(figures: OutboxFigures): void {
    const now = this.#clock.now();
    const soon = figures.problem === this.#told.problem && Math.abs(now - this.#at) < LOSSES_MS;
    if (soon || !this.#send(figures)) return;
    this.#told = figures;
    this.#at = now;
  }
}
