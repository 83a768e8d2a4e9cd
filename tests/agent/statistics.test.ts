import { describe, expect, test } from "vitest";
import * as statistics from "../../agent/statistics.ts";

describe("percentile, nearest rank", () => {
  const twenty = Array.from({ length: 20 }, (_, i) => 20 - i);
  test.each([
    [50, 10],
    [95, 19],
    [96, 20],
    [100, 20],
    [0, 1],
  ])("%d %% of 1..20 is %d", (percent, expected) => expect(statistics.percentile(twenty, percent)).toBe(expected));
  test("nothing has none", () => expect(statistics.percentile([], 50)).toBeUndefined());
});

test("median of even and odd samples", () => {
  expect(statistics.median([3, 1, 2])).toBe(2);
  expect(statistics.median([4, 1, 3, 2])).toBe(2.5);
  expect(statistics.median([])).toBeUndefined();
});

test("population standard deviation", () => {
  // Mean 5, squares 9 1 1 1 0 0 4 16 = 32, 32 / 8 = 4.
  expect(statistics.standardDeviation([2, 4, 4, 4, 5, 5, 7, 9])).toBe(2);
});

test("delay variation only between neighbours that were both answered", () => {
  expect(statistics.delayVariations([10, 13, null, 20, 18, null])).toEqual([3, 2]);
});

test("RFC 3550 jitter over the answered requests", () => {
  // |D| = 16, 0, 16: J = 1; 1 − 1/16 = 0.9375; 0.9375 + (16 − 0.9375)/16 = 1.87890625.
  expect(statistics.jitterRfc3550([0, 16, null, 16, 0])).toBeCloseTo(1.87890625, 10);
  expect(statistics.jitterRfc3550([5])).toBeUndefined();
});

describe("Wilson interval", () => {
  test("no loss in 20 still allows 16.1 %", () => {
    const interval = statistics.wilsonInterval(0, 20);
    expect(interval?.low).toBe(0);
    // z² / (n + z²) = 3.8415 / 23.8415.
    expect(interval?.high).toBeCloseTo(16.11, 2);
  });
  test("5 of 20", () => {
    const interval = statistics.wilsonInterval(5, 20);
    expect(interval?.low).toBeCloseTo(11.19, 2);
    expect(interval?.high).toBeCloseTo(46.87, 2);
  });
  test("everything lost", () => expect(statistics.wilsonInterval(4, 4)?.high).toBe(100));
  test("nothing sent", () => expect(statistics.wilsonInterval(0, 0)).toBeUndefined());
});

describe("loss bursts", () => {
  const pattern = (text: string) => [...text].map((sign) => sign === "1");
  test("runs of losses, at the edges too", () => expect(statistics.lossBursts(pattern("0110001011100"))).toEqual([1, 3, 1, 2]));
  test("no loss has no burst", () => expect(statistics.lossBursts(pattern("1111"))).toEqual([]));
  test("burst ratio: mean burst 2 at 20 % loss is 2 · 0.8", () => {
    expect(statistics.burstRatio(pattern("1110011111"))).toBeCloseTo(1.6, 10);
  });
  test("no ratio without loss and with nothing else", () => {
    expect(statistics.burstRatio(pattern("11"))).toBeUndefined();
    expect(statistics.burstRatio(pattern("00"))).toBeUndefined();
  });
});

test("reordered packets as RFC 4737 counts them", () => {
  expect(statistics.reordered([3, 2, 1, 4, 6, 5, 7, 8])).toBe(3);
  expect(statistics.reordered([1, 2, 3])).toBe(0);
});
