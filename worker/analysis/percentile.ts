// Nearest-rank percentiles. Nothing in, null out.

/** The p-th percentile (0..100) of ascending values by nearest rank; null for no values. */
export function percentile(sorted: readonly number[], p: number): number | null {
  if (sorted.length === 0) return null;
  const rank = Math.max(1, Math.ceil((p / 100) * sorted.length));
  return sorted[rank - 1] ?? null;
}

/** Median of ascending values: the mean of the middle two when their number is even. */
export function median(sorted: readonly number[]): number | null {
  const upper = sorted[Math.floor(sorted.length / 2)];
  if (upper === undefined) return null;
  if (sorted.length % 2 === 1) return upper;
  const lower = sorted[sorted.length / 2 - 1];
  return lower === undefined ? null : (lower + upper) / 2;
}
