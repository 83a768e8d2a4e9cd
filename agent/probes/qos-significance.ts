// Whether classes of traffic really differ, or only as samples do. Pure.

/** ln(n!) for n = 0, 1, …, as far as needed. */
const LOG_FACTORIALS: number[] = [0];

function logFactorial(n: number): number {
  for (let i = LOG_FACTORIALS.length; i <= n; i++) LOG_FACTORIALS[i] = (LOG_FACTORIALS[i - 1] ?? 0) + Math.log(i);
  return LOG_FACTORIALS[n] ?? 0;
}

const logChoose = (n: number, k: number): number => logFactorial(n) - logFactorial(k) - logFactorial(n - k);

/** Hits among trials of the same kind. */
export interface Share {
  readonly hits: number;
  readonly trials: number;
}

/**
 * Fisher's exact test, one-sided: how probable it is that a sample with the same share has at least as many hits as `one`, given
 * how many both have together. 1 without trials.
 */
export function fisherGreater(one: Share, other: Share): number {
  const hits = one.hits + other.hits;
  const trials = one.trials + other.trials;
  const all = logChoose(trials, hits);
  let sum = 0;
  for (let k = one.hits; k <= Math.min(one.trials, hits); k++) {
    if (hits - k <= other.trials) sum += Math.exp(logChoose(one.trials, k) + logChoose(other.trials, hits - k) - all);
  }
  return Math.min(1, sum);
}

/** Ranks from 1, equal values share the middle one of theirs; and the sum of t³ − t over groups of t equal values. */
function ranksOf(values: readonly number[]): { ranks: number[]; ties: number } {
  const order = values.map((value, i) => ({ value, i })).sort((a, b) => a.value - b.value);
  const ranks = new Array<number>(values.length).fill(0);
  let ties = 0;
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to < order.length && order[to]?.value === order[from]?.value) to += 1;
    for (const { i } of order.slice(from, to)) ranks[i] = (from + 1 + to) / 2;
    ties += (to - from) ** 3 - (to - from);
    from = to;
  }
  return { ranks, ties };
}

/**
 * Mann and Whitney's test: by how many standard deviations the ranks of `one` lie above what chance gives (normal approximation
 * with tie correction, for about 8 values each or more). 0 where nothing can be said.
 */
export function rankScore(one: readonly number[], other: readonly number[]): number {
  const [m, n] = [one.length, other.length];
  const { ranks, ties } = ranksOf([...one, ...other]);
  const u = ranks.slice(0, m).reduce((sum, rank) => sum + rank, 0) - (m * (m + 1)) / 2;
  const total = m + n;
  const variance = ((m * n) / 12) * (total + 1 - ties / (total * (total - 1)));
  return variance > 0 ? (u - (m * n) / 2) / Math.sqrt(variance) : 0;
}
