// The client page's host: its charts, its tables, what its owner allows.
import { expect, test } from "vitest";
import { LIMITS } from "#contract/limits";
import { isMetricName, METRICS, metricsOf } from "#contract/metrics";
import { consentRules, refusalOf } from "../../web/consent-words.ts";
import { flagTone, formatText, metricUnit } from "../../web/format.ts";
import { groupMetrics } from "../../web/groups.ts";
import { outboxProblem } from "../../web/health.ts";
import { choiceFromText, isOpen, withChart, withFolded } from "../../web/state/chart-choice.ts";
import { AGENT_CHARTS, HOST_CHARTS, isMeasured } from "../../web/state/host-charts.ts";
import {
  disksOf,
  fileSystemsOf,
  interfacesOf,
  inventoryOf,
  needsOf,
  processesOf,
  selfTestOf,
  sensorsOf,
} from "../../web/state/host-detail.ts";
import { pointsOfHostSeries } from "../../web/state/points.ts";
import { chunksOf, joinReplies } from "../../web/state/use-series.ts";
import { clientDetail, NOW, result } from "./make.ts";

const CHARTS = [...HOST_CHARTS, ...AGENT_CHARTS];

test("every chart shows up to four numbers of one unit, each with a word", () => {
  for (const { key, metrics, words } of CHARTS) {
    expect(metrics.length, key).toBeLessThanOrEqual(4);
    expect(words, key).toHaveLength(metrics.length);
    expect(new Set(metrics.map(metricUnit)).size, key).toBe(1);
    expect(
      metrics.every((metric) => METRICS[metric].kind === "number"),
      key,
    ).toBe(true);
  }
  expect(new Set(CHARTS.map(({ key }) => key)).size).toBe(CHARTS.length);
});

test("the first charts are few and need one request", () => {
  const first = CHARTS.filter((chart) => chart.first);
  expect(first.map(({ key }) => key)).toEqual(["cpu", "memory", "rates", "errors", "gateway", "self-test"]);
  expect(chunksOf(first.flatMap(({ metrics }) => metrics))).toHaveLength(1);
  const all = chunksOf(CHARTS.flatMap(({ metrics }) => metrics));
  expect(all.every((chunk) => chunk.length <= LIMITS.seriesMetrics)).toBe(true);
  expect(chunksOf([])).toEqual([]);
  expect(chunksOf(["a", "a", "b"], 1)).toEqual([["a"], ["b"]]);
});

test("replies to several requests are one", () => {
  const marks = [{ client_id: "a", test_id: null, peer_id: null, flag: "cut_off", t: [NOW] }];
  expect(
    joinReplies([
      { resolution_s: 60, series: [], marks },
      { resolution_s: 60, series: [], marks: [] },
    ]),
  ).toEqual({
    resolution_s: 60,
    series: [],
    marks,
  });
});

test("a host sample without a figure is no failed run", () => {
  const series = { client_id: "a", test_id: null, peer_id: null, metric: "self_gateway_rtt_ms", unit: "ms" };
  const nothing = { t: [NOW], count: [1], min: [null], median: [null], p95: [null], max: [null] };
  expect(pointsOfHostSeries([{ ...series, ...nothing }], 60, NOW)).toMatchObject([{ failed: false }]);
});

test("a chart a host has nothing for is known by its newest sample", () => {
  const temperature = HOST_CHARTS.find(({ key }) => key === "temperature");
  if (!temperature) throw new Error("there is no such chart");
  expect(isMeasured(temperature, undefined)).toBe(true);
  expect(isMeasured(temperature, { cpu_temperature: null, disk_temperature: 41 })).toBe(true);
  expect(isMeasured(temperature, { cpu_temperature: null })).toBe(false);
});

test("what is open is remembered; what is not a choice is none", () => {
  const cpu = { key: "cpu", first: true };
  const nothing = choiceFromText(null);
  expect([isOpen(nothing, cpu), isOpen(nothing, { key: "load" })]).toEqual([true, false]);
  const chosen = withFolded(withChart(withChart(nothing, "cpu", false), "load", true), "agent", true);
  const again = choiceFromText(JSON.stringify(chosen));
  expect([isOpen(again, cpu), isOpen(again, { key: "load" }), again.folded]).toEqual([false, true, ["agent"]]);
  expect(withFolded(again, "agent", false).folded).toEqual([]);
  for (const text of ["", "{", "7", '{"charts":[],"folded":"host"}', '{"charts":{"cpu":"no"}}']) {
    expect(isOpen(choiceFromText(text), cpu), text).toBe(true);
  }
  expect(isOpen(nothing, { key: "constructor" })).toBe(false);
});

test("a consent file in words", () => {
  expect(consentRules({})).toEqual([]);
  const rules = consentRules({
    types: ["ping", "dns", "a type of tomorrow"],
    destinations: ["10.0.0.0/8", "*.example.com"],
    forbidden_destinations: [],
    min_interval_s: 60,
    max_packets_per_s: 50,
    max_bytes_per_run: 5e8,
    max_bytes_per_day: 2e9,
    reflector: false,
    self_test: true,
    rules_untold: 7,
  });
  expect(rules.map(({ text }) => text)).toEqual([
    "only ping, DNS, a type of tomorrow",
    "only these:",
    "nothing is forbidden by name",
    "a test at most every 1 min",
    "at most 50 packets or requests a second, all tests together",
    "at most 500 MB, both directions together",
    "at most 2 GB for all runs of a day (UTC)",
    "no other client may measure to this host",
    "the agent may look whether gateway, resolver and server answer",
    "7 further rules are in force that the agent does not list",
  ]);
  expect(rules[1]?.items).toEqual(["10.0.0.0/8", "*.example.com"]);
  expect(consentRules({ types: [] })[0]?.text).toBe("none: it measures nothing");
});

