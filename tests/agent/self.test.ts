// What the agent says of itself, against what the system says of it.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { metricsOf } from "#contract/metrics";
import { Abilities } from "../../agent/abilities.ts";
import { keepLedgerIn, Ledger } from "../../agent/bandwidth/ledger.ts";
import { runningPids, runTool, toolStarts } from "../../agent/exec.ts";
import { childMicros, parseWholeTime } from "../../agent/host/children.ts";
import { createLog } from "../../agent/log.ts";
import { Recent } from "../../agent/recent.ts";
import { Scheduler } from "../../agent/scheduler.ts";
import { type SelfCounts, SelfMonitor } from "../../agent/self.ts";
import { scratch } from "./helpers/cli.ts";
import { FakeClock, settle } from "./helpers/clock.ts";

const linux = process.platform === "linux";
const counts: SelfCounts = { depth: 3, dropped: 1, uploadFailures: 2, overlapped: 4, lag: undefined, offset: null };
const busy = (ms: number) => `const end = Date.now() + ${ms}; while (Date.now() < end);`;

test("every metric of the agent has a value or a reason; the self-test's are left to it", () => {
  const monitor = new SelfMonitor(() => undefined);
  const { metrics, reasons } = monitor.sample(counts);
  monitor.stop();
  const of = metricsOf("agent").filter((name) => !name.startsWith("self_") && name !== "agent_cut_off_s");
  expect(new Set(Object.keys(metrics))).toEqual(new Set(of));
  for (const [name, value] of Object.entries(metrics)) expect(name in reasons, name).toBe(value === null);
  expect(metrics).toMatchObject({
    agent_queue_depth: 3,
    agent_results_dropped: 1,
    agent_tests_skipped: 4,
    agent_children_running: 0,
  });
  expect(reasons).toMatchObject({ agent_clock_offset_ms: "too_few_samples", agent_schedule_lag_p95_ms: "too_few_samples" });
  const { heapUsed, rss } = process.memoryUsage();
  expect(Number(metrics.agent_heap_used_bytes) / heapUsed).toBeCloseTo(1, 0);
  expect(Number(metrics.agent_rss_bytes) / rss).toBeCloseTo(1, 0);
});

test("runs are counted by how they ended", () => {
  const monitor = new SelfMonitor(() => undefined);
  const error = (code: string) => ({ code, source: "agent", message: "" }) as never;
  monitor.note({ status: "ok", error: null });
  monitor.note({ status: "failed", error: error("timeout") });
  monitor.note({ status: "failed", error: error("not_consented") });
  monitor.note({ status: "failed", error: error("skipped") });
  const { metrics } = monitor.sample(counts);
  monitor.stop();
  expect(metrics).toMatchObject({ agent_tests_run: 2, agent_tests_failed: 1, agent_tests_refused: 1, agent_tests_skipped: 5 });
  expect(monitor.skipped(4)).toEqual({ overlap: 4, places: 1, consent: 1 });
});

test.skipIf(!linux)("processor time holds this process and its tools, also while they run", { timeout: 10_000 }, async () => {
  const ticks = (pid: number | "self") => (parseWholeTime(readFileSync(`/proc/${pid}/stat`, "latin1")) ?? 0) / 1000;
  await runTool({ file: process.execPath, args: ["-e", ""], timeout_ms: 5000 });
  const monitor = new SelfMonitor(childMicros);
  const before = ticks("self");
  const start = performance.now();
  const tool = runTool({ file: process.execPath, args: ["-e", busy(1500)], timeout_ms: 5000 });
  const end = performance.now() + 300;
  while (performance.now() < end);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const share = () =>
    (100 * (ticks("self") - before + runningPids().reduce((sum, pid) => sum + ticks(pid), 0))) / (performance.now() - start);
  const during = monitor.sample(counts).metrics;
  const expected = share();
  expect(during.agent_children_running).toBe(1);
  expect(expected).toBeGreaterThan(40);
  // Ticks of 10 ms on both sides, and the moments between two readings.
  expect(Math.abs(Number(during.agent_cpu_pct) - expected)).toBeLessThan(5);
  await tool;
  const ended = monitor.sample(counts).metrics;
  monitor.stop();
  expect(ended.agent_children_running).toBe(0);
  expect(Number(ended.agent_cpu_pct)).toBeGreaterThanOrEqual(0);
  const all = ticks("self") - before;
  expect(all).toBeGreaterThan(1000);
});

test("starting a tool is timed; with fewer than twenty there is no percentile", async () => {
  const recent = new Recent();
  for (let i = 1; i <= 19; i++) recent.push(i);
  expect(recent.p95).toBeUndefined();
  recent.push(20);
  expect(recent.p95).toBe(19);
  for (let i = 0; i < 100; i++) recent.push(7);
  expect(recent.p95).toBe(7);
  for (let i = 0; i < 20; i++) await runTool({ file: "/bin/true", args: [], timeout_ms: 2000 });
  expect(toolStarts.p95).toBeGreaterThan(0);
  expect(toolStarts.p95).toBeLessThan(1000);
});

test("how late runs begin", async () => {
  const clock = new FakeClock(0);
  const scheduler = new Scheduler(async () => {}, clock);
  const test = { test_id: "t", type: "ping", destination: "127.0.0.1", params: {}, interval_s: 1, offset_s: 0, schedule: null };
  scheduler.apply([test]);
  await clock.advance(30_000);
  scheduler.stop();
  expect(scheduler.lag.p95).toBe(0);
});

test("bytes of this month come from the ledger; a ledger that is none is no zero", () => {
  const dir = scratch();
  keepLedgerIn(dir);
  const monitor = new SelfMonitor(() => undefined);
  expect(monitor.sample(counts).metrics.agent_bytes_used_month).toBe(0);
  new Ledger(dir).enter(Date.now(), { month_bytes: 1e9, most: 5e6, least: 1 })?.settle(123_456);
  expect(monitor.sample(counts).metrics.agent_bytes_used_month).toBe(123_456);
  writeFileSync(join(dir, "bandwidth-ledger.json"), "half a led");
  expect(monitor.sample(counts)).toMatchObject({
    metrics: { agent_bytes_used_month: null },
    reasons: { agent_bytes_used_month: "unsupported" },
  });
  monitor.stop();
});

test("what the host can do is looked up again once a day, and soon after a tool was missing", async () => {
  const hour = 3_600_000;
  let now = 0;
  let looks = 0;
  const found: unknown[] = [];
  const abilities = new Abilities({
    look: async () => {
      looks += 1;
      return { ping: `version ${looks}` };
    },
    found: (capabilities) => found.push(capabilities),
    log: createLog("silent"),
    now: () => now,
  });
  expect(await abilities.first()).toEqual({ ping: "version 1" });
  const at = async (hours: number, missing: boolean) => {
    now = hours * hour;
    abilities.tick(missing);
    await settle();
    return looks;
  };
  expect(await at(0.5, true)).toBe(1);
  expect(await at(1, true)).toBe(2);
  expect(await at(1.5, true)).toBe(2);
  expect(await at(24, false)).toBe(2);
  expect(await at(25, false)).toBe(3);
  expect(found).toEqual([{ ping: "version 2" }, { ping: "version 3" }]);
});
