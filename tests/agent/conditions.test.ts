// What a run's result says of its host. Looks, clocks and timers are given; the real ones are in tests/e2e/clock.test.ts and overload.test.ts.
import { describe, expect, test } from "vitest";
import type { Metrics } from "#contract/result";
import type { TestTypeName } from "#contract/test-types/index";
import { Conditions, type ConditionsParts } from "../../agent/conditions.ts";
import { type ClockSource, HostClock } from "../../agent/host-clock.ts";
import {
  isOverloaded,
  type Load,
  type LoadLook,
  loadBetween,
  parseDelayed,
  parseProcessors,
  parseWaiting,
} from "../../agent/host-load.ts";
import { busyBetween, interfaceTo, type LineLook, Lines, parseRoutes4, parseRoutes6, type Rates } from "../../agent/line-load.ts";
import { LoadHistory } from "../../agent/load-history.ts";
import { type LoopTimers, LoopWatch } from "../../agent/loop-watch.ts";
import type { Outcome } from "../../agent/probes/probe.ts";

const CORES = 2;

/** A host whose time, load, clocks and line are told. */
class Host implements LoopTimers, ClockSource {
  at = 100_000;
  slept = 0;
  set = 0;
  /** Shares of all processors' time that others and this process use from now on, and of the time that somebody waits. */
  use = { others: 0.02, own: 0, waiting: 0, steal: 0 };
  /** What this process waits for a processor, ms a second. */
  delay = 0.5;
  /** Mbit/s from now on. */
  traffic = { rx: 0, tx: 0 };
  #sums = { idle: 0, own: 0, waiting: 0, steal: 0, delayed: 0, rx: 0, tx: 0 };
  #timers: { due: number; call: () => void }[] = [];

  now = () => this.at;
  monotonic = () => this.at;
  boot = () => this.at + this.slept;
  wall = () => Date.UTC(2026, 10, 23) + this.at + this.slept + this.set;

