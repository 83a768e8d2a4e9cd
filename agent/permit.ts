// What holds a run to what its host's owner allows, from its order to its end.
import type { Metrics } from "#contract/result";
import { guarded } from "./resolve.ts";

/** Leave to run, and what is judged while it is used. */
export interface Permit {
  /** Why a further destination (a redirect's) is forbidden, or undefined. */
  destination(destination: string): string | undefined;
  /** Why a host is forbidden at the address it was resolved to, or undefined. Without an address none was found. */
  address(host: string, address: string | undefined): string | undefined;
  /** Waits until the run may begin, where runs together have a limit; false when `stop` came first. */
  turn?(stop: AbortSignal): Promise<boolean>;
  /** The run is over: settles what it cost. `metrics` is undefined for a run that sent nothing. */
  ended(metrics: Metrics | undefined): void;
}

/** A run and its permit: what the owner forbids on the way ends the run at once. */
export class Leash {
  /** Aborts when the run is stopped from outside, or by the owner's word. */
  readonly signal: AbortSignal;
  readonly #permit: Permit | undefined;
  readonly #end = new AbortController();
  #refused: string | undefined;

  constructor(permit: Permit | undefined, stop: AbortSignal) {
    this.#permit = permit;
    this.signal = permit === undefined ? stop : AbortSignal.any([stop, this.#end.signal]);
  }

  /** What was forbidden on the way; undefined when nothing was. */
  get refused(): string | undefined {
    return this.#refused;
  }

  /** Why a further destination is forbidden, or undefined. */
  objection(destination: string): string | undefined {
    return this.#note(this.#permit?.destination(destination));
  }

  /** Does the work with every address it resolves judged first. */
  hold<Result>(work: () => Promise<Result>): Promise<Result> {
    const permit = this.#permit;
    return permit === undefined ? work() : guarded((host, address) => this.#note(permit.address(host, address)), work);
  }

  #note(objection: string | undefined): string | undefined {
    if (objection === undefined) return undefined;
    this.#refused ??= objection;
    this.#end.abort();
    return objection;
  }
}