test("a test the owner refuses is known by the agent's word, or by a plain rule", () => {
  const one = { id: "t", type: "ping", interval_s: 10 };
  expect(refusalOf(one, clientDetail())).toBeNull();
  expect(refusalOf(one, clientDetail({ consent: { types: ["dns"] } }))).toContain("does not allow ping");
  expect(refusalOf(one, clientDetail({ consent: { min_interval_s: 60 } }))).toContain("1 min between two runs");
  expect(refusalOf(one, clientDetail({ consent: { types: ["ping"], min_interval_s: 5 } }))).toBeNull();
  const error = { code: "not_consented", source: "agent", message: "10.0.0.1 is forbidden" } as const;
  expect(refusalOf(one, clientDetail({ latest: [result(1, { status: "failed", error })] }))).toBe("10.0.0.1 is forbidden");
});

const eth0 = { name: "eth0", state: "up", rx_bytes: 1, tx_bytes: 1 };

test("a host's parts are read one by one", () => {
  const detail = {
    interfaces: [{ name: "lo", state: "unknown", rx_bytes: null, tx_bytes: null }, { name: 7 }, eth0, { ...eth0, name: "wlan0" }],
    primary_interface: "wlan0",
    default_gateway: 5,
    file_systems: "none",
    disks: [{ name: "sda" }],
    fans: [{ chip: "a", label: "fan1", value: 900 }],
    power: [{ chip: "b", label: "package", value: 12.5 }],
    processes: { over_s: -3, top_cpu: [{ pid: 1, name: "init", cpu_pct: 0, rss_bytes: null }, null] },
  };
  const { items, left, primary, gateway } = interfacesOf(detail);
  expect([items.map(({ name }) => name), left, primary, gateway]).toEqual([["wlan0", "eth0", "lo"], 1, "wlan0", null]);
  expect(fileSystemsOf(detail)).toEqual({ items: [], left: 0 });
  expect(disksOf(detail)).toEqual({ items: [], left: 1 });
  expect(sensorsOf(detail).items.map(({ unit }) => unit)).toEqual(["rpm", "W"]);
  expect(processesOf(detail)).toMatchObject({ overS: null, cpu: { left: 1 }, memory: { items: [] } });
  expect(needsOf({ needs: { cpu_temperature: "a", fan_rpm_min: "a", moon: "b", power_watts: 7 } })).toHaveLength(1);
});

test("hostile parts are bounded, left out, and dates are dates", () => {
  const many = Array.from({ length: 5000 }, (_, n) => ({ ...eth0, name: `e${n}` }));
  expect(interfacesOf({ interfaces: many })).toMatchObject({ left: 5000 - 64 });
  expect(interfacesOf({ interfaces: [{ ...eth0, name: "x".repeat(100_000) }] }).items).toEqual([]);
  expect(inventoryOf({ inventory: { os: "y".repeat(100_000), deep: { a: 1 }, list: [1], none: null } })).toHaveLength(1);
  expect(inventoryOf({ inventory: Array.from({ length: 9 }, () => "x") })).toEqual([]);
  expect(needsOf({ needs: "x" })).toEqual([]);
  const reach = { target: null, reached: null, ms: null, how: "" };
  const look = { gateway: reach, resolver: reach, edge: reach, cut_off: false, since: null };
  for (const at of [1e300, -1, Number.NaN, "now", null]) expect(selfTestOf({ self_test: { ...look, at } })).toBeNull();
  expect(selfTestOf({ self_test: { ...look, at: NOW, since: 1e20 } })).toBeNull();
  expect(selfTestOf({ self_test: { ...look, at: NOW } })?.cut_off).toBe(false);
  expect(selfTestOf(undefined)).toBeNull();
});

test.each([
  ["power_watts", 37.42, "37.4 W"],
  ["drive_power_on_hours", 812, "812 h"],
  ["drive_power_on_hours", 31_207, "3.56 years"],
  ["fan_rpm_min", 1200, "1,200 rpm"],
  ["wifi_rssi_dbm", -61, "-61 dBm"],
  ["if_rx_bytes_sec", 11_800_000, "11.8 MB/s"],
  ["if_rx_drops_sec", 0.2, "0.2 /s"],
  ["smart_passed", true, "yes"],
  ["cpu_temperature", 54, "54 °C"],
] as const)("%s of %s reads %s", (name, value, text) => expect(formatText(name, value)).toBe(text));

test("flags of the host warn of what is not well", () => {
  expect(flagTone("fs_readonly", true)).toBe("bad");
  expect([flagTone("smart_passed", false), flagTone("smart_passed", true)]).toEqual(["bad", null]);
  expect([flagTone("reboot_required", true), flagTone("ntp_synced", false)]).toEqual(["warn", "warn"]);
});

test("no host or agent metric is left over or among those of a test", () => {
  const names = [...metricsOf("host"), ...metricsOf("agent")];
  expect(names.every(isMetricName)).toBe(true);
  const known = ["Processor", "Memory", "Disks", "Network interface", "Wi-Fi", "Sockets", "System", "Hardware"];
  expect(groupMetrics(names).map(({ title }) => title)).toEqual(
    expect.arrayContaining([...known, "What the agent reaches", "Agent"]),
  );
  expect(groupMetrics(names)).toHaveLength(known.length + 2);
});

test("why a disk takes nothing", () => {
  expect(outboxProblem("disk_full")).toContain("full");
  expect(outboxProblem("moon_dust")).toBe("moon dust");
  expect(outboxProblem("constructor")).toBe("constructor");
});