  after(ms: number, call: () => void): () => void {
    const timer = { due: this.at + ms, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  /** Time passes; with `held`, timers only fire at its end. */
  pass(ms: number, held = false): void {
    const end = this.at + ms;
    while (!held) {
      const next = this.#timers.filter(({ due }) => due <= end).sort((a, b) => a.due - b.due)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#move(Math.max(this.at, next.due));
      next.call();
    }
    this.#move(end);
    if (held) this.pass(0);
  }

  #move(to: number): void {
    const ms = to - this.at;
    const { others, own, waiting, steal } = this.use;
    this.#sums.idle += ms * CORES * (1 - others - own - steal);
    this.#sums.own += ms * CORES * own;
    this.#sums.steal += ms * CORES * steal;
    this.#sums.waiting += ms * waiting;
    this.#sums.delayed += (ms * this.delay) / 1000;
    this.#sums.rx += (ms * this.traffic.rx * 1000) / 8;
    this.#sums.tx += (ms * this.traffic.tx * 1000) / 8;
    this.at = to;
  }

  look = (): LoadLook => ({
    at: this.at,
    total_ms: this.at * CORES,
    idle_ms: this.#sums.idle,
    steal_ms: this.#sums.steal,
    own_ms: this.#sums.own,
    waiting_ms: this.#sums.waiting,
    lately_pct: 0,
    delayed_ms: this.#sums.delayed,
  });

  delayed = () => this.#sums.delayed;
  isSuspicious = () => this.use.waiting > 0.3;
  line = (): LineLook => ({ at: this.at, carried: new Map([["eth0", { rx: this.#sums.rx, tx: this.#sums.tx }]]) });
}

class FakeLines extends Lines {
  readonly #host: Host;
  speed: Rates = { rx: 1000, tx: 1000 };
  learnt: unknown[] = [];

  constructor(host: Host) {
    super();
    this.#host = host;
  }
  override look = () => this.#host.line();
  override interfaceTo = (address: string | null) => (address?.startsWith("127.") ? undefined : "eth0");
  override capacity = () => this.speed;
  override measured = (...all: unknown[]) => {
    this.learnt.push(all);
  };
}

function setUp() {
  const host = new Host();
  const lines = new FakeLines(host);
  const parts: ConditionsParts = {
    clock: new HostClock(host),
    lines,
    history: (each) => new LoadHistory(each, host),
    loop: (onTick) => new LoopWatch(onTick, host),
    delayed: host.delayed,
    pause: (ms) => {
      host.pass(ms);
      return Promise.resolve();
    },
  };
  const conditions = new Conditions(parts);
  /** A run of this type that lasts so long; `meanwhile` may change the host in it. */
  const run = async (
    type: TestTypeName,
    metrics: Metrics,
    meanwhile: (host: Host) => void,
    more: Partial<Outcome> = {},
    samples = 1,
  ) => {
    const watched = conditions.watch({ type, destination: "192.0.2.1", samples });
    watched.measuring();
    meanwhile(host);
    const outcome: Outcome = {
      address: "192.0.2.1",
      status: "ok",
      error: null,
      metrics,
      reasons: {},
      detail: { kept: true },
      flags: [],
      ...more,
    };
    return watched.over(outcome, new AbortController().signal);
  };
  return { host, lines, clock: parts.clock, conditions, run };
}

describe("looks at /proc", () => {
  test("processors, pressure, the loop's own waiting", () => {
    const text = "cpu  1812542 14 746253 5258582 27488 0 15436 19318 0 0\ncpu0 824147 1 366056 2729057 5172 0 5164 9799 0 0\n";
    expect(parseProcessors(text)).toEqual({ total_ms: 78_796_330, idle_ms: 52_860_700, steal_ms: 193_180 });
    expect(
      parseWaiting("some avg10=0.53 avg60=0.72 avg300=1.26 total=6325121055\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"),
    ).toEqual({ waiting_ms: 6_325_121.055, lately_pct: 0.53 });
    expect(parseDelayed("10253000 711200 55\n")).toBe(0.7112);
    for (const parse of [parseProcessors, parseDelayed]) {
      for (const rubbish of ["", "cpu\n", "some\n", "x y z"]) expect(parse(rubbish)).toBeUndefined();
    }
  });

  test("counters that were reset, and no time at all, say nothing", () => {
    const look = new Host().look();
    expect(loadBetween(look, look)).toBeUndefined();
    expect(loadBetween(look, { ...look, at: look.at + 500, total_ms: 5 })).toBeUndefined();
  });
});

describe("overloaded", () => {
  const load = (more: Partial<Load>): Load => ({
    window_ms: 500,
    idle_pct: 0,
    steal_pct: 0,
    others_pct: 0,
    own_pct: 3,
    waiting_pct: 0,
    delayed_pct: 1,
    ...more,
  });

  // As read on a host of two processors, 0.5 s each.
  test.each<[string, boolean, Partial<Load>]>([
    ["idle", false, { idle_pct: 95, others_pct: 4, waiting_pct: 2 }],
    ["one busy process", false, { idle_pct: 43, others_pct: 56, waiting_pct: 1 }],
    ["four busy processes", true, { others_pct: 98, waiting_pct: 77, delayed_pct: 3 }],
    ["two busy processes", true, { others_pct: 98, waiting_pct: 5 }],
    ["this process and its tools alone", false, { others_pct: 40, own_pct: 110, waiting_pct: 60, delayed_pct: 25 }],
    ["a hypervisor that takes a third", true, { idle_pct: 3, steal_pct: 33, others_pct: 30 }],
    ["a quota under an idle host", true, { idle_pct: 80, others_pct: 15, delayed_pct: 45, own_pct: 4 }],
    ["no pressure information, all processors used by others", true, { others_pct: 97, waiting_pct: null, delayed_pct: null }],
    ["no pressure information, idle", false, { idle_pct: 60, others_pct: 39, waiting_pct: null, delayed_pct: null }],
  ])("%s: %s", (_what, expected, more) => {
    expect(isOverloaded(load(more))).toBe(expected);
  });

  test("a run under load from outside is flagged, with the evidence", async () => {
    const { host, run } = setUp();
    host.use = { others: 0.98, own: 0, waiting: 0.8, steal: 0 };
    const result = await run("ping", { ping_rtt_min: 1 }, () => host.pass(4000));
    expect(result).toMatchObject({ status: "ok", flags: ["host_overloaded"], metrics: { ping_rtt_min: 1 } });
    expect(result.detail).toMatchObject({ kept: true, conditions: { waiting_pct: 80, idle_pct: 2 } });
  });

  test("three seconds of load in twenty are enough, and seen where they are", async () => {
    const { host, run } = setUp();
    const burst = () => {
      host.pass(6000);
      host.use = { others: 0.98, own: 0, waiting: 0.9, steal: 0 };
      host.pass(4500);
      host.use = { others: 0.02, own: 0, waiting: 0, steal: 0 };
      host.pass(9500);
    };
    expect((await run("ping", {}, burst)).flags).toEqual(["host_overloaded"]);
    expect((await run("ping", {}, () => host.pass(4000))).flags).toEqual([]);
  });

  test("a run of some milliseconds is judged a moment longer where that is called for, and else at once", async () => {
    const { host, run } = setUp();
    const before = host.at;
    expect((await run("dns", { dns_query_ms: 1 }, () => host.pass(2))).flags).toEqual([]);
    expect(host.at - before).toBe(2);
    host.pass(60_000);
    host.use = { others: 0.97, own: 0.01, waiting: 0.9, steal: 0 };
    const begun = host.at;
    expect((await run("dns", { dns_query_ms: 1 }, () => host.pass(2))).flags).toEqual(["host_overloaded"]);
    expect(host.at - begun).toBeLessThan(250);
  });

  test("ten tests of this agent at once are no load from outside", async () => {
    const { host, conditions, run } = setUp();
    host.use = { others: 0.3, own: 0.5, waiting: 0.5, steal: 0 };
    const others = Array.from({ length: 9 }, () => conditions.watch({ type: "ping", destination: "x", samples: 20 }));
    const result = await run("http", { http_total_ms: 300 }, () => host.pass(1500));
    expect(result.flags).toEqual([]);
    expect(others).toHaveLength(9);
  });
});

describe("late looks", () => {
  const held = (ms: number) => (host: Host) => {
    host.pass(40);
    host.pass(ms, true);
    host.pass(40);
  };

  test("a time that may be off by more than 5 ms and a fifth is null; what it cannot be off by stays", async () => {
    const { run } = setUp();
    const metrics = { tls_handshake_ms: 90, tls_tcp_ms: 3, tls_version: "TLSv1.3", cert_days_left: 30 };
    const late = await run("tls", metrics, held(60));
    expect(late).toMatchObject({
      metrics: { tls_handshake_ms: null, tls_tcp_ms: 3, tls_version: "TLSv1.3", cert_days_left: 30 },
      reasons: { tls_handshake_ms: "host_overloaded" },
    });
    expect((late.detail.conditions as { late_ms: number }).late_ms).toBeGreaterThan(18);
    expect(await run("tls", { tls_handshake_ms: 500 }, held(60))).toMatchObject({
      metrics: { tls_handshake_ms: 500 },
      detail: { kept: true },
    });
    expect((await run("tls", metrics, (host) => host.pass(120))).metrics).toEqual(metrics);
  });

  test("kernel and tool stamps stay", async () => {
    const { run } = setUp();
    const kernel = { tcp_min_rtt_ms: 20, tcp_srtt_ms: 21, tcp_connect_ms: 22, tcp_connect_max: 50 };
    expect((await run("tcp", kernel, held(200))).metrics).toMatchObject({
      tcp_min_rtt_ms: 20,
      tcp_srtt_ms: 21,
      tcp_connect_max: null,
    });
    const ping = { ping_rtt_min: 20, ping_rtt_max: 40 };
    expect((await run("ping", ping, held(200))).metrics).toEqual(ping);
  });

  test("one late look among many spoils the maximum, not the median", async () => {
    const { run } = setUp();
    const metrics = { tcp_connect_ms: 20, tcp_connect_min: 19, tcp_connect_p95: 80, tcp_connect_max: 90 };
    const told = await run("tcp", metrics, held(100), {}, 20);
    expect(told.metrics).toEqual({ tcp_connect_ms: 20, tcp_connect_min: 19, tcp_connect_p95: null, tcp_connect_max: null });
  });

  test("what held the process up before it timed anything distorts nothing", async () => {
    const { host, conditions } = setUp();
    const watched = conditions.watch({ type: "tls", destination: "x", samples: 1 });
    host.pass(800, true);
    watched.measuring();
    host.pass(100);
    const outcome: Outcome = {
      address: null,
      status: "ok",
      error: null,
      metrics: { tls_handshake_ms: 90 },
      reasons: {},
      detail: {},
      flags: [],
    };
    expect(await watched.over(outcome, new AbortController().signal)).toEqual(outcome);
  });

  test("a run too short for any timer goes by what the loop waited for a processor", async () => {
    const { host, run } = setUp();
    host.delay = 700;
    const told = await run("dns", { dns_query_ms: 14, dns_connect_ms: 1 }, () => host.pass(15));
    expect(told.metrics).toEqual({ dns_query_ms: null, dns_connect_ms: 1 });
  });

  test("nothing ticks while nothing is measured, and hardly anything while a tool measures", async () => {
    const host = new Host();
    let ticks = 0;
    const watch = new LoopWatch(() => {
      ticks += 1;
    }, host);
    host.pass(60_000);
    expect(ticks).toBe(0);
    const run = watch.begin();
    host.pass(20_000);
    expect(ticks).toBe(10);
    run.measuring();
    host.pass(10_000);
    expect(ticks).toBeLessThan(10 + 50);
    watch.end(run);
    const after = ticks;
    host.pass(60_000);
    expect(ticks).toBe(after);
  });
});

describe("suspended", () => {
  const lost = { status: "failed", error: { code: "no_reply", source: "network", message: "none of 20" } } as const;

  test("a run that a sleep cut in two says nothing of its target", async () => {
    const { host, run, conditions } = setUp();
    const sleep = () => {
      host.pass(1000);
      host.slept += 60_000;
      host.pass(1000);
    };
    const told = await run("ping", { ping_loss_pct: 100, ping_sent: 20 }, sleep, lost);
    expect(told).toMatchObject({
      status: "failed",
      error: { code: "host_overloaded", source: "agent" },
      flags: ["host_suspended"],
      metrics: { ping_loss_pct: null, ping_sent: null },
      reasons: { ping_loss_pct: "host_overloaded" },
      detail: { kept: true, before: { status: "failed", error: { code: "no_reply" } }, conditions: { away_ms: 60_000 } },
    });
    expect(told.error?.message).toContain("60.0 s");
    expect(conditions.timeJumps).toBe(1);
  });

  test.each<[TestTypeName, Partial<Outcome>]>([
    ["tcp", lost],
    ["tcp", {}],
    ["http", { status: "failed", error: { code: "deadline", source: "agent", message: "late" } }],
    ["ping", { status: "partial" }],
  ])("a %s run whose process was stopped likewise: %o", async (type, more) => {
    const { host, run } = setUp();
    const told = await run(type, { ping_loss_pct: 5 }, () => host.pass(8000, true), more);
    expect(told).toMatchObject({
      status: "failed",
      error: { source: "agent", code: "host_overloaded" },
      flags: ["host_suspended"],
    });
    expect(Object.values(told.metrics).every((value) => value === null)).toBe(true);
  });

  test("what a tool measured whole meanwhile stays, flagged", async () => {
    const { host, run } = setUp();
    const metrics = { ping_loss_pct: 0, ping_rtt_min: 10, ping_rtt_max: 12 };
    expect(await run("ping", metrics, () => host.pass(8000, true))).toMatchObject({
      status: "ok",
      metrics,
      flags: ["host_suspended"],
    });
    // A sleep got into one of the times.
    const spoiled = await run("ping", { ...metrics, ping_rtt_max: 8010 }, () => host.pass(8000, true));
    expect(spoiled).toMatchObject({ status: "failed", error: { source: "agent" } });
  });

  test("a run that was stopped, or that its owner forbids, stays that", async () => {
    const { host, run } = setUp();
    const error = { code: "aborted", source: "agent", message: "stopped" } as const;
    const told = await run("tcp", {}, () => host.pass(8000, true), { status: "failed", error });
    expect(told.error).toEqual(error);
  });

  test("two seconds of standstill are load, not sleep; a standstill is counted once", async () => {
    const { host, run, conditions } = setUp();
    expect((await run("ping", {}, () => host.pass(2000, true))).flags).toEqual([]);
    const [first, second] = ["a", "b"].map((destination) => conditions.watch({ type: "ping", destination, samples: 1 }));
    host.pass(9000, true);
    conditions.late(8000);
    expect([first, second]).toHaveLength(2);
    expect(conditions.timeJumps).toBe(1);
  });
});

describe("the wall clock set during a run", () => {
  test.each([86_400_000, -86_400_000])("by %d ms: flagged, and the durations hold", async (by) => {
    const { host, clock, run } = setUp();
    clock.learn(host.wall(), host.wall(), host.wall());
    const metrics = { tcp_connect_ms: 20, tcp_min_rtt_ms: 19 };
    const told = await run("tcp", metrics, () => {
      host.pass(500);
      host.set += by;
      host.pass(500);
    });
    expect(told).toMatchObject({
      metrics,
      flags: ["clock_step", "clock_corrected"],
      detail: { conditions: { clock_stepped_ms: by } },
    });
    // The next run spans no step.
    expect((await run("tcp", metrics, () => host.pass(500))).flags).toEqual(["clock_corrected"]);
  });

  test("a tool that subtracts wall clock times gives none where the step may be in them", async () => {
    const { host, run } = setUp();
    const stepped = (by: number) => () => {
      host.set += by;
      host.pass(500);
    };
    const fine = { ping_rtt_min: 10, ping_rtt_max: 30, ping_loss_pct: 0 };
    expect((await run("ping", fine, stepped(-86_400_000))).metrics).toEqual(fine);
    const clamped = await run("ping", { ...fine, ping_rtt_min: 0 }, stepped(-86_400_000));
    expect(clamped.metrics).toMatchObject({ ping_rtt_min: null, ping_rtt_max: null, ping_loss_pct: 0 });
    const grown = await run("ping", { ...fine, ping_rtt_max: 630 }, stepped(600));
    expect(grown).toMatchObject({
      metrics: { ping_rtt_max: null, ping_loss_pct: 0 },
      reasons: { ping_rtt_max: "host_overloaded" },
    });
  });
});

describe("the line", () => {
  test("full of others' traffic either way: flagged with figures", async () => {
    const { host, run } = setUp();
    host.traffic = { rx: 20, tx: 900 };
    const told = await run("ping", {}, () => host.pass(4000));
    expect(told).toMatchObject({
      flags: ["link_busy"],
      detail: { conditions: { line: { interface: "eth0", direction: "tx", mbps: 900, capacity_mbps: 1000 } } },
    });
    host.traffic = { rx: 20, tx: 700 };
    host.pass(5000);
    expect((await run("ping", {}, () => host.pass(4000))).flags).toEqual([]);
  });

  test("unknown capacity, this host's own addresses, and an own bandwidth test: no flag", async () => {
    const { host, lines, run } = setUp();
    host.traffic = { rx: 990, tx: 990 };
    expect((await run("ping", {}, () => host.pass(4000), { address: "127.0.0.1" })).flags).toEqual([]);
    expect((await run("ping", {}, () => host.pass(4000), { flags: ["own_load"] })).flags).toEqual(["own_load"]);
    expect((await run("bandwidth", { bw_down_mbps: 95, bw_up_mbps: 40 }, () => host.pass(4000))).flags).toEqual([]);
    expect(lines.learnt).toEqual([["192.0.2.1", "192.0.2.1", { rx: 95, tx: 40 }]]);
    lines.speed = { rx: null, tx: null };
    expect((await run("ping", {}, () => host.pass(4000))).flags).toEqual([]);
  });

  test("the moments after an own bandwidth test are not the others' fault", async () => {
    const { host, run } = setUp();
    host.traffic = { rx: 950, tx: 0 };
    await run("bandwidth", {}, () => host.pass(4000));
    host.traffic = { rx: 0, tx: 0 };
    expect((await run("dns", {}, () => host.pass(5))).flags).toEqual([]);
  });

  test("the smaller of speed and measured rate counts, each way", () => {
    const looks = (rx: number, tx: number): [LineLook, LineLook] => [
      { at: 0, carried: new Map([["eth0", { rx: 0, tx: 0 }]]) },
      { at: 1000, carried: new Map([["eth0", { rx: (rx * 1e6) / 8, tx: (tx * 1e6) / 8 }]]) },
    ];
    expect(busyBetween(...looks(85, 0), "eth0", { rx: 100, tx: 10 })).toMatchObject({ direction: "rx", mbps: 85 });
    expect(busyBetween(...looks(85, 9), "eth0", { rx: 200, tx: 10 })).toMatchObject({ direction: "tx", mbps: 9 });
    expect(busyBetween(...looks(79, 7), "eth0", { rx: 100, tx: 10 })).toBeUndefined();
    expect(busyBetween(...looks(79, 7), "wlan0", { rx: 1, tx: 1 })).toBeUndefined();
    expect(busyBetween(...looks(-5, 0), "eth0", { rx: 1, tx: null })).toBeUndefined();
  });

  test("is the one the address is reached by", () => {
    const v4 = parseRoutes4(
      [
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
        "eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0",
        "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0",
        "wlan0\t0001A8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0",
        "tun0\t0000000A\t00000000\t0001\t0\t0\t50\t000000FF\t0\t0\t0",
        "eth0\t0000000B\t00000000\t0201\t0\t0\t0\t000000FF\t0\t0\t0",
      ].join("\n"),
    );
    const v6 = parseRoutes6(
      [
        "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     tun0",
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000003 00000000 00000003     eth0",
      ].join("\n"),
    );
    const routes = [...v4, ...v6];
    const to = (address: string | null) => interfaceTo(address, routes);
    expect([to("8.8.8.8"), to("192.168.1.9"), to("10.1.2.3"), to("11.1.1.1")]).toEqual(["eth0", "wlan0", "tun0", "eth0"]);
    expect([to("fd00::9"), to("2001:db8::1"), to(null)]).toEqual(["tun0", "eth0", "eth0"]);
    expect(interfaceTo("8.8.8.8", [])).toBeUndefined();
    expect(parseRoutes4("\n\nrubbish\t1\n")).toEqual([]);
    expect(parseRoutes6("rubbish\n")).toEqual([]);
  });
});

describe("the host sample", () => {
  test("tells what happened since the one before", () => {
    const { host, clock, conditions } = setUp();
    expect(conditions.sampleFlags()).toEqual([]);
    clock.learn(host.wall(), host.wall(), host.wall());
    host.set += 86_400_000;
    host.slept += 5000;
    expect(conditions.sampleFlags()).toEqual(["clock_step", "host_suspended", "clock_corrected"]);
    expect(conditions.sampleFlags()).toEqual(["clock_corrected"]);
    expect(conditions.timeJumps).toBe(2);
  });
});
