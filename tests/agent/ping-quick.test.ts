// Round trips that are no number: quicker than a tool can tell, or timed by a clock that was set. And who refused, by any spelling.
import { describe, expect, test } from "vitest";
import { parsePing } from "../../agent/parsers/ping.ts";
import { parsePingWindows } from "../../agent/parsers/ping-windows.ts";
import { pingMetrics, readPing } from "../../agent/probes/ping-metrics.ts";
import { outcome } from "../../agent/probes/ping-outcome.ts";

const conditions = { packet_size: 64, timeout: 2, family: 4 } as const;

/** Metrics of a run of .NET's Ping with these times, whole milliseconds. */
function windows(times: readonly number[]) {
  const line = (rtt: number, index: number) =>
    JSON.stringify({ index, status: "Success", rtt, ttl: 64, from: "192.0.2.1", bytes: 64 });
  const output = parsePingWindows(`${[...times.map(line), `{"sent":${times.length}}`].join("\n")}\n`);
  const reading = readPing(output, conditions, times.length);
  if (reading === undefined) throw new Error("not read");
  return pingMetrics(reading, conditions, "timeout");
}

describe("0 ms of .NET is less than 1 ms", () => {
  test("a run of them has no round trip, and no loss", () => {
    const { metrics, reasons } = windows(Array.from({ length: 20 }, () => 0));
    expect(metrics).toMatchObject({ ping_received: 20, ping_loss_pct: 0, ping_ttl: 64 });
    const names = ["min", "median", "mean", "p95", "max", "stddev"].map((name) => `ping_rtt_${name}` as const);
    for (const name of [...names, "ping_pdv_p95", "ping_ipdv_mean", "ping_jitter_rfc3550"] as const) {
      expect([name, metrics[name as keyof typeof metrics], reasons[name as keyof typeof reasons]]).toEqual([
        name,
        null,
        "unsupported",
      ]);
    }
  });

  test("among others they keep their rank: no median above the true one, no mean of the slow ones only", () => {
    const { metrics } = windows([0, 0, 0, 7]);
    expect(metrics).toMatchObject({ ping_rtt_min: null, ping_rtt_median: null, ping_rtt_mean: null, ping_rtt_max: 7 });
    expect(metrics).toMatchObject({ ping_ipdv_mean: null, ping_jitter_rfc3550: null, ping_rtt_stddev: null });
    expect(windows([0, 5, 7]).metrics).toMatchObject({ ping_rtt_min: null, ping_rtt_median: 5, ping_rtt_max: 7 });
    const twenty = windows([...Array.from({ length: 15 }, () => 0), 1, 2, 3, 4, 5]).metrics;
    expect(twenty).toMatchObject({ ping_rtt_p95: 4, ping_rtt_median: null, ping_pdv_p95: null });
  });

  test("without one, every figure is there", () => {
    expect(windows([3, 5]).metrics).toMatchObject({ ping_rtt_min: 3, ping_rtt_median: 4, ping_rtt_mean: 4, ping_rtt_max: 5 });
  });
});

test("0.000 ms of iputils is a clock that was set, with or without its complaint", () => {
  const stdout = [
    "PING 192.0.2.1 (192.0.2.1) 64(92) bytes of data.",
    "72 bytes from 192.0.2.1: icmp_seq=1 ttl=64 time=0.000 ms",
    "72 bytes from 192.0.2.1: icmp_seq=2 ttl=64 time=20.2 ms",
    "",
    "--- 192.0.2.1 ping statistics ---",
    "2 packets transmitted, 2 received, 0% packet loss, time 201ms",
    "rtt min/avg/max/mdev = 0.000/10.100/20.200/10.100 ms",
    "",
  ].join("\n");
  for (const stderr of ["", "ping: Warning: time of day goes back (-3600us), taking countermeasures\n"]) {
    const reading = readPing(parsePing(stdout, stderr), conditions, 2);
    expect(reading).toMatchObject({ rtts: [null, 20.2], answered: [true, true], exact: null });
    expect(reading && pingMetrics(reading, conditions, "timeout").metrics.ping_rtt_min).toBe(20.2);
  }
});

test.each(["2001:DB8:0:0:0:0:0:10", "2001:db8::10", "2001:0db8::10%eth0"])(
  "a refusal by %s itself is the target's",
  (address) => {
    const stdout = [
      `PING ${address} (${address}) 64 data bytes`,
      "From 2001:db8::10 icmp_seq=1 Destination unreachable: Administratively prohibited",
      "",
      "1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms",
      "",
    ].join("\n");
    const reading = readPing(parsePing(stdout), { ...conditions, family: 6 }, 1);
    if (reading === undefined) throw new Error("not read");
    const run = { conditions: { ...conditions, family: 6 as const }, address, detail: {}, count: 1, cut: false, tail_ms: 2000 };
    expect(outcome(reading, run).error).toMatchObject({ code: "unreachable", source: "target" });
  },
);
