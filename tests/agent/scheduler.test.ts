import { describe, expect, test } from "vitest";
import type { InstructedTest } from "#contract/wire";
import { allowedAt, scheduleProblem } from "../../agent/schedule.ts";
import { nextSlot, Scheduler } from "../../agent/scheduler.ts";
import { FakeClock, settle } from "./helpers/clock.ts";

const START = Date.UTC(2026, 10, 23, 12, 0, 3, 400);
const S = 1000;

const instructed = (more: Partial<InstructedTest> = {}): InstructedTest => ({
  test_id: "t1",
  type: "ping",
  destination: "127.0.0.1",
  params: {},
  interval_s: 10,
  offset_s: 2,
  schedule: null,
  ...more,
});

/** A scheduler whose runs take `takes` ms and are noted. */
function setUp(takes = 0, leastGapS = 0) {
  const clock = new FakeClock(START);
  const runs: { id: string; at: number; problem: string | undefined }[] = [];
  const scheduler = new Scheduler(
    (test, problem) => {
      runs.push({ id: test.test_id, at: clock.now(), problem });
      return takes === 0 ? Promise.resolve() : new Promise((resolve) => clock.after(takes, resolve));
    },
    clock,
    () => leastGapS,
  );
  return { clock, runs, scheduler, at: (id = "t1") => runs.filter((run) => run.id === id).map((run) => run.at - START) };
}

test("slots are offset + k · interval since the epoch", () => {
  expect(nextSlot(Date.UTC(2026, 0, 1, 0, 0, 7), 60, 15)).toBe(Date.UTC(2026, 0, 1, 0, 0, 15));
  expect(nextSlot(Date.UTC(2026, 0, 1, 0, 0, 15), 60, 15)).toBe(Date.UTC(2026, 0, 1, 0, 1, 15));
  expect(nextSlot(1000, 1, 0)).toBe(2000);
});

test("a new test runs at once, then in phase and without drift", async () => {
  const { clock, scheduler, at } = setUp(3 * S);
  scheduler.apply([instructed()]);
  await clock.advance(60 * S);
  // 12:00:03.4 at once; the slot at :12 is 8.6 s away and taken, then every 10 s.
  expect(at()).toEqual([0, 8600, 18_600, 28_600, 38_600, 48_600, 58_600]);
});

test("the first slot is left out where the host's owner asks for a longer rest", async () => {
  const { clock, scheduler, at } = setUp(0, 9);
  scheduler.apply([instructed()]);
  await settle();
  await clock.advance(30 * S);
  expect(at()).toEqual([0, 18_600, 28_600]);
});

test("ten thousand intervals later the phase is still exact", async () => {
  const { clock, scheduler, at } = setUp();
  scheduler.apply([instructed({ interval_s: 1, offset_s: 0.25 })]);
  await clock.advance(10_000 * S);
  const last = at().at(-1) ?? 0;
  expect((last + START) % S).toBe(250);
  expect(at().length).toBeGreaterThanOrEqual(9999);
});

test("the same instruction again changes nothing; a changed test runs at once; a removed one stops", async () => {
  const { clock, scheduler, at } = setUp();
  scheduler.apply([instructed(), instructed({ test_id: "t2" })]);
  await clock.advance(1 * S);
  scheduler.apply([instructed(), instructed({ test_id: "t2", destination: "127.0.0.2" })]);
  await clock.advance(0);
  expect(at("t1")).toEqual([0]);
  expect(at("t2")).toEqual([0, 1000]);
  scheduler.apply([instructed()]);
  await clock.advance(30 * S);
  expect(at("t2")).toEqual([0, 1000]);
  expect(at("t1").length).toBe(4);
  expect(scheduler.find("t2")).toEqual([]);
});

test("a new offset moves a test without an extra run", async () => {
  const { clock, scheduler, at } = setUp();
  scheduler.apply([instructed()]);
  await clock.advance(1 * S);
  scheduler.apply([instructed({ offset_s: 6 })]);
  await clock.advance(20 * S);
  // The slot 2.6 s after the first run would be a run too soon.
  expect(at()).toEqual([0, 12_600]);
});

describe("a test that names clients", () => {
  const mesh = (peers: readonly string[], more: Partial<InstructedTest> = {}) =>
    peers.map((peer, place) => instructed({ test_id: `m.${peer}`, destination: `client:${peer}`, offset_s: place * 2, ...more }));

  test("begins with its peers one after the other, each in a place of its own in the interval", async () => {
    const { clock, scheduler, at } = setUp();
    scheduler.apply([...mesh(["a", "b", "c"]), instructed()]);
    await clock.advance(30 * S);
    expect([at("m.a")[0], at("m.b")[0], at("m.c")[0], at()[0]]).toEqual([0, 100, 200, 0]);
    // In phase: at :10, :12 and :14 of 12:00:03.4.
    expect([at("m.a")[1], at("m.b")[1], at("m.c")[1]]).toEqual([6600, 8600, 10_600]);
  });

  test("many of them still begin within half an interval", async () => {
    const { clock, scheduler, runs } = setUp();
    scheduler.apply(mesh(Array.from({ length: 200 }, (_, index) => `p${index}`)));
    await clock.advance(5 * S);
    expect(runs).toHaveLength(200);
  });

  test("does not lose the first run of one peer when another joins at that moment", async () => {
    const { clock, scheduler, at } = setUp();
    scheduler.apply(mesh(["a", "b"]));
    scheduler.apply(mesh(["a", "c", "b"]));
    await clock.advance(1 * S);
    expect([at("m.a"), at("m.b"), at("m.c")]).toEqual([[0], [100], [0]]);
  });

  test("is found by its own id, and by that of one peer", () => {
    const { scheduler } = setUp();
    scheduler.apply([...mesh(["a", "b"]), instructed({ test_id: "mm" })]);
    expect(scheduler.find("m").map(({ test_id }) => test_id)).toEqual(["m.a", "m.b"]);
    expect(scheduler.find("m.b").map(({ test_id }) => test_id)).toEqual(["m.b"]);
  });
});

