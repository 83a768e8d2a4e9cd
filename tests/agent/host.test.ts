// The `host` command, as people and programs use it.
import { expect, test } from "vitest";
import { hostDetailSchema } from "#contract/host-detail";
import { type MetricName, metricsOf } from "#contract/metrics";
import { measurementSchema } from "#contract/result";
import { parseChildTime } from "../../agent/host/children.ts";
import { cli } from "./helpers/cli.ts";

test("processor time of ended children, with a name that holds brackets and spaces", () => {
  const stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 1 2 3 4 100 50 30 20 20 0 1 0 99";
  expect(parseChildTime(stat)).toBe(500_000);
  expect(parseChildTime("")).toBeUndefined();
});

test("host --json: every metric has a value or a reason, at least 65 a value on Linux, and the figures fit together", async () => {
  const { code, stdout, stderr } = await cli(["host", "--json"]);
  expect([code, stderr]).toEqual([0, ""]);
  const printed = JSON.parse(stdout) as Record<string, unknown>;
  expect(printed.type).toBe("host");
  // As the server reads it: nothing is of the wrong kind, nothing unknown.
  const { metrics, reasons, detail } = measurementSchema.parse({
    ...printed,
    started_at: Date.parse(String(printed.started_at)),
  });
  expect(new Set(Object.keys(printed.metrics as object))).toEqual(new Set(metricsOf("host")));
  for (const name of metricsOf("host")) {
    if (metrics[name] === null) expect(reasons[name], name).toBeTypeOf("string");
    else expect([name, reasons[name]]).toEqual([name, undefined]);
  }
  const measured = (Object.keys(metrics) as MetricName[]).filter((name) => metrics[name] !== null);
  expect(measured.length).toBeGreaterThanOrEqual(process.platform === "linux" ? 65 : 15);
  expect(Number(metrics.memory_used) + Number(metrics.memory_available)).toBe(metrics.memory_total);
  for (const name of measured.filter((each) => each.endsWith("_pct") || each.endsWith("_percent"))) {
    expect(metrics[name], name).toBeGreaterThanOrEqual(0);
    expect(metrics[name], name).toBeLessThanOrEqual(100);
  }
  const known = hostDetailSchema.parse(detail);
  for (const part of ["file_systems", "interfaces", "inventory"] as const) expect(known[part], part).toBeDefined();
  expect(known.inventory).toMatchObject({ node: process.version });
  expect(JSON.stringify(detail).length).toBeLessThan(64 * 1024);
  // Two looks and nearly half a second between them.
  expect(Number(printed.duration_ms)).toBeLessThan(1500);
});

test("host: groups of figures with their units, and what is missing by reason", async () => {
  const { code, stdout } = await cli(["host"], { NO_COLOR: "1" });
  expect(code).toBe(0);
  const lines = stdout.split("\n");
  expect(lines[0]).toMatch(/^host \S+ .* up \d+ (min|h|days)/);
  for (const group of ["processor", "memory", "file systems", "interfaces"]) expect(lines, stdout).toContain(group);
  expect(stdout).toMatch(/^ {2}in use +\d+\.\d % · .+ of .+ · available /m);
  expect(stdout).toMatch(/^measured {2}\d+ metrics; /m);
  for (const line of lines) expect(line.length, line).toBeLessThan(400);
});
