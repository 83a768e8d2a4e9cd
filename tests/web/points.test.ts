import { expect, test } from "vitest";
import { pointAt } from "../../web/charts/cursor.ts";
import { linePoints } from "../../web/charts/line-points.ts";
import { ceilingOf, PING_SMOKE, quantile } from "../../web/charts/smoke.ts";
import { retryDelayMs } from "../../web/live.ts";
import { lossLevel } from "../../web/loss.ts";
import { findGaps, pointOfResult, pointsOfSeries, withLive } from "../../web/state/points.ts";
import { mergeResults, roundTrips } from "../../web/state/results.ts";
import { fitsRaw, rangeForAge, rangeView, viewFromQuery } from "../../web/state/view.ts";
import { NOW, result } from "./make.ts";

const at = (...seconds: number[]) => seconds.map((s) => ({ t: NOW + s * 1000, end: NOW + s * 1000 + 4000 }));

test("a missing stretch is a gap, a late point is not", () => {
  expect(findGaps(at(0, 10, 21, 32), 10_000, NOW, NOW + 40_000)).toEqual([]);
  expect(findGaps(at(0, 10, 60, 70), 10_000, NOW, NOW + 80_000)).toEqual([{ from: NOW + 20_000, to: NOW + 60_000 }]);
});

test("the edges of the view can be gaps", () => {
  expect(findGaps(at(100), 10_000, NOW, NOW + 200_000)).toEqual([
    { from: NOW, to: NOW + 100_000 },
    { from: NOW + 110_000, to: NOW + 200_000 },
  ]);
  expect(findGaps([], 10_000, NOW, NOW + 60_000)).toEqual([{ from: NOW, to: NOW + 60_000 }]);
});

test("a result still on its way is no gap", () => {
  expect(findGaps(at(0, 1, 2), 1000, NOW, NOW + 9000)).toEqual([]);
});

test("live results merge by id, newest first, the later copy wins", () => {
  const stored = { ...result(2), received_at: "2026-11-23T13:01:00Z" };
  const merged = mergeResults([result(1), result(2)], [stored, result(3), result(1)]);
  expect(merged.map((one) => one.seq)).toEqual([3, 2, 1]);
  expect(merged[1]?.received_at).toBe(stored.received_at);
});

test("round trips are numbers or nothing", () => {
  expect(roundTrips({ rtts: [3, null, 1, "2"] })).toEqual([1, 3]);
  expect(roundTrips({ rtts: [null] })).toBeNull();
  expect(roundTrips({})).toBeNull();
  expect(roundTrips({ connects: [{ connect_ms: 4 }, { connect_ms: null }, null, "x", { connect_ms: 2 }] })).toEqual([2, 4]);
});

test("a flag is a value only while it is set", () => {
  const flagged = (path_changed: boolean | null) =>
    pointOfResult(result(1, { metrics: { path_changed } })).values.path_changed?.mid;
  expect([flagged(true), flagged(false), flagged(null)]).toEqual([1, undefined, undefined]);
});

test("a run without an answer has no latency and is marked", () => {
  const point = pointOfResult(result(1, { status: "failed", metrics: { ping_rtt_median: null, ping_loss_pct: 100 } }));
  expect(point).toMatchObject({ failed: true, loss: 100 });
  expect(point.values.ping_rtt_median).toBeUndefined();
});

const bucket = (metric: string, values: (number | null)[], loss?: (number | null)[]) => ({
  client_id: "a",
  test_id: "t",
  peer_id: null,
  metric,
  unit: "ms",
  t: values.map((_, index) => NOW + index * 60_000),
  count: values.map(() => 6),
  min: values,
  median: values,
  p95: values,
  max: values,
  ...(loss ? { loss_pct: loss } : {}),
});

