// The time a run may take, divided among its parts. The deadline is one moment; every part ends before it.
import { performance } from "node:perf_hooks";

/** A share of the run's time. */
export interface Part {
  readonly name: string;
  /** Milliseconds this part may take. */
  readonly ms: number;
  /** Aborts when the part's time is over, or the run's. */
  readonly signal: AbortSignal;
}

export class Budget {
  /** Aborts at the deadline, or when the run is stopped. */
  readonly signal: AbortSignal;
  readonly #end: number;
  readonly #stop: AbortSignal;
  readonly #spent: string[] = [];

  constructor(total_ms: number, stop: AbortSignal) {
    this.#end = performance.now() + total_ms;
    this.#stop = stop;
    // A timer takes a whole number of milliseconds; parameters are seconds and their sums are not.
    this.signal = AbortSignal.any([stop, AbortSignal.timeout(Math.max(0, Math.ceil(total_ms)))]);
  }

  /** Milliseconds until the deadline, never negative. */
  left(): number {
    return Math.max(0, this.#end - performance.now());
  }

  /** Whether the run was stopped from outside, which says nothing about the network. */
  get stopped(): boolean {
    return this.#stop.aborted;
  }

  /** Whether the deadline has passed. */
  get over(): boolean {
    return this.signal.aborted || this.left() === 0;
  }

  /** Time for one part: what it asks for, at most what is left when `reserve_ms` is kept for the parts after it. */
  part(name: string, wish_ms: number, reserve_ms = 0): Part {
    const ms = Math.max(1, Math.min(wish_ms, this.left() - reserve_ms));
    return { name, ms, signal: AbortSignal.any([this.signal, AbortSignal.timeout(Math.ceil(ms))]) };
  }

  /** Notes that a part used up its time; told in the result. */
  hit(name: string): void {
    this.#spent.push(name);
  }

  /** Names of the parts that used up their time. */
  get spent(): readonly string[] {
    return [...new Set(this.#spent)];
  }
}
