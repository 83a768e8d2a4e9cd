// The clock of a reflector that runs for months: steady while somebody measures, set right again between sessions.
import { estimateOf, hostSync, startWallClock } from "../stamp/clock.ts";
import type { ErrorEstimate } from "../stamp/packet.ts";

/** The clock timestamps are taken from. */
export interface ReflectorClock {
  /** Epoch milliseconds, as finely as can be had. */
  now(): number;
  /** How well it is known. */
  estimate(): ErrorEstimate;
  /** Told once a second how many sessions run. */
  attend?(sessions: number): void;
}

const ALIGN_MS = 3_600_000;
const ASK_MS = 60_000;
/** Where somebody always measures, a clock that was set is followed after this: whoever measured then is done. */
const FOLLOW_MS = 600_000;

export class HostClock implements ReflectorClock {
  #wall = startWallClock();
  #alignedAt = performance.now();
  #askedAt = Number.NEGATIVE_INFINITY;
  #estimate = estimateOf(null);
  #steady = true;
  #steadyAt = performance.now();

  constructor() {
    this.#ask();
  }

  now(): number {
    return this.#wall.now();
  }

  /** A clock that was set while a session runs is followed only afterwards, and until then nobody vouches for this one. */
  estimate(): ErrorEstimate {
    return this.#steady ? this.#estimate : estimateOf(null);
  }

  attend(sessions: number): void {
    const now = performance.now();
    this.#steady = this.#wall.stepped() === 0;
    if (this.#steady) this.#steadyAt = now;
    if (sessions > 0 && now - this.#askedAt > ASK_MS) this.#ask();
    const isDue = sessions > 0 ? now - this.#steadyAt > FOLLOW_MS : !this.#steady || now - this.#alignedAt > ALIGN_MS;
    if (!isDue) return;
    this.#wall = startWallClock();
    this.#alignedAt = now;
    this.#steadyAt = now;
    this.#steady = true;
  }

  #ask(): void {
    this.#askedAt = performance.now();
    // Answers from memory but once an hour.
    void hostSync().then((state) => {
      this.#estimate = estimateOf(state);
    });
  }
}

/** A clock that is wrong on purpose, so that a measurement can be shown not to depend on it. */
export function shiftedClock(offset_ms: number): ReflectorClock {
  const wall = startWallClock();
  return { now: () => wall.now() + offset_ms, estimate: () => estimateOf(null) };
}
