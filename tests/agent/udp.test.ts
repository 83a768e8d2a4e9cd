// udp by the real command line and the runner, against reflectors of every kind on loopback.
import { createHmac } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { metricsOf } from "#contract/metrics";
import type { Measurement } from "#contract/result";
import { testType } from "#contract/test-types/index";
import { udpCount, udp as udpType } from "#contract/test-types/udp";
import { Budget } from "../../agent/budget.ts";
import { readParameters } from "../../agent/cli-probe.ts";
import { runningTools } from "../../agent/exec.ts";
import { udp } from "../../agent/probes/udp.ts";
import { runTest } from "../../agent/runner.ts";
import { cli, fakeTools, scratch } from "./helpers/cli.ts";
import { startReflector } from "./helpers/reflector.ts";
import { type Behaviour, counting, lossy, reflect, replyTo, stateless } from "./helpers/stamp-reflector.ts";

/** Too few packets to judge whether this host sent them on time, which a busy one would not. */
const FEW = 19;

/** One run by the runner, in this process; quick unless told otherwise. */
function probe(
  port: number,
  params: Record<string, unknown> = {},
  more: Parameters<typeof runTest>[2] = {},
): Promise<Measurement> {
  const quick = { count: FEW, interval: 0.005, timeout: 0.3, ...params };
  return runTest({ type: "udp", destination: `127.0.0.1:${port}`, params: quick }, new AbortController().signal, more);
}

/** A run of many packets on a host that may be busy: against a new reflector again while it was void. */
async function probeMany(make: () => Behaviour, params: Record<string, unknown>): Promise<Measurement> {
  for (let left = 8; ; left--) {
    const { port } = await reflect(make());
    const result = await probe(port, { interval: 0.02, ...params });
    if (left === 0 || result.reasons.udp_loss_pct !== "host_overloaded") return result;
  }
}

const value = ({ metrics }: Measurement, name: keyof Measurement["metrics"]): number => {
  const found = metrics[name];
  if (typeof found !== "number") throw new Error(`${name} is ${found}`);
  return found;
};

const everyMetricExplained = (result: Pick<Measurement, "metrics" | "reasons">) => {
  expect(new Set(Object.keys(result.metrics))).toEqual(new Set(metricsOf("udp")));
  for (const name of metricsOf("udp")) {
    if (result.metrics[name] === null) expect(result.reasons[name], name).toBeTypeOf("string");
    else expect(result.reasons[name], name).toBeUndefined();
  }
};

const isNull = (result: Measurement, reason: string, ...names: (keyof Measurement["metrics"])[]) => {
  for (const name of names) expect([name, result.metrics[name], result.reasons[name]]).toEqual([name, null, reason]);
};

const BY_DIRECTION = ["udp_loss_up_pct", "udp_loss_down_pct", "udp_lost_up", "udp_lost_down"] as const;
const VARIATION = ["udp_jitter_rfc3550_up", "udp_jitter_rfc3550_down", "udp_ipdv_mean_up", "udp_pdv_p95_down"] as const;

/** A port nobody listens on. */
async function closedPort(): Promise<number> {
  const { port, close } = await reflect(() => undefined);
  close();
  return port;
}

