// `doctor` says how much of this host is measured, and what the rest needs, each lack once.
import { describe, expect, test } from "vitest";
import { METRICS, type MetricName, metricsOf, REASONS } from "#contract/metrics";
import { groupedNeeds, needsOf } from "../../agent/host/needs.ts";
import { cli, fakeTools } from "./helpers/cli.ts";

interface Told {
  fit: boolean;
  checks: { name: string }[];
  host_metrics: { measured: number; total: number; missing: { need: string; metrics: string[] }[] };
}

describe("doctor", () => {
  test("--json: how many host metrics this host fills, and every other one under what it needs", async () => {
    const { stdout, took_ms } = await cli(["doctor", "--json"]);
    const { host_metrics: host } = JSON.parse(stdout) as Told;
    expect(host.total).toBe(metricsOf("host").length);
    expect(host.measured).toBeGreaterThanOrEqual(65);
    const missing = host.missing.flatMap((each) => each.metrics);
    expect(new Set(missing).size).toBe(missing.length);
    expect(new Set(host.missing.map((each) => each.need)).size).toBe(host.missing.length);
    // What only waits for traffic or a second look lacks nothing.
    expect(host.measured + missing.length).toBeLessThanOrEqual(host.total);
    expect(took_ms).toBeLessThan(10_000);
  });

  test("in words: one line a need, with the first of its metrics", async () => {
    const { stdout } = await cli(["doctor"], { STREAMSWARM_TOOL_PATH: fakeTools({}) });
    const lines = stdout
      .slice(stdout.indexOf("\nhost: ") + 1)
      .trimEnd()
      .split("\n");
    expect(lines[0]).toMatch(/^host: \d+ of \d+ host metrics measured$/);
    for (const line of lines.slice(1)) expect(line).toMatch(/^ {2}\S.*\(\w+(, \w+)*( and \d+ more)?\)$/);
    expect(lines.length).toBeLessThan(25);
  });
});

describe("needs", () => {
  const names = metricsOf("host");
  const nulls = (only: readonly MetricName[]) => Object.fromEntries(only.map((name) => [name, null]));
  const because = (only: readonly MetricName[], reason: (typeof REASONS)[number]) =>
    Object.fromEntries(only.map((name) => [name, reason]));

  test.each(["linux", "darwin", "win32"] as const)(
    "every metric, for every reason, in words that fit the page (%s)",
    (platform) => {
      for (const reason of REASONS) {
        const needs = needsOf(nulls(names), because(names, reason), {}, platform);
        const passing = reason === "too_few_samples" || reason === "host_overloaded";
        expect(Object.keys(needs)).toHaveLength(passing ? 0 : names.length);
        for (const [name, need] of Object.entries(needs)) {
          expect(need, name).toMatch(/^[\x20-\x7e]{5,300}$/);
          expect(METRICS, name).toHaveProperty(name);
        }
      }
    },
  );

  test("what is measured needs nothing; what a reader knows better is said instead", () => {
    const needs = needsOf(
      { fan_rpm_min: 900, disk_temperature: null, ntp_synced: false },
      { disk_temperature: "unsupported" },
      { disk_temperature: "sda sleeps" },
    );
    expect(needs).toEqual({ disk_temperature: "sda sleeps" });
  });

  test("the true need for each reason", () => {
    const need = (name: MetricName, reason: (typeof REASONS)[number]) =>
      needsOf({ [name]: null }, { [name]: reason }, {}, "linux")[name];
    expect(need("cpu_temperature", "not_applicable")).toMatch(/virtual machine/);
    expect(need("smart_passed", "tool_missing")).toMatch(/smartctl: install/);
    expect(need("smart_passed", "no_permission")).toMatch(/CAP_SYS_RAWIO/);
    expect(need("wifi_ssid", "tool_missing")).toMatch(/^iw: install/);
    expect(need("conntrack_used_pct", "unsupported")).toMatch(/nf_conntrack/);
    expect(need("if_speed_mbps", "unsupported")).toMatch(/virtual/);
    expect(need("if_speed_mbps", "no_route")).toMatch(/no default route/);
    expect(need("fan_rpm_min", "timeout")).toMatch(/not answer/);
  });

  test("grouped: the lack that costs most figures first", () => {
    expect(groupedNeeds({ a: "x", b: "y", c: "y" })).toEqual([
      { need: "y", metrics: ["b", "c"] },
      { need: "x", metrics: ["a"] },
    ]);
  });
});
