// Statistics of a run of probes. Pure: numbers in, a number out, or undefined where there are too few of them.

/** Smallest sample a 95th and a 99th percentile is given for. */
export const PERCENTILE_MIN = { p95: 20, p99: 100 } as const;

const ascending = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

/** Place of the first of these ascending numbers that is not below `least`; their count where all are. */
export function firstAtLeast(sorted: readonly number[], least: number): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((sorted[middle] ?? least) < least) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Nearest-rank percentile, `percent` in 0..100 (RFC 2330 11.3: the smallest value with at least that share at or below it). */
export function percentile(values: readonly number[], percent: number): number | undefined {
  const rank = Math.max(1, Math.ceil((percent / 100) * values.length));
  return ascending(values)[rank - 1];
}

/** Median; the mean of the two middle values of an even sample (RFC 2681 5.2). */
export function median(values: readonly number[]): number | undefined {
  const sorted = ascending(values);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2;
}

/** Arithmetic mean. */
export function mean(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Population standard deviation, as ping's own "mdev". */
export function standardDeviation(values: readonly number[]): number | undefined {
  const middle = mean(values);
  if (middle === undefined) return undefined;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / values.length);
}

/**
 * Delay variation between neighbours: |RTT i − RTT i−1| of consecutive requests that were both answered
 * (RFC 3393 with the selection of RFC 5481 4.1, applied to round trips). `null` is a lost request.
 */
export function delayVariations(rtts: readonly (number | null)[]): number[] {
  const variations: number[] = [];
  for (let i = 1; i < rtts.length; i++) {
    const before = rtts[i - 1];
    const now = rtts[i];
    if (typeof before === "number" && typeof now === "number") variations.push(Math.abs(now - before));
  }
  return variations;
}

/**
 * Interarrival jitter J += (|D| − J) / 16 over the answered requests (RFC 3550 6.4.1), starting at 0.
 * D is the difference of two round trips: the sender's clock is both ends' clock.
 */
export function jitterRfc3550(rtts: readonly (number | null)[]): number | undefined {
  const received = rtts.filter((rtt) => rtt !== null);
  if (received.length < 2) return undefined;
  let jitter = 0;
  for (let i = 1; i < received.length; i++) {
    jitter += (Math.abs((received[i] ?? 0) - (received[i - 1] ?? 0)) - jitter) / 16;
  }
  return jitter;
}

/** Wilson score interval of `hits` in `trials` at 95 %, in percent (Wilson 1927). */
export function wilsonInterval(hits: number, trials: number): { low: number; high: number } | undefined {
  if (trials <= 0) return undefined;
  const z = 1.959964;
  const share = hits / trials;
  const denominator = 1 + z ** 2 / trials;
  const centre = share + z ** 2 / (2 * trials);
  const spread = z * Math.sqrt((share * (1 - share)) / trials + z ** 2 / (4 * trials ** 2));
  return {
    // Rounding errors must not say that no loss at all, or total loss, is outside its own interval.
    low: hits === 0 ? 0 : Math.max(0, (100 * (centre - spread)) / denominator),
    high: hits === trials ? 100 : Math.min(100, (100 * (centre + spread)) / denominator),
  };
}

/** Lengths of the runs of consecutive losses, in order (RFC 3357 loss periods). `true` is a received packet. */
export function lossBursts(received: readonly boolean[]): number[] {
  const bursts: number[] = [];
  let length = 0;
  for (const arrived of [...received, true]) {
    if (!arrived) length += 1;
    else if (length > 0) {
      bursts.push(length);
      length = 0;
    }
  }
  return bursts;
}

/**
 * Burst ratio: mean observed loss burst over the 1/(1 − p) expected of random loss (ITU-T G.107).
 * Undefined without loss and with nothing but loss, where it has no meaning.
 */
export function burstRatio(received: readonly boolean[]): number | undefined {
  const bursts = lossBursts(received);
  const lost = received.filter((arrived) => !arrived).length;
  const observed = mean(bursts);
  if (observed === undefined || lost === received.length) return undefined;
  return observed * (1 - lost / received.length);
}

/** Packets that arrive after one with a higher number (RFC 4737 Type-P-Reordered). Numbers in order of arrival. */
export function reordered(arrivals: readonly number[]): number {
  let highest = Number.NEGATIVE_INFINITY;
  let late = 0;
  for (const sequence of arrivals) {
    if (sequence < highest) late += 1;
    else highest = sequence;
  }
  return late;
}

/** Three decimals, the resolution results are stored with. */
export const round3 = (value: number): number => Math.round(value * 1000) / 1000;
