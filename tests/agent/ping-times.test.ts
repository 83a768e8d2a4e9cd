// The microseconds behind iputils' three digits. A simulated tool prints as ping_common.c does; the truth is known.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type PingSnapshot, parsePing } from "../../agent/parsers/ping.ts";
import { readPing } from "../../agent/probes/ping-metrics.ts";
import { type PrintedTime, sharpen } from "../../agent/probes/ping-times.ts";
import { generator, type Random } from "./helpers/mutations.ts";

/** Three digits, rounded half up, as iputils prints microseconds. */
function printed(us: number): PrintedTime {
  const step = us >= 99_950 ? 1000 : us >= 9_995 ? 100 : us >= 1000 ? 10 : 1;
  return { rtt: (Math.floor((us + step / 2) / step) * step) / 1000, step: step / 1000 };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const meanOf = (values: readonly number[]) => Math.floor(sum(values) / values.length) / 1000;

const summaryOf = (us: readonly number[]) => ({
  min: Math.min(...us) / 1000,
  mean: meanOf(us),
  max: Math.max(...us) / 1000,
  stddev: null,
});

/** What SIGQUIT prints after each reply but the last. */
function snapshotsOf(us: readonly number[]): PingSnapshot[] {
  let average = 0;
  return us.slice(0, -1).map((time, i) => {
    average = i === 0 ? 8 * time : average + time - Math.floor(average / 8);
    const { stddev: _, ...soFar } = summaryOf(us.slice(0, i + 1));
    return { ...soFar, received: i + 1, ewma: Math.floor(average / 8) / 1000 };
  });
}

/** Round trips in microseconds: a base of 0.1 to 400 ms and a jitter of its own. */
function run(random: Random, count: number): number[] {
  const base = 100 + random() * 400_000;
  const jitter = random() < 0.3 ? 50 : random() * 40_000;
  return Array.from({ length: count }, () => Math.round(base + random() * jitter));
}

/** How far the worst time is off the truth, ms; infinite where there is none. */
const worstError = (times: readonly number[] | undefined, us: readonly number[]): number =>
  Math.max(...us.map((time, i) => Math.abs((times?.[i] ?? Number.POSITIVE_INFINITY) - time / 1000)));

/** Random runs of 1 to 100 replies. */
function runs(seed: number, total: number): number[][] {
  const random = generator(seed);
  return Array.from({ length: total }, () => run(random, 1 + Math.floor(random() * 100)));
}

test("with snapshots, every time is known to some hundredths of a millisecond", () => {
  for (const us of runs(1, 300)) {
    const sharp = sharpen(us.map(printed), summaryOf(us), snapshotsOf(us));
    expect(sharp).toBeDefined();
    expect(sharp?.resolution).toBeLessThan(0.3);
    expect(worstError(sharp?.times, us)).toBeLessThanOrEqual((sharp?.resolution ?? 0) + 1e-6);
  }
});

test("without, none leaves its rounding interval or the exact ends, and the mean is the exact one", () => {
  for (const us of runs(2, 300)) {
    const lines = us.map(printed);
    const exact = summaryOf(us);
    const sharp = sharpen(lines, exact);
    expect(sharp).toBeDefined();
    const times = sharp?.times ?? [];
    times.forEach((time, i) => {
      const { rtt = 0, step = 0 } = lines[i] ?? {};
      expect(time).toBeGreaterThanOrEqual(Math.max(rtt - step / 2, exact.min) - 1e-6);
      expect(time).toBeLessThanOrEqual(Math.min(rtt + step / 2, exact.max) + 1e-6);
    });
    expect(worstError(times, us)).toBeLessThanOrEqual((sharp?.resolution ?? 0) + 1e-6);
    expect(Math.abs(sum(times) / times.length - exact.mean)).toBeLessThanOrEqual(0.001);
    expect(Math.min(...times)).toBe(exact.min);
    expect(Math.max(...times)).toBe(exact.max);
  }
});

test("some snapshots missing, or those of another run, never make a time wrong", () => {
  const random = generator(3);
  for (const us of runs(4, 200)) {
    const some = snapshotsOf(us).filter(() => random() < 0.7);
    const sharp = sharpen(us.map(printed), summaryOf(us), some);
    expect(worstError(sharp?.times, us)).toBeLessThanOrEqual((sharp?.resolution ?? 0) + 1e-6);
    const alien = sharpen(us.map(printed), summaryOf(us), snapshotsOf(run(random, us.length)));
    const lines = us.map(printed);
    for (const [i, time] of (alien?.times ?? []).entries()) {
      expect(Math.abs(time - (lines[i]?.rtt ?? 0))).toBeLessThanOrEqual((lines[i]?.step ?? 0) / 2 + 1e-6);
    }
  }
});

test("a ping that cuts digits off instead of rounding is understood too", () => {
  const us = [150_901, 150_950, 151_999, 152_400];
  const cut = us.map((time) => ({ rtt: Math.floor(time / 1000), step: 1 }));
  const sharp = sharpen(cut, summaryOf(us));
  expect(sharp?.times.map(Math.floor)).toEqual([150, 150, 151, 152]);
});

test("a summary of other replies is not used", () => {
  const lines = [20_300, 20_400, 20_500].map(printed);
  expect(sharpen(lines, { min: 20.3, mean: 20.31, max: 20.5, stddev: null })).toBeUndefined();
  expect(sharpen(lines, { min: 10.1, mean: 10.2, max: 10.3, stddev: null })).toBeUndefined();
  expect(sharpen([], { min: 1, mean: 1, max: 1, stddev: null })).toBeUndefined();
});

test("a recorded run with snapshots: the resolution says how good it is", () => {
  const text = (stream: string) => readFileSync(new URL(`./fixtures/ping/iputils_snapshots.${stream}`, import.meta.url), "utf8");
  const conditions = { packet_size: 56, timeout: 2, family: 4 as const };
  const coarse = readPing(parsePing(text("stdout")), conditions, 12);
  const fine = readPing(parsePing(text("stdout"), text("stderr")), conditions, 12);
  expect(coarse?.resolution).toBeGreaterThan(0.9);
  expect(fine?.resolution).toBeLessThan(0.03);
  // Known exactly: the first is its own mean, later ones moved the minimum or the maximum.
  expect(fine?.rtts[0]).toBe(152.973);
  expect(fine?.rtts[1]).toBe(146.573);
  expect(fine?.rtts[9]).toBe(133.242);
  expect(fine?.rtts[10]).toBe(156.512);
});
