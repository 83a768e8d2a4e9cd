// A clock that only moves when told to. Timers follow elapsed time, not the wall clock, as real ones do.
import type { ScheduleClock } from "../../../agent/scheduler.ts";

export class FakeClock implements ScheduleClock {
  #elapsed = 0;
  #wall: number;
  #slept = 0;
  #timers: { at: number; call: () => void }[] = [];

  constructor(now: number) {
    this.#wall = now;
  }

  now(): number {
    return this.#wall + this.#elapsed;
  }

  steady(): number {
    return this.#slept + this.#elapsed;
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#elapsed + ms, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  /** Moves on, calling every timer at its moment; lets promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#elapsed + ms;
    for (;;) {
      const next = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#elapsed = Math.max(this.#elapsed, next.at);
      next.call();
      await settle();
    }
    this.#elapsed = end;
    await settle();
  }

  /** The wall clock is set, and no timer notices. */
  jump(ms: number): void {
    this.#wall += ms;
  }

  /** The process is stopped and goes on: clocks and timers run on, and timers come late. */
  stop(ms: number): void {
    this.#elapsed += ms;
  }

  /** The host sleeps: clocks run on, timers stand still. */
  sleep(ms: number): void {
    this.#wall += ms;
    this.#slept += ms;
  }
}

export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