test("a run still going is not joined by another: left out and counted", async () => {
  const { clock, scheduler, at } = setUp(25 * S);
  scheduler.apply([instructed()]);
  await clock.advance(30 * S);
  // 0 runs until 25 s; the slots at 8.6 and 18.6 s are left out.
  expect(at()).toEqual([0, 28_600]);
  expect(scheduler.skipped).toBe(2);
});

test("a host that slept an hour does not make up for it", async () => {
  const { clock, scheduler, at } = setUp();
  scheduler.apply([instructed()]);
  await clock.advance(20 * S);
  const before = at().length;
  clock.sleep(3600 * S);
  await clock.advance(20 * S);
  // The run that was due in the sleep is over: the timer, late by an hour, only finds the next slot.
  expect(at().length).toBe(before + 1);
  await clock.advance(20 * S);
  expect(at().length).toBe(before + 3);
});

test("a clock set back an hour does not silence a test for an hour", async () => {
  const { clock, scheduler, at } = setUp();
  scheduler.apply([instructed()]);
  await clock.advance(20 * S);
  const before = at().length;
  clock.jump(-3600 * S);
  await clock.advance(75 * S);
  expect(at().length).toBeGreaterThan(before + 1);
});

test("stop() ends everything", async () => {
  const { clock, scheduler, at } = setUp();
  scheduler.apply([instructed()]);
  scheduler.stop();
  await clock.advance(60 * S);
  await settle();
  expect(at()).toEqual([0]);
});

describe("schedules", () => {
  const noon = Date.UTC(2026, 10, 23, 12, 0);
  test("start and length", () => {
    const schedule = { start_at: "2026-11-23T12:00:00Z", duration_s: 60 };
    expect([-1, 0, 59_999, 60_000].map((ms) => allowedAt(schedule, noon + ms, 0))).toEqual([false, true, true, false]);
  });
  test("a length without a start counts from when the test came", () => {
    expect(allowedAt({ duration_s: 60 }, noon + 59_000, noon)).toBe(true);
    expect(allowedAt({ duration_s: 60 }, noon + 60_000, noon)).toBe(false);
  });
  test("windows are in their own time zone, over the change of summer time too", () => {
    const windows = [{ days: ["mon" as const, "tue" as const], from: "08:00", to: "18:00", time_zone: "America/New_York" }];
    // Monday 23 November 2026: New York is UTC−5.
    expect(allowedAt({ windows }, Date.UTC(2026, 10, 23, 12, 59), 0)).toBe(false);
    expect(allowedAt({ windows }, Date.UTC(2026, 10, 23, 13, 0), 0)).toBe(true);
    // Monday 20 July 2026: UTC−4.
    expect(allowedAt({ windows }, Date.UTC(2026, 6, 20, 12, 0), 0)).toBe(true);
    expect(allowedAt({ windows }, Date.UTC(2026, 10, 25, 15, 0), 0)).toBe(false);
  });
  test("a window past midnight belongs to the day it began", () => {
    const windows = [{ days: ["mon" as const], from: "22:00", to: "02:00", time_zone: "UTC" }];
    const at = (day: number, hour: number) => allowedAt({ windows }, Date.UTC(2026, 10, day, hour), 0);
    expect([at(23, 21), at(23, 22), at(24, 1), at(24, 2), at(23, 1)]).toEqual([false, true, true, false, false]);
  });
  test("an unknown time zone is told with the result instead of silence", async () => {
    const { clock, scheduler, runs } = setUp();
    const schedule = { windows: [{ days: ["mon" as const], from: "00:00", to: "00:01", time_zone: "Moon/Base" }] };
    expect(scheduleProblem(schedule)).toMatch(/Moon\/Base/);
    scheduler.apply([instructed({ schedule })]);
    await clock.advance(0);
    expect(runs[0]?.problem).toMatch(/time zone/);
  });
  test("outside its window a test does not run, inside it does, in phase", async () => {
    const { clock, scheduler, at } = setUp();
    scheduler.apply([instructed({ schedule: { start_at: "2026-11-23T12:00:30Z", duration_s: 20 } })]);
    await clock.advance(120 * S);
    expect(at()).toEqual([28_600, 38_600]);
  });
});