describe("probe udp on loopback", () => {
  test("a stream against a reflector that counts: every figure, every metric explained, a small detail", async () => {
    const { port, packets } = await reflect(counting());
    const { code, stdout, stderr } = await cli(["probe", "udp", "127.0.0.1", "--port", String(port), "--count", "100", "--json"]);
    const result = JSON.parse(stdout) as Measurement;
    expect({ code, stderr, lines: stdout.trim().split("\n").length }).toEqual({ code: 0, stderr: "", lines: 1 });
    expect(result).toMatchObject({
      status: "ok",
      address: "127.0.0.1",
      error: null,
      detail: { numbering: "session", untimed: 0 },
    });
    expect(result.metrics).toMatchObject({
      udp_sent: 100,
      udp_received: 100,
      udp_loss_pct: 0,
      udp_loss_up_pct: 0,
      udp_loss_down_pct: 0,
      udp_lost_unattributed: 0,
      udp_dup: 0,
      udp_reordered: 0,
      udp_invalid: 0,
      udp_reflector_stateful: true,
      udp_clock_synced: false,
      udp_owd_up_ms: null,
      udp_size: 64,
      udp_port: port,
      udp_family: 4,
    });
    expect(value(result, "udp_loss_ci_high")).toBeCloseTo(3.7, 1);
    expect(value(result, "udp_rtt_median")).toBeGreaterThan(0);
    expect(value(result, "udp_rtt_median")).toBeLessThan(20);
    expect(Math.abs(value(result, "clock_offset_est_ms"))).toBeLessThanOrEqual(value(result, "clock_offset_err_ms"));
    // One opening packet settles where the reflector's count stands; it is part of no figure.
    expect(result.detail.extra).toEqual({ opening: { sent: 1, answered: 1 }, closing: { sent: 0, answered: 0 } });
    expect(packets).toHaveLength(101);
    expect(new Set(packets.map((packet) => packet.length))).toEqual(new Set([64]));
    expect(stdout.length).toBeLessThan(8192);
    everyMetricExplained(result);
  });

  test("a terminal shows a row a second, and both directions side by side", async () => {
    const { port } = await reflect(counting(7));
    const { code, stdout } = await cli(["probe", "udp", `127.0.0.1:${port}`, "--count", "60", "--interval", "0.02"]);
    expect(code).toBe(0);
    const rows = stdout.split("\n").filter((line) => /^ +\d s +\d+ of \d+ /.test(line));
    expect(rows.map((row) => row.trim().split(/ {2,}/)[1])).toEqual(["50 of 50", "10 of 10"]);
    expect(stdout).toMatch(/60 of 60 answered +up ↑ +down ↓ +both/);
    expect(stdout).toMatch(/loss +0 % +0 % +0 %/);
    expect(stdout).toMatch(/jitter +[\d.]+ ms +[\d.]+ ms/);
    expect(stdout).toMatch(/reflector's clock .*no one-way delays/);
  });

  test("IPv6, and padding to the size asked for", async () => {
    const { port, packets } = await reflect(counting(), "::1");
    const destination = `[::1]:${port}`;
    const params = { count: 5, interval: 0.005, packet_size: 1200 };
    const result = await runTest({ type: "udp", destination, params }, new AbortController().signal);
    expect(result).toMatchObject({ status: "ok", address: "::1", metrics: { udp_family: 6, udp_received: 5, udp_size: 1200 } });
    expect(packets.every((packet) => packet.length === 1200)).toBe(true);
    isNull(result, "too_few_samples", "udp_rtt_p95", "udp_pdv_p95_up", "udp_send_late_p95_ms");
  });

  test("what the packets say: numbers in order, the time of sending, a clock nobody vouches for", async () => {
    const { port, packets } = await reflect(counting());
    const before = Date.now();
    await probe(port, { count: 5 });
    const seconds = packets.map((packet) => packet.readUInt32BE(4) - 2_208_988_800 + packet.readUInt32BE(8) / 2 ** 32);
    expect(packets.map((packet) => packet.readUInt32BE(0))).toEqual([1, 2, 3, 4, 5, 6]);
    expect(seconds.every((time) => time * 1000 >= before - 1 && time * 1000 <= Date.now() + 1)).toBe(true);
    const estimates = packets.map((packet) => packet.readUInt16BE(12));
    // S is not set, and the multiplier is never 0 (RFC 4656 section 4.1.2).
    expect(estimates.every((estimate) => estimate < 0x8000 && (estimate & 0xff) > 0)).toBe(true);
  });
});

describe("loss by direction", () => {
  const places = (...lost: number[]) => new Set(lost);
  test.each([
    // The opening packet is the first that comes: the stream's are at its places 1 to 19.
    { name: "in the middle", up: places(5, 6, 16), down: places(8, 11, 12, 13), lost: [3, 4] },
    { name: "the first ones", up: places(1, 2), down: places(3, 4), lost: [2, 2] },
    { name: "the last ones, settled by a closing packet", up: places(18), down: places(17, 19), lost: [1, 2] },
    { name: "the last ones all down", up: places(), down: places(15, 16, 17, 18, 19), lost: [0, 5] },
    { name: "the last ones all up", up: places(16, 17, 18, 19), down: places(), lost: [4, 0] },
    { name: "the opening packet as well", up: places(0, 2), down: places(3), lost: [1, 1] },
  ])("$name: equal to what was lost", async ({ up, down, lost: [lostUp = 0, lostDown = 0] }) => {
    for (const base of [0, 4_294_967_280]) {
      const { port } = await reflect(lossy(base, { up, down }));
      const result = await probe(port);
      expect(result).toMatchObject({ status: "ok", metrics: { udp_sent: FEW, udp_lost_unattributed: 0 } });
      expect([value(result, "udp_lost_up"), value(result, "udp_lost_down")]).toEqual([lostUp, lostDown]);
      const arrived = FEW - lostUp;
      expect(value(result, "udp_loss_up_pct")).toBeCloseTo((100 * lostUp) / FEW, 2);
      expect(value(result, "udp_loss_down_pct")).toBeCloseTo((100 * lostDown) / arrived, 2);
      expect(value(result, "udp_received")).toBe(arrived - lostDown);
    }
  });

  test("closing packets of unknown fate leave one loss open: told, and split nowhere", async () => {
    // Of the last packet and the first closing one, one got there: nobody can say which.
    const { port } = await reflect(lossy(900, { up: places(19), down: places(20) }));
    const result = await probe(port);
    expect(result.metrics).toMatchObject({ udp_lost_unattributed: 1, udp_received: 18 });
    isNull(result, "timeout", ...BY_DIRECTION);
    expect(result.detail).toMatchObject({ unattributed: 1, extra: { closing: { sent: 2, answered: 1 } } });
    const long = await probeMany(() => lossy(900, { up: places(120), down: places(121) }), { count: 120 });
    // Of 119 packets the direction is known.
    expect(long.metrics).toMatchObject({ udp_lost_up: null, udp_lost_down: null, udp_loss_up_pct: 0, udp_loss_down_pct: 0 });
  });

  test("a reflector that copies our numbers: round trips only", async () => {
    const { port } = await reflect((packet, tools) => {
      if (tools.place % 10 !== 9) stateless(packet, tools);
    });
    const result = await probe(port);
    expect(result).toMatchObject({ status: "ok", detail: { numbering: "stateless" } });
    expect(result.metrics).toMatchObject({ udp_received: 18, udp_loss_pct: 5.263, udp_reflector_stateful: false });
    isNull(result, "unsupported", ...BY_DIRECTION, "udp_reordered_up", "udp_dup_down");
    expect(value(result, "udp_jitter_rfc3550_up")).toBeGreaterThanOrEqual(0);
    everyMetricExplained(result);
  });

  test("a reflector whose count others move is not trusted", async () => {
    let sequence = 100;
    const { port } = await reflect((packet, { place, send }) => {
      sequence += 1 + (place % 3);
      if (place % 7 !== 6) send(replyTo(packet, { sequence }));
    });
    const result = await probe(port);
    expect(value(result, "udp_loss_pct")).toBeGreaterThan(10);
    isNull(result, "unsupported", ...BY_DIRECTION, "udp_reflector_stateful");
  });

  test("one that answers only every other packet", async () => {
    let sequence = 0;
    const { port } = await reflect((packet, { send }) => {
      if (packet.readUInt32BE(0) % 2 === 1) send(replyTo(packet, { sequence: sequence++ }));
    });
    const result = await probe(port);
    expect(result.metrics).toMatchObject({ udp_sent: FEW, udp_received: 9, udp_lost_up: 10, udp_lost_down: 0 });
    expect(result.metrics).toMatchObject({ udp_loss_burst_max: 1, udp_loss_runs: 10 });
    isNull(result, "too_few_samples", "udp_ipdv_mean_up");
  });

  test("duplicates and reordering belong to the direction they happened in", async () => {
    let sequence = 0;
    const held: Buffer[] = [];
    const { port } = await reflect((packet, { place, send }) => {
      const answer = () => replyTo(packet, { sequence: sequence++ });
      const reply = answer();
      // The question came twice: two numbers. The answer was doubled: one number.
      if (place === 5) queueMicrotask(() => send(answer()));
      if (place === 6) send(reply);
      if (place === 10) held.push(reply);
      else send(reply);
      if (place === 12) for (const late of held) send(late);
    });
    const result = await probe(port);
    expect(result.metrics).toMatchObject({
      udp_received: FEW,
      udp_dup: 2,
      udp_dup_up: 1,
      udp_dup_down: 1,
      udp_lost_up: 0,
      udp_lost_down: 0,
    });
    expect(result.metrics).toMatchObject({ udp_reordered: 1, udp_reordered_up: 0, udp_reordered_down: 1, udp_reorder_extent: 2 });
  });
});
