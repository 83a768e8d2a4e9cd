import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type PingOutput, parsePing, pingComplaint } from "../../agent/parsers/ping.ts";
import { parsePingWindows } from "../../agent/parsers/ping-windows.ts";
import { pingMetrics, readPing } from "../../agent/probes/ping-metrics.ts";

const dir = fileURLToPath(new URL("./fixtures/ping/", import.meta.url));
const names = readdirSync(dir)
  .filter((name) => name.endsWith(".stdout"))
  .map((name) => name.replace(".stdout", ""));

const text = (name: string, stream: "stdout" | "stderr"): string =>
  existsSync(`${dir}${name}.${stream}`) ? readFileSync(`${dir}${name}.${stream}`, "utf8") : "";

const parse = (name: string, stdout = text(name, "stdout"), stderr = text(name, "stderr")): PingOutput =>
  name.startsWith("windows") ? parsePingWindows(stdout) : parsePing(stdout, stderr);

test.each(names)("fixture %s", (name) => {
  const expected: unknown = JSON.parse(readFileSync(`${dir}${name}.json`, "utf8"));
  expect(parse(name)).toEqual(expected);
});

describe("what the fixtures mean", () => {
  const conditions = { packet_size: 56, timeout: 2, family: 4 as const };
  const sheetOf = (name: string, count: number) => {
    const reading = readPing(parse(name), conditions, count);
    expect(reading).toBeDefined();
    return reading === undefined ? undefined : pingMetrics(reading, conditions, "timeout");
  };

  test("duplicates are counted, never as received", () => {
    expect(sheetOf("iputils_dup", 3)?.metrics).toMatchObject({ ping_sent: 3, ping_received: 3, ping_dup: 6, ping_loss_pct: 0 });
  });

  test("the summary gives microseconds where the lines have three digits", () => {
    expect(sheetOf("iputils_ok", 5)?.metrics).toMatchObject({
      ping_rtt_min: 20.215,
      ping_rtt_mean: 20.291,
      ping_rtt_max: 20.351,
    });
  });

  test("no statistic leaves the range of the exact minimum and maximum", () => {
    const metrics = sheetOf("iputils_slow", 3)?.metrics;
    expect(metrics?.ping_rtt_min).toBe(1200.229);
    expect(metrics?.ping_rtt_median).toBe(1200.229);
    expect(metrics?.ping_rtt_max).toBe(1200.377);
  });

  test("a reply after the time-out is late, not received", () => {
    const strict = { ...conditions, timeout: 0.1 };
    const reading = readPing(parse("iputils_reorder"), strict, 8);
    const metrics = reading && pingMetrics(reading, strict, "timeout").metrics;
    expect(metrics).toMatchObject({ ping_sent: 8, ping_received: 1, ping_late: 7, ping_out_of_order: 3, ping_rtt_max: 0.066 });
  });

  test("loss by sequence: 70 %, the longest burst of four", () => {
    const sheet = sheetOf("iputils_loss", 10);
    expect(sheet?.metrics).toMatchObject({ ping_loss_pct: 70, ping_loss_burst_max: 4, ping_loss_runs: 3 });
    expect(sheet?.metrics.ping_loss_burst_mean).toBeCloseTo(7 / 3, 3);
    expect(sheet?.metrics.ping_rtt_p95).toBeNull();
    expect(sheet?.reasons.ping_rtt_p95).toBe("too_few_samples");
  });

  test("replies too small for a time stamp count, without a round trip", () => {
    const reading = readPing(parse("iputils_small"), { ...conditions, packet_size: 8 }, 2);
    const sheet = reading && pingMetrics(reading, { ...conditions, packet_size: 8 }, "timeout");
    expect(sheet?.metrics).toMatchObject({ ping_received: 2, ping_loss_pct: 0, ping_rtt_min: null });
    expect(sheet?.reasons.ping_rtt_min).toBe("not_applicable");
  });

  test("a summary without its reply lines says nothing about loss", () => {
    expect(readPing(parse("iputils_quiet"), conditions, 5)).toBeUndefined();
  });

  test("every metric has a value or a reason", () => {
    for (const name of ["iputils_ok", "iputils_dead", "iputils_dup", "busybox_loss"]) {
      const sheet = sheetOf(name, 10);
      for (const [metric, value] of Object.entries(sheet?.metrics ?? {})) {
        const reason = ((sheet?.reasons ?? {}) as Record<string, string>)[metric];
        expect(value === null ? reason : "none", `${name} ${metric}`).toBeTypeOf("string");
        if (value !== null) expect(reason).toBeUndefined();
      }
    }
  });
});

describe("complaints", () => {
  test.each([
    ["iputils_unpriv", "no_permission"],
    ["iputils_noroute", "no_route"],
    ["iputils_badopt", "bad_option"],
    ["iputils_unknown", "name"],
    ["iputils_servfail", "name"],
  ])("%s is %s", (name, expected) => expect(pingComplaint(text(name, "stderr"))).toBe(expected));
});

/** Deterministic pseudo-random numbers (mulberry32), so that a failure can be run again. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** What must hold of any reading, whatever was printed. */
function expectSane(output: PingOutput, context: string): void {
  const conditions = { packet_size: 56, timeout: 2, family: 4 as const };
  const reading = readPing(output, conditions, 20);
  if (reading === undefined) return;
  const received = reading.answered.filter((arrived) => arrived).length;
  if (!(received + reading.late <= reading.sent && reading.rtts.length === reading.sent))
    throw new Error(`more received than sent: ${context}`);
  for (const rtt of reading.rtts) if (rtt !== null && !(rtt >= 0 && rtt <= 2000)) throw new Error(`rtt ${rtt}: ${context}`);
  const { metrics } = pingMetrics(reading, conditions, "timeout");
  for (const [name, value] of Object.entries(metrics)) {
    if (typeof value === "number" && !(Number.isFinite(value) && value >= 0)) throw new Error(`${name} ${value}: ${context}`);
  }
}

describe("damaged output", () => {
  test.each(names)("%s cut at every byte yields only what the whole says", (name) => {
    const whole = parse(name);
    const [stdout, stderr] = [text(name, "stdout"), text(name, "stderr")];
    const known = new Set(whole.replies.map((reply) => JSON.stringify(reply)));
    for (let length = 0; length < stdout.length; length++) {
      const cut = parse(name, stdout.slice(0, length), stderr);
      const invented = cut.replies.filter((reply) => !known.has(JSON.stringify(reply)));
      expect(invented, `cut at ${length}`).toEqual([]);
      if (cut.summary !== null) expect(cut.summary.received).toBe(whole.summary?.received);
      expectSane(cut, `${name} cut at ${length}`);
    }
  });

  test("3,000 random mutations never throw and never read out of range", () => {
    const random = generator(20261123);
    let read = 0;
    for (let i = 0; i < 3000; i++) {
      const name = names[Math.floor(random() * names.length)] ?? "";
      const bytes = Buffer.from(text(name, "stdout"));
      for (let change = 0; change < 1 + random() * 4 && bytes.length > 0; change++) {
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      }
      expectSane(parse(name, bytes.toString("utf8")), `${name}, mutation ${i}`);
      read += 1;
    }
    expect(read).toBe(3000);
  });
});
