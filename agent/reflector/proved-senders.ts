// Senders that proved to know their key: what others waste does not touch their tries to do it again.
import { TokenBucket } from "./bucket.ts";
import { UDP_LIMITS } from "./limits.ts";

/** HMACs that names (session identifiers) proved lately may cost. Bounded: the one proved longest ago is forgotten first. */
export class ProvedSenders {
  readonly #tries = new Map<number, TokenBucket>();

  /** Somebody proved that name; `now` is monotonic milliseconds. A recorded packet proves it again, so that fills nothing up. */
  remember(ssid: number, now: number): void {
    const known = this.#tries.get(ssid);
    this.#tries.delete(ssid);
    this.#tries.set(ssid, known ?? new TokenBucket(UDP_LIMITS.provedRate, UDP_LIMITS.provedBurst, now));
    for (const oldest of this.#tries.keys()) {
      if (this.#tries.size <= UDP_LIMITS.proved) break;
      this.#tries.delete(oldest);
    }
  }

  /** Whether that name was proved and has so many tries left; they are gone then. */
  take(ssid: number, now: number, count: number): boolean {
    return this.#tries.get(ssid)?.take(now, count) ?? false;
  }
}
