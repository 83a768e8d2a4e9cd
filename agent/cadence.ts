// How often things are sent: calmly, or quickly while somebody watches.
import { CADENCE } from "#contract/limits";

/** A lease is never believed to last longer than this, whatever a clock says. */
const LONGEST_LEASE_MS = 10 * 60 * 1000;

export class Cadence {
  #uploadS: number = CADENCE.uploadS;
  #liveUntil = 0;
  readonly #now: () => number;

  /** `now` is a clock that never jumps, ms. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Seconds between durable uploads, as the server wishes. */
  set uploadS(seconds: number) {
    this.#uploadS = Math.min(3600, Math.max(1, seconds));
  }

  /** Somebody watches for `remaining` ms from now. Answers whether that is news. */
  watch(remaining: number): boolean {
    const was = this.live;
    this.#liveUntil = this.#now() + Math.min(Math.max(0, remaining), LONGEST_LEASE_MS);
    return this.live && !was;
  }

  get live(): boolean {
    return this.#now() < this.#liveUntil;
  }

  get uploadMs(): number {
    return (this.live ? Math.min(CADENCE.liveUploadS, this.#uploadS) : this.#uploadS) * 1000;
  }

  get hostSampleMs(): number {
    return (this.live ? CADENCE.liveHostSampleS : CADENCE.hostSampleS) * 1000;
  }

  get httpHeartbeatMs(): number {
    return (this.live ? CADENCE.liveUploadS : CADENCE.httpHeartbeatS) * 1000;
  }
}
