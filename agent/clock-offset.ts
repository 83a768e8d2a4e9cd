// How far this host's clock is from the edge's.

/** An estimate's error is up to half its round trip; one that waited longer than this (ms) tells nothing. */
const LONGEST_MS = 1000;

export class ClockOffset {
  #value: number | null = null;

  /** Agent clock minus edge clock, ms; null before the first estimate. */
  get value(): number | null {
    return this.#value;
  }

  /** Learns from an exchange: the server's time lies in the middle between question and answer (as in NTP, RFC 5905), if both ways took the same. */
  learn(serverTime: number, sent: number, received: number): void {
    if (received - sent > LONGEST_MS || received < sent) return;
    this.#value = Math.round((sent + received) / 2 - serverTime);
  }
}
