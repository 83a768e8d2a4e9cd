// The live lease: while somebody watches, the agent streams every sample and flushes often; it ends by itself.
import { CADENCE } from "#contract/limits";

const LEASE_MS = CADENCE.leaseS * 1000;
/** How long a first read waits for the agent's flush. */
const FRESH_WITHIN_MS = 1000;

export class Lease {
  readonly #announce: (until: number) => void;
  #until = 0;
  #fleetUntil = 0;
  #waiting: (() => void)[] = [];

  /** `announce` tells the agent how long to stream, epoch milliseconds. */
  constructor(announce: (until: number) => void) {
    this.#announce = announce;
  }

  get until(): number {
    return this.#until;
  }

  /** Opens or extends the lease; true when one was in force already. */
  open(now: number): boolean {
    return this.#extend(now + LEASE_MS, now);
  }

  /** Extends a lease that somebody still holds, once a good part of it is used up. */
  renew(now: number): void {
    if (this.#until - now < LEASE_MS / 2) this.open(now);
  }

  /** The fleet page is open somewhere until then. */
  openForFleet(until: number, now: number): void {
    if (until <= now) return;
    this.#fleetUntil = Math.max(this.#fleetUntil, until);
    if (this.#until - now < LEASE_MS / 2) this.#extend(until, now);
  }

  fleetWatches(now: number): boolean {
    return this.#fleetUntil > now;
  }

  #extend(until: number, now: number): boolean {
    const active = this.#until > now;
    // Not told again for every read: the agent hears of an extension once a quarter of the lease has passed.
    const announce = !active || until - this.#until > LEASE_MS / 4;
    if (announce && until > this.#until) {
      this.#until = until;
      this.#announce(until);
    }
    return active;
  }

  /** An upload arrived. */
  freshened(): void {
    for (const resolve of [...this.#waiting]) resolve();
  }

  /** Resolves with the next upload, or after a second when the agent had nothing to send. */
  untilFresh(): Promise<void> {
    return new Promise((resolve) => {
      const waiter = () => {
        clearTimeout(timer);
        this.#waiting = this.#waiting.filter((one) => one !== waiter);
        resolve();
      };
      const timer = setTimeout(waiter, FRESH_WITHIN_MS);
      this.#waiting.push(waiter);
    });
  }

  /** Whether a read is waiting for the flush now; one that comes meanwhile waits with it. */
  get refreshing(): boolean {
    return this.#waiting.length > 0;
  }
}
