// When this host reached nothing: spans on the monotonic clock, milliseconds. Pure.

export interface Span {
  readonly since: number;
  /** null while it lasts. */
  readonly until: number | null;
}

/** Longest that a run may still ask about a span that is over. */
const KEPT_MS = 60 * 60 * 1000;
const KEPT = 64;

export class CutOffSpans {
  #spans: Span[] = [];

  /** The span that lasts, if one does. */
  get open(): Span | undefined {
    const last = this.#spans.at(-1);
    return last?.until === null ? last : undefined;
  }

  begin(since: number): void {
    if (this.open === undefined) this.#spans.push({ since: Math.max(since, this.#spans.at(-1)?.until ?? since), until: null });
  }

  /** Ends the span that lasts; answers it. */
  end(until: number): Span | undefined {
    const { open } = this;
    if (open === undefined) return undefined;
    const over = { since: open.since, until: Math.max(open.since, until) };
    this.#spans = [...this.#spans.slice(0, -1), over].filter((one) => (one.until ?? until) > until - KEPT_MS).slice(-KEPT);
    return over;
  }

  /** The newest span that a run from..to touches. */
  touching(from: number, to: number): Span | undefined {
    return this.#spans.findLast(({ since, until }) => since <= to && (until ?? Number.POSITIVE_INFINITY) >= from);
  }

  /** Milliseconds of from..to that were cut off. */
  within(from: number, to: number): number {
    return this.#spans.reduce((sum, { since, until }) => {
      return sum + Math.max(0, Math.min(to, until ?? to) - Math.max(from, since));
    }, 0);
  }
}
