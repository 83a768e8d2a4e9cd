// Remembers the last certificate of each test, so that a run can say whether it changed.

const MOST = 1000;

export class LastSeen {
  readonly #fingerprints = new Map<string, string>();

  /** Notes this run's fingerprint and answers the last run's; undefined for a test's first run in this process. */
  swap(series: string, fingerprint: string): string | undefined {
    const before = this.#fingerprints.get(series);
    this.#fingerprints.delete(series);
    this.#fingerprints.set(series, fingerprint);
    const [oldest] = this.#fingerprints.keys();
    if (this.#fingerprints.size > MOST && oldest !== undefined) this.#fingerprints.delete(oldest);
    return before;
  }
}
