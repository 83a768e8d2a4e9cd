// The host's clock, its marks on results, and the schedule, while the wall clock is set and the host sleeps. The clocks are given.
import { describe, expect, test } from "vitest";
import type { InstructedTest } from "#contract/wire";
import { atTrueTime, markedDetail } from "../../agent/clock-marks.ts";
import { type ClockSource, HostClock } from "../../agent/host-clock.ts";
import type { CertificateReading } from "../../agent/probes/certificate.ts";
import { errorByTrueTime, HOST_CLOCK_WRONG } from "../../agent/probes/tls-verdict.ts";
import { Scheduler } from "../../agent/scheduler.ts";
import { FakeClock } from "./helpers/clock.ts";

const S = 1000;
const DAY = 86_400 * S;
const TRUTH = Date.UTC(2026, 10, 23, 12);

/** A host's three clocks; the true time runs with them. */
class Clocks implements ClockSource {
  truth = TRUTH;
  #wallOff = 0;
  #awake = 5 * S;
  #boot = 9000 * S;
  readonly #hasBoot: boolean;

  constructor(hasBoot = true) {
    this.#hasBoot = hasBoot;
  }

  wall = () => Math.round(this.truth + this.#wallOff);
  monotonic = () => this.#awake;
  /** /proc/uptime counts hundredths. */
  boot = () => (this.#hasBoot ? Math.floor(this.#boot / 10) * 10 : undefined);

  pass(ms: number): void {
    this.truth += ms;
    this.#awake += ms;
    this.#boot += ms;
  }

  sleep(ms: number): void {
    this.truth += ms;
    this.#boot += ms;
  }

  set(by_ms: number): void {
    this.#wallOff += by_ms;
  }
}

/** A clock that has heard the edge's time over a line of 40 ms. */
function heard(clocks: Clocks): HostClock {
  const clock = new HostClock(clocks);
  learn(clock, clocks);
  return clock;
}

function learn(clock: HostClock, clocks: Clocks, roundTrip_ms = 40): void {
  const sent = clocks.wall();
  clocks.pass(roundTrip_ms / 2);
  const server = clocks.truth;
  clocks.pass(roundTrip_ms / 2);
  clock.learn(server, sent, clocks.wall());
}

describe("the host's clock", () => {
  test("is the wall clock where it agrees, and where nothing is known of it", () => {
    const clocks = new Clocks();
    const clock = new HostClock(clocks);
    clocks.set(DAY);
    expect([clock.now() - clocks.truth, clock.corrected, clock.offset]).toEqual([DAY, false, null]);
    clocks.set(-DAY + 1500);
    learn(clock, clocks);
    expect([clock.now() - clocks.truth, clock.corrected]).toEqual([1500, false]);
    expect(clock.offset).toBe(1500);
    expect(clock.edgeNow()).toBe(clocks.truth);
  });

  test("is corrected where it is further off than 2 s", () => {
    const clocks = new Clocks();
    clocks.set(-7 * DAY);
    const clock = heard(clocks);
    expect([clock.now(), clock.corrected]).toEqual([clocks.truth, true]);
  });

  test.each([DAY, -DAY, 3 * S, -3 * S])("set by %d ms it does not jump", (by) => {
    const clocks = new Clocks();
    const clock = heard(clocks);
    clocks.pass(60 * S);
    clocks.set(by);
    expect([clock.now(), clock.corrected, clock.offset]).toEqual([clocks.truth, true, by]);
    expect(clock.history).toEqual({ steps: 1, stepped_ms: by, sleeps: 0, slept_ms: 0 });
    clocks.pass(3600 * S);
    clocks.set(-by);
    expect([clock.now(), clock.corrected, clock.history.steps]).toEqual([clocks.truth, false, 2]);
  });

  test("a wrong clock that is set right is believed again at once", () => {
    const clocks = new Clocks();
    clocks.set(DAY);
    const clock = heard(clocks);
    clocks.set(-DAY);
    expect([clock.now(), clock.corrected, clock.offset]).toEqual([clocks.truth, false, 0]);
  });

  test("a sleep is no step, and a step in a sleep is both", () => {
    const clocks = new Clocks();
    const clock = heard(clocks);
    const before = clock.steady();
    clocks.sleep(3600 * S);
    expect(clock.now()).toBe(clocks.truth);
    expect(clock.history).toMatchObject({ steps: 0, sleeps: 1, slept_ms: 3600 * S });
    expect(clock.steady() - before).toBe(3600 * S);
    clocks.sleep(600 * S);
    clocks.set(-DAY);
    expect(clock.now()).toBe(clocks.truth);
    expect(clock.history).toMatchObject({ steps: 1, stepped_ms: -DAY, sleeps: 2 });
  });

  test("slewing is no step, not even of minutes in all", () => {
    const clocks = new Clocks();
    const clock = new HostClock(clocks);
    for (let minute = 0; minute < 600; minute++) {
      clocks.pass(60 * S);
      clocks.set(30);
      clock.now();
    }
    expect(clock.history).toMatchObject({ steps: 0, sleeps: 0 });
  });

  test("half a second is the difference", () => {
    for (const [by, steps] of [
      [499, 0],
      [-499, 0],
      [520, 1],
      [-520, 1],
    ] as const) {
      const clocks = new Clocks();
      const clock = new HostClock(clocks);
      clocks.set(by);
      expect(clock.history.steps).toBe(steps);
      const sleeper = new Clocks();
      const slept = new HostClock(sleeper);
      sleeper.sleep(Math.max(0, by));
      expect(slept.history.sleeps).toBe(by > 500 ? 1 : 0);
    }
  });

  test("without a clock of its own for sleep, where the monotonic one runs on, steps are seen all the same", () => {
    const clocks = new Clocks(false);
    const clock = heard(clocks);
    clocks.pass(3600 * S);
    clocks.set(DAY);
    expect([clock.now(), clock.history.steps, clock.history.sleeps]).toEqual([clocks.truth, 1, 0]);
  });

  test("a process held up between two readings has seen no step", () => {
    const clocks = new Clocks();
    let held = 3;
    const monotonic = clocks.monotonic;
    const wall = clocks.wall;
    clocks.wall = () => {
      if (held-- > 1) clocks.pass(800);
      return wall();
    };
    clocks.monotonic = monotonic;
    const clock = new HostClock(clocks);
    held = 2;
    clock.now();
    expect(clock.history.steps).toBe(0);
  });

  test("an exchange that took longer than a second, or backwards, teaches nothing", () => {
    const clocks = new Clocks();
    const clock = new HostClock(clocks);
    learn(clock, clocks, 1100);
    expect(clock.offset).toBeNull();
    clock.learn(clocks.truth, clocks.wall(), clocks.wall() - 5);
    expect(clock.offset).toBeNull();
  });
});

describe("what was measured before the first contact", () => {
  const item = (started_at: number, detail: Record<string, unknown>) => ({ seq: 1, started_at, flags: ["x"], detail });

  test("gets its true time as it leaves, however often the wall clock was set, and the same when it is sent again", () => {
    const clocks = new Clocks();
    clocks.set(DAY);
    const clock = new HostClock(clocks);
    clock.awaitEdge();
    const truth = clocks.truth;
    const begun = clock.moment();
    expect(begun.started_at).toBe(truth + DAY);
    const kept = JSON.parse(JSON.stringify(item(begun.started_at, markedDetail({ a: 1 }, begun)))) as Record<string, unknown>;
    // Nothing is known yet: it leaves as it is, without the mark.
    expect(atTrueTime(kept, clock)).toEqual(item(truth + DAY, { a: 1 }));
    clocks.pass(60 * S);
    clocks.sleep(600 * S);
    clocks.set(-3 * DAY);
    clock.now();
    learn(clock, clocks);
    const sent = atTrueTime(kept, clock);
    expect(sent).toMatchObject({ flags: ["x", "clock_corrected"], detail: { a: 1 } });
    expect(Math.abs(Number(sent.started_at) - truth)).toBeLessThan(50);
    clocks.pass(60 * S);
    expect(atTrueTime(kept, clock)).toEqual(sent);
    expect(Object.keys(sent.detail as object)).toEqual(["a"]);
  });

  test("keeps its time where that was right, and where another process measured it", () => {
    const clocks = new Clocks();
    const clock = new HostClock(clocks);
    clock.awaitEdge();
    const begun = clock.moment();
    learn(clock, clocks);
    expect(atTrueTime(item(begun.started_at, markedDetail({}, begun)), clock)).toEqual(item(begun.started_at, {}));
    const foreign = { started_at: TRUTH + DAY, mark: { of: "another", at: 5 } };
    expect(atTrueTime(item(TRUTH + DAY, markedDetail({}, foreign)), clock)).toEqual(item(TRUTH + DAY, {}));
    expect(clock.moment().mark).toBeUndefined();
    const unmarked = { seq: 2, anything: true };
    expect(atTrueTime(unmarked, clock)).toBe(unmarked);
  });

  test("no mark where no server will ever tell the time", () => {
    expect(new HostClock(new Clocks()).moment().mark).toBeUndefined();
  });
});

describe("the schedule", () => {
  const every = (interval_s: number, more: Partial<InstructedTest> = {}): InstructedTest => ({
    test_id: "t",
    type: "ping",
    destination: "127.0.0.1",
    params: {},
    interval_s,
    offset_s: 7,
    schedule: null,
    ...more,
  });

  function setUp(tests: readonly InstructedTest[]) {
    const clock = new FakeClock(TRUTH);
    const runs: { id: string; at: number }[] = [];
    const scheduler = new Scheduler((one) => {
      runs.push({ id: one.test_id, at: clock.steady() / S });
      return Promise.resolve();
    }, clock);
    scheduler.apply(tests);
    return { clock, runs, scheduler };
  }

  const many = Array.from({ length: 12 }, (_, index) => every(60, { test_id: `t${index}`, offset_s: index * 5 }));

  test.each([DAY, -DAY, 8 * 3600 * S, -90 * S])("a clock set by %d ms starts nothing early and loses no slot", async (by) => {
    const { clock, runs } = setUp([every(60), every(3600, { test_id: "h" })]);
    await clock.advance(200 * S);
    clock.jump(by);
    await clock.advance(2 * 3600 * S);
    const gaps = (id: string) => {
      const times = runs.filter((run) => run.id === id).map(({ at }) => at);
      return times.slice(1).map((time, index) => time - (times[index] ?? 0));
    };
    expect(Math.max(...gaps("t"))).toBeLessThanOrEqual(90);
    expect(Math.min(...gaps("t"))).toBeGreaterThanOrEqual(30);
    expect(Math.max(...gaps("h"))).toBeLessThanOrEqual(5400);
    expect(Math.min(...gaps("h"))).toBeGreaterThanOrEqual(1800);
  });

  test("a host that slept starts no burst: every test comes in its own place", async () => {
    const { clock, runs } = setUp(many);
    await clock.advance(200 * S);
    clock.sleep(3600 * S);
    runs.length = 0;
    await clock.advance(180 * S);
    for (let from = 0; from < runs.length; from++) {
      const near = runs.filter(({ at }) => Math.abs(at - (runs[from]?.at ?? 0)) < 4);
      expect(near).toHaveLength(1);
    }
    expect(new Set(runs.map(({ id }) => id)).size).toBe(many.length);
  });

  test("a process that was stopped starts no burst either", async () => {
    const { clock, runs } = setUp(many);
    await clock.advance(200 * S);
    runs.length = 0;
    // All its timers come at once; one of them was due 3 s ago.
    clock.stop(43 * S);
    await clock.advance(0);
    expect(runs).toHaveLength(1);
    await clock.advance(61 * S);
    expect(new Set(runs.map(({ id }) => id)).size).toBe(many.length);
    expect(new Set(runs.map(({ at }) => at)).size).toBe(runs.length);
  });

  test("a daily test that slept through its time is made up for within a minute", async () => {
    const { clock, runs } = setUp([every(86_400)]);
    await clock.advance(60 * S);
    clock.sleep(1.2 * DAY);
    await clock.advance(130 * S);
    expect(runs).toHaveLength(2);
    await clock.advance(DAY);
    expect(runs.length).toBeLessThanOrEqual(3);
  });

  test("a length without a start is counted by what has passed, not by what the clock was set to", async () => {
    const { clock, runs } = setUp([every(60, { schedule: { duration_s: 600 } })]);
    await clock.advance(100 * S);
    clock.jump(DAY);
    await clock.advance(300 * S);
    const during = runs.length;
    expect(during).toBeGreaterThanOrEqual(6);
    await clock.advance(300 * S);
    const after = runs.length;
    await clock.advance(600 * S);
    expect(runs.length).toBe(after);
  });
});

describe("a certificate's dates by a wrong clock", () => {
  const iso = (time: number) => new Date(time).toISOString();
  const certificate = (from: number, until: number): CertificateReading => ({
    subject_cn: "a.example",
    issuer: "ca",
    sans: [],
    sans_count: 0,
    not_before: from,
    not_after: until,
    fingerprint_sha256: "",
    key_type: null,
    key_bits: null,
    chain: [{ subject: "", issuer: "", not_before: iso(from), not_after: iso(until), fingerprint: "" }],
    chain_len: 1,
    names: () => true,
  });

  test.each([
    ["CERT_HAS_EXPIRED", -DAY, DAY, HOST_CLOCK_WRONG],
    ["CERT_NOT_YET_VALID", -DAY, DAY, HOST_CLOCK_WRONG],
    [null, -DAY, DAY, null],
    [null, -2 * DAY, -S, "CERT_HAS_EXPIRED"],
    [null, S, DAY, "CERT_NOT_YET_VALID"],
    ["CERT_HAS_EXPIRED", -2 * DAY, -S, "CERT_HAS_EXPIRED"],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", -DAY, DAY, "DEPTH_ZERO_SELF_SIGNED_CERT"],
  ])("%s with dates %d to %d around the true time is %s", (error, from, until, expected) => {
    expect(errorByTrueTime(error, certificate(TRUTH + from, TRUTH + until), TRUTH)).toBe(expected);
  });
});