test("series of several metrics become one point per bucket", () => {
  const points = pointsOfSeries(
    [bucket("ping_rtt_median", [12, null], [0, 100]), bucket("ping_rtt_max", [20, null])],
    60,
    NOW + 90_000,
  );
  expect(points).toHaveLength(2);
  expect(points[0]).toMatchObject({ t: NOW, end: NOW + 60_000, loss: 0, failed: false, seq: null });
  expect(points[0]?.values.ping_rtt_max?.high).toBe(20);
  // The open bucket ends when it was read; nothing answered in it.
  expect(points[1]).toMatchObject({ end: NOW + 90_000, failed: true });
});

test("live points continue stored buckets without telling the same twice", () => {
  const stored = pointsOfSeries([bucket("ping_rtt_median", [12, 13])], 60, NOW + 90_000);
  const live = [8, 9, 10].map((seq) => pointOfResult(result(seq)));
  expect(withLive(stored, live).map((point) => point.seq)).toEqual([null, null, 9, 10]);
  expect(withLive([], live)).toHaveLength(3);
});

test.each([
  [null, "unknown"],
  [Number.NaN, "unknown"],
  [0, "none"],
  [0.01, "low"],
  [1.99, "low"],
  [2, "mid"],
  [5.9, "mid"],
  [6, "high"],
  [100, "high"],
] as const)("loss of %s is %s", (loss, level) => expect(lossLevel(loss)).toBe(level));

test("a line is broken where a value or the data is missing", () => {
  const points = [1, 2].map((seq) => pointOfResult(result(seq)));
  const line = linePoints(points, "ping_rtt_median", [{ from: NOW + 15_000, to: NOW + 20_000 }]);
  expect(line.map((point) => point.y)).toEqual([12.5, Number.NaN, 12.5]);
  expect(linePoints(points, "ping_rtt_p95", []).every((point) => Number.isNaN(point.y))).toBe(true);
});

test("the latency axis leaves rare peaks out and says so", () => {
  const high = (value: number) => pointOfResult(result(1, { metrics: { ping_rtt_max: value } }));
  expect(ceilingOf([], PING_SMOKE)).toBeNull();
  expect(ceilingOf([high(10), high(20)], PING_SMOKE)?.peak).toBeNull();
  const spiked = ceilingOf([...Array.from({ length: 60 }, () => high(10)), high(900)], PING_SMOKE);
  expect(spiked?.peak).toBe(900);
  expect(spiked?.max).toBeLessThan(100);
  expect(quantile([1, 2, 3], 0.5)).toBe(2);
});

test("the cursor finds the point it is on", () => {
  const points = at(0, 10, 20);
  expect(pointAt(points, NOW + 12_000, 15_000)).toBe(1);
  expect(pointAt(points, NOW - 1, 15_000)).toBe(-1);
  expect(pointAt(points, NOW + 60_000, 15_000)).toBe(-1);
});

test("the URL is the view", () => {
  expect(viewFromQuery({ range: "24h" }, "1h")).toEqual(rangeView("24h"));
  expect(viewFromQuery({ range: "constructor" }, "1h")).toEqual(rangeView("1h"));
  expect(viewFromQuery({ from: "2026-11-23T13:00:00Z", to: "2026-11-23T13:05:00Z" }, "1h")).toMatchObject({
    kind: "fixed",
    spanMs: 300_000,
  });
  expect(viewFromQuery({ from: "2026-11-23T13:05:00Z", to: "2026-11-23T13:00:00Z" }, "1h")).toEqual(rangeView("1h"));
  expect(fitsRaw(rangeView("1h"), 10, 1000)).toBe(true);
  expect(fitsRaw(rangeView("1h"), 1, 1000)).toBe(false);
  expect(fitsRaw(rangeView("24h"), 300, 1000)).toBe(false);
  expect([60_000, 600_000, 86_400_000].map(rangeForAge)).toEqual(["5m", "15m", "1h"]);
});

test("browsers do not come back together, nor wait for ever", () => {
  expect(retryDelayMs(0, 0)).toBeGreaterThan(0);
  expect(retryDelayMs(0, 1)).toBe(500);
  expect(retryDelayMs(50, 1)).toBe(30_000);
});
