import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parseFping } from "../../agent/parsers/fping.ts";
import { complaintText, type PingOutput, parsePing, pingComplaint } from "../../agent/parsers/ping.ts";
import { parsePingWindows } from "../../agent/parsers/ping-windows.ts";
import { pingMetrics, readPing } from "../../agent/probes/ping-metrics.ts";
import { generator, mutate } from "./helpers/mutations.ts";

const dir = fileURLToPath(new URL("./fixtures/ping/", import.meta.url));
const names = readdirSync(dir)
  .filter((name) => name.endsWith(".stdout"))
  .map((name) => name.replace(".stdout", ""));

const text = (name: string, stream: "stdout" | "stderr"): string =>
  existsSync(`${dir}${name}.${stream}`) ? readFileSync(`${dir}${name}.${stream}`, "utf8") : "";

function parse(name: string, stdout = text(name, "stdout"), stderr = text(name, "stderr")): PingOutput {
  if (name.startsWith("windows")) return parsePingWindows(stdout);
  return name.startsWith("fping") ? parseFping(stdout, stderr) : parsePing(stdout, stderr);
}

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
    // Three times the mean, less the two ends, leaves the one in the middle (their sum is cut to 1 µs each).
    expect(Number(metrics?.ping_rtt_median)).toBeCloseTo(3 * 1200.321 - 1200.229 - 1200.377, 2);
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

  test("duplicates count in the tool's mean, not in ours", () => {
    const metrics = sheetOf("busybox_dup", 4)?.metrics;
    expect(metrics).toMatchObject({ ping_received: 4, ping_dup: 3, ping_rtt_min: 20.207, ping_rtt_max: 20.801 });
    expect(metrics?.ping_rtt_mean).toBeCloseTo((20.207 + 20.303 + 20.338 + 20.801) / 4, 3);
  });

  test("a reply with a wrong checksum is lost and counted; another TTL is noticed", () => {
    const sheet = sheetOf("iputils_corrupted", 4);
    expect(sheet?.metrics).toMatchObject({ ping_sent: 4, ping_received: 3, ping_damaged: 1, ping_truncated: 1 });
    expect(sheet?.metrics).toMatchObject({ ping_loss_pct: 25, ping_ttl_changed: true, ping_ttl: 62 });
    expect(sheetOf("iputils_ok", 5)?.metrics.ping_ttl_changed).toBe(false);
    expect(sheetOf("iputils_dead", 3)?.metrics.ping_ttl_changed).toBeNull();
  });

  test("a send time damaged on the way gives no round trip, though the reply came", () => {
    const reading = readPing(parse("iputils_altered"), { ...conditions, packet_size: 64 }, 8, 1700);
    expect(reading?.rtts).toEqual([0.155, null, 0.11, 0.132, 0.138, null, 0.15, 0.105]);
    const sheet = reading && pingMetrics(reading, { ...conditions, packet_size: 64 }, "timeout");
    expect(sheet?.metrics).toMatchObject({ ping_received: 8, ping_loss_pct: 0, ping_damaged: 4, ping_rtt_max: 0.155 });
    expect(reading?.flags).toContain("reply_data_differs");
  });

  test("a clock set back during the run gives no round trip of 0", () => {
    const stderr = "ping: Warning: time of day goes back (-3600000000us), taking countermeasures\n";
    const stdout = text("iputils_ok", "stdout").replace("time=20.2 ms", "time=0.000 ms").replace("20.215/", "0.000/");
    const reading = readPing(parsePing(stdout, stderr), conditions, 5);
    expect(reading?.rtts.filter((rtt) => rtt === null)).toHaveLength(1);
    expect(reading?.answered).not.toContain(false);
    expect(reading && pingMetrics(reading, conditions, "timeout").metrics.ping_rtt_min).toBeGreaterThan(20);
  });

  test("who refused, and how often", () => {
    expect(readPing(parse("iputils_host-unreachable"), conditions, 2)?.icmp).toEqual([
      { kind: "host_unreachable", from: "10.77.2.2", mtu: null, count: 2 },
    ]);
    expect(readPing(parse("fping_lines_net-unreachable"), conditions, 3)?.icmp).toMatchObject([{ from: "10.77.1.1", count: 3 }]);
  });

  test("fping: a loss by sequence, and several targets are nobody's summary", () => {
    const reading = readPing(parse("fping_lines_loss"), { ...conditions, packet_size: 64 }, 8);
    expect(reading?.rtts).toEqual([300, null, null, null, 300, null, 300, null]);
    expect(parse("fping_ok").summary).toBeNull();
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

describe("other languages", () => {
  test.each(names.filter((name) => name.startsWith("foreign")))("%s says nothing, so nothing is made of it", (name) => {
    const nothing = { replies: [], errors: [], altered: 0, summary: null };
    expect(parse(name)).toEqual(nothing);
    expect(parsePingWindows(text(name, "stdout"))).toEqual(nothing);
    expect(parseFping(text(name, "stdout"), text(name, "stderr"))).toEqual(nothing);
  });
});

describe("complaints", () => {
  test("the statistics that were asked for are none", () => {
    expect(complaintText(text("iputils_snapshots", "stderr"))).toBe("");
    expect(complaintText(text("iputils_noroute", "stderr"))).toBe("connect: Network is unreachable");
  });
  test.each([
    ["iputils_unpriv", "no_permission"],
    ["iputils_noroute", "no_route"],
    ["iputils_badopt", "bad_option"],
    ["iputils_unknown", "name"],
    ["iputils_servfail", "name"],
  ])("%s is %s", (name, expected) => expect(pingComplaint(text(name, "stderr"))).toBe(expected));
});

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

  test("3,000 random mutations are never read out of range", () => {
    const random = generator(20261123);
    const whole = names.map((name) => Buffer.from(text(name, "stdout")));
    let read = 0;
    for (let i = 0; i < 3000; i++) {
      const place = Math.floor(random() * names.length);
      const bytes = mutate(whole[place] ?? Buffer.alloc(0), random, whole);
      expectSane(parse(names[place] ?? "", bytes.toString("utf8")), `${names[place]}, mutation ${i}`);
      read += 1;
    }
    expect(read).toBe(3000);
  });
});
