// Closed ranges of sequence numbers. Pure.

export type Span = [first: number, last: number];

/** What of from..to no span covers, ascending. */
export function gaps(spans: readonly Span[], from: number, to: number): Span[] {
  const found: Span[] = [];
  let next = from;
  for (const [first, last] of spans.toSorted(([a], [b]) => a - b)) {
    if (first > next) found.push([next, Math.min(first - 1, to)]);
    next = Math.max(next, last + 1);
    if (next > to) return found;
  }
  if (next <= to) found.push([next, to]);
  return found;
}

/** How many numbers spans cover more than once. */
export function overlap(spans: readonly Span[]): number {
  let twice = 0;
  let next = Number.NEGATIVE_INFINITY;
  for (const [first, last] of spans.toSorted(([a], [b]) => a - b)) {
    if (first < next) twice += Math.min(next, last + 1) - first;
    next = Math.max(next, last + 1);
  }
  return twice;
}
