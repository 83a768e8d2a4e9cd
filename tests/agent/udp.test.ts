// udp by the real command line and the runner, against reflectors of every kind on loopback.
import { createHmac } from "node:crypto";
import { createSocket, Socket } from "node:dgram";
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
import { cli, type Ended, fakeTools, scratch } from "./helpers/cli.ts";
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
    const timely = async (left: number): Promise<{ result: Measurement; ended: Ended; port: number; packets: Buffer[] }> => {
      const { port, packets } = await reflect(counting());
      const ended = await cli(["probe", "udp", "127.0.0.1", "--port", String(port), "--count", "100", "--json"]);
      const result = JSON.parse(ended.stdout) as Measurement;
      const isVoid = result.reasons.udp_loss_pct === "host_overloaded";
      return isVoid && left > 0 ? timely(left - 1) : { result, ended, port, packets };
    };
    const { result, ended, port, packets } = await timely(8);
    const { code, stdout, stderr } = ended;
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
    const { code, stdout } = await cli(["probe", "udp", `127.0.0.1:${port}`, "--count", "19", "--interval", "0.1"]);
    expect(code).toBe(0);
    const rows = stdout.split("\n").filter((line) => /^ +\d s +\d+ of \d+ /.test(line));
    expect(rows.map((row) => row.trim().split(/ {2,}/)[1])).toEqual(["10 of 10", "9 of 9"]);
    expect(stdout).toMatch(/19 of 19 answered +up ↑ +down ↓ +both/);
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
    expect(result.metrics).toMatchObject({ udp_received: 17, udp_loss_pct: 10.526, udp_reflector_stateful: false });
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

describe("what is no answer is counted and measures nothing", () => {
  const hostile: [name: string, behaviour: Behaviour, counted: string][] = [
    [
      "another sequence number",
      (packet, { send }) => {
        const copy = Buffer.from(packet);
        copy.writeUInt32BE(packet.readUInt32BE(0) + 100_000, 0);
        send(replyTo(copy, { sequence: 0 }));
      },
      "forged",
    ],
    [
      "another time of sending",
      (packet, { send }) => {
        const copy = Buffer.from(packet);
        copy.writeUInt32BE((packet.readUInt32BE(8) ^ 0x8000) >>> 0, 8);
        send(replyTo(copy, { sequence: 0 }));
      },
      "forged",
    ],
    ["cut short", (packet, { send }) => send(replyTo(packet, { sequence: 0 }).subarray(0, 43)), "malformed"],
    ["empty", (_packet, { send }) => send(Buffer.alloc(0)), "malformed"],
    ["noise", (_packet, { send, place }) => send(Buffer.alloc(200, place + 1)), "forged"],
    ["the question itself", (packet, { send }) => send(packet), "forged"],
  ];
  test("alone: failed, each told by its kind", async () => {
    const runs = hostile.map(async ([name, behaviour, counted]) => {
      const { port } = await reflect(behaviour);
      return { name, counted, result: await probe(port, { count: 5 }) };
    });
    for (const { name, counted, result } of await Promise.all(runs)) {
      expect(result, name).toMatchObject({ status: "failed", error: { code: "bad_response", source: "target" } });
      expect(result.metrics).toMatchObject({ udp_sent: 5, udp_received: 0, udp_rtt_median: null, clock_offset_est_ms: null });
      expect((result.detail.rejected as Record<string, number>)[counted], name).toBe(value(result, "udp_invalid"));
      expect(value(result, "udp_invalid")).toBeGreaterThanOrEqual(5);
      everyMetricExplained(result);
    }
  });

  test("beside honest answers: they stand as they are", async () => {
    const count = counting(50);
    const { port } = await reflect((packet, tools) => {
      for (const [, behaviour] of hostile) behaviour(packet, tools);
      count(packet, tools);
    });
    const result = await probe(port);
    expect(result).toMatchObject({ status: "ok", metrics: { udp_received: FEW, udp_loss_pct: 0, udp_dup: 0, udp_lost_down: 0 } });
    expect(value(result, "udp_invalid")).toBeGreaterThanOrEqual(FEW * hostile.length);
  });

  test("from another port: never seen", async () => {
    const other = createSocket("udp4");
    other.bind(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = await reflect((packet, { from }) => other.send(replyTo(packet, { sequence: 0 }), from.port, from.address));
    const result = await probe(port, { count: 3 });
    other.close();
    expect(result).toMatchObject({ status: "failed", error: { code: "no_reply" }, metrics: { udp_received: 0 } });
  });

  test("old answers again, and many for one question, are duplicates", async () => {
    let sequence = 0;
    const old: Buffer[] = [];
    const { port } = await reflect((packet, { send }) => {
      const reply = replyTo(packet, { sequence: sequence++ });
      send(reply);
      for (const before of old.slice(1, 3)) send(before);
      for (let i = 0; i < 20; i++) send(Buffer.concat([reply, Buffer.alloc(1000)]));
      old.push(reply);
    });
    const result = await probe(port);
    expect(result.metrics).toMatchObject({ udp_received: FEW, udp_lost_up: 0, udp_lost_down: 0, udp_dup_up: 0 });
    expect(value(result, "udp_dup")).toBeGreaterThan(FEW * 15);
  });

  test("times that cannot be: an answer, but no sample", async () => {
    // Received long before it was sent, says the reflector of every other packet.
    const { port } = await reflect((packet, { send, place }) =>
      send(replyTo(packet, { sequence: place, ...(place % 2 === 0 ? { received_ms: Date.now() - 60_000 } : {}) })),
    );
    const result = await probe(port);
    expect(result).toMatchObject({ status: "ok", metrics: { udp_received: FEW }, detail: { untimed: 9 } });
    expect(value(result, "udp_rtt_max")).toBeLessThan(2000);
    expect(value(result, "udp_rtt_min")).toBeGreaterThanOrEqual(0);
  });

  test("an answer after its time-out is lost and late, and lost in no direction", async () => {
    const count = counting();
    const { port } = await reflect((packet, tools) => {
      if (tools.place !== 10) count(packet, tools);
      else setTimeout(() => count(packet, tools), 400);
    });
    const result = await probe(port, { interval: 0.05, timeout: 0.3 });
    expect(result.metrics).toMatchObject({ udp_received: 18, udp_late: 1, udp_lost_up: 0, udp_lost_down: 0 });
    expect(value(result, "udp_rtt_max")).toBeLessThan(300);
  });
});

describe("failures are told apart", () => {
  test("answers that all come after the time-out are no measurement, and say what to change", async () => {
    const count = counting();
    const timers: NodeJS.Timeout[] = [];
    const { port } = await reflect((packet, tools) => {
      timers.push(setTimeout(() => count(packet, tools), 250));
    });
    const result = await probe(port, { count: 5, timeout: 0.1, interval: 0.1 });
    for (const timer of timers) clearTimeout(timer);
    const error = { code: "no_reply", source: "network", message: expect.stringMatching(/after the time-out.*--timeout/) };
    expect(result).toMatchObject({ status: "failed", error, metrics: { udp_received: 0, udp_loss_pct: 100 } });
    expect(value(result, "udp_late")).toBeGreaterThan(0);
    isNull(result, "timeout", "udp_rtt_median", "clock_offset_est_ms", "udp_owd_up_ms", ...VARIATION);
    everyMetricExplained(result);
  });

  test("answers without a usable time: loss counts, times are unsupported, and no picture shows any", async () => {
    const { port } = await reflect(counting(0, { received_ms: Date.now() - 60_000 }));
    const result = await probe(port);
    expect(result).toMatchObject({ status: "ok", metrics: { udp_received: FEW, udp_loss_pct: 0 }, detail: { untimed: FEW } });
    isNull(result, "unsupported", "udp_rtt_median", "udp_rtt_p95", "clock_offset_est_ms", ...VARIATION);
    const text = (udp.view?.(result) ?? []).map((row) => row.map((each) => each.text).join(" ")).join("\n");
    expect(text).toMatch(/timestamps cannot be true/);
    expect(text).not.toMatch(/over the minimum/);
    everyMetricExplained(result);
  });

  test("what this host's kernel did not send is no loss, and is told", async () => {
    const { port } = await reflect(counting());
    const send = Socket.prototype.send;
    let sends = 0;
    // A connected socket gives no port; the reflector's own answers do.
    const spy = vi.spyOn(Socket.prototype, "send").mockImplementation(function (this: Socket, ...order: unknown[]) {
      const [, done] = order;
      if (typeof done !== "function") return Reflect.apply(send, this, order);
      sends += 1;
      if (sends <= 10) return Reflect.apply(send, this, order);
      setImmediate(done as (error: Error) => void, Object.assign(new Error("no route"), { code: "ENETUNREACH" }));
    });
    const result = await probe(port);
    spy.mockRestore();
    // One of the ten was the opening packet.
    expect(result).toMatchObject({
      status: "partial",
      error: { code: "no_route", source: "agent", message: expect.stringMatching(/^10 of 19 packets never left/) },
      metrics: { udp_sent: 9, udp_received: 9, udp_loss_pct: 0, udp_lost_up: 0, udp_lost_down: 0, udp_loss_burst_max: 0 },
    });
    everyMetricExplained(result);
  });

  test("nothing listens: refused at once, and no figure of any kind", async () => {
    const port = await closedPort();
    const { code, stdout, took_ms } = await cli(["probe", "udp", `127.0.0.1:${port}`, "--json"]);
    const result = JSON.parse(stdout) as Measurement;
    expect(code).toBe(1);
    expect(result).toMatchObject({ status: "failed", error: { code: "refused", source: "target" } });
    expect(Object.values(result.metrics).every((metric) => metric === null)).toBe(true);
    isNull(result, "refused", "udp_sent", "udp_loss_pct", "udp_rtt_median");
    expect(took_ms).toBeLessThan(6000);
    everyMetricExplained(result);
  });

  test("silence is loss of everything, in no direction", async () => {
    const { port } = await reflect(() => undefined);
    const result = await probe(port, { count: 5 });
    expect(result).toMatchObject({ status: "failed", error: { code: "no_reply", source: "network" } });
    expect(result.metrics).toMatchObject({ udp_sent: 5, udp_received: 0, udp_loss_pct: 100, udp_lost_unattributed: 5 });
    isNull(result, "timeout", ...BY_DIRECTION, ...VARIATION, "udp_rtt_min", "udp_reflector_stateful", "clock_offset_est_ms");
    everyMetricExplained(result);
  });

  test("a reflector that dies in the middle: partial, what it answered counts", async () => {
    const count = counting(77);
    const reflector = await reflect((packet, tools) => {
      count(packet, tools);
      if (tools.place === 9) setImmediate(() => reflector.close());
    });
    const result = await probe(reflector.port, { interval: 0.02 });
    expect(result).toMatchObject({ status: "partial", error: { code: "refused", source: "target" }, metrics: { udp_sent: FEW } });
    expect(value(result, "udp_received")).toBeGreaterThanOrEqual(9);
    expect(value(result, "udp_rtt_median")).toBeGreaterThan(0);
    isNull(result, "timeout", ...BY_DIRECTION);
  });

  test("a host too busy to send on time gives no figures", async () => {
    const { port } = await reflect(counting());
    const running = probe(port, { count: 40, interval: 0.01 });
    const busy = setInterval(() => {
      const until = performance.now() + 60;
      while (performance.now() < until);
    }, 1);
    const result = await running;
    clearInterval(busy);
    expect(result).toMatchObject({ status: "partial", error: { source: "agent" }, metrics: { udp_sent: 40 } });
    expect(value(result, "udp_send_late_p95_ms")).toBeGreaterThan(10);
    isNull(result, "host_overloaded", "udp_loss_pct", "udp_rtt_median", "clock_offset_est_ms", ...BY_DIRECTION, ...VARIATION);
    everyMetricExplained(result);
  });

  test("a name that does not exist", async () => {
    const order = { type: "udp", destination: "no-such-host.invalid", params: {} };
    const result = await runTest(order, new AbortController().signal);
    expect(result).toMatchObject({ status: "failed", error: { source: "resolver" } });
    isNull(result, "dns_fail", "udp_loss_pct", "udp_sent");
  });
});

describe("time", () => {
  test("ends at its deadline with what it measured until then", async () => {
    const { port } = await reflect(counting());
    const params = udpType.params.parse({ port, count: 400, interval: 0.02, timeout: 0.2 });
    const budget = new Budget(1500, new AbortController().signal);
    const start = performance.now();
    const { status, error, metrics, reasons } = await udp.run("127.0.0.1", params, {
      budget,
      series: undefined,
      watched: false,
      show: () => undefined,
      progress: () => undefined,
      session: undefined,
      edge: undefined,
      objection: () => undefined,
      measuring: () => undefined,
    });
    const took = performance.now() - start;
    expect(took).toBeGreaterThan(1350);
    expect(took).toBeLessThan(1650);
    expect({ status, code: error?.code }).toEqual({ status: "partial", code: "deadline" });
    expect(Number(metrics.udp_sent)).toBeGreaterThan(10);
    expect(Number(metrics.udp_sent)).toBeLessThanOrEqual(76);
    // What was sent too short ago to be called lost is not.
    expect(Number(metrics.udp_received)).toBe(metrics.udp_sent);
    everyMetricExplained({ metrics, reasons });
  });

  test("stopped from outside it says so", async () => {
    const stop = new AbortController();
    const { port } = await reflect((packet, tools) => {
      counting(tools.place)(packet, tools);
      if (tools.place === 5) stop.abort();
    });
    const order = { type: "udp", destination: `127.0.0.1:${port}`, params: {} };
    const result = await runTest(order, stop.signal);
    expect(result).toMatchObject({ status: "partial", error: { code: "aborted", source: "agent" } });
    expect(result.duration_ms).toBeLessThan(3000);
  });

  test("a longest run is within its deadline", () => {
    const params = udpType.params.parse({ timeout: 2 });
    // Looking up the name and the clock, three seconds of opening, the stream, the time-out, the closing packets.
    expect(testType("udp").deadline_ms(params)).toBeGreaterThanOrEqual(3000 + 9980 + 2000 + 2500);
    expect(testType("udp").deadline_ms(params)).toBeLessThan(25_000);
  });

  test("tells how far it is, not more often than four times a second", async () => {
    const { port } = await reflect(counting());
    const told: [fraction: number, at: number][] = [];
    await probe(port, { interval: 0.05 }, { progress: (fraction) => told.push([fraction, performance.now()]) });
    expect(told.at(-1)?.[0]).toBe(1);
    expect(told.length).toBeLessThanOrEqual(7);
  });
});

describe("clocks", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.resetModules();
  });

  /** A reflector with 20 ms on each way and a clock that is off. */
  const distant =
    (offset_ms: number, estimate: number): Behaviour =>
    (packet, { place, send }) => {
      setTimeout(() => {
        const reply = replyTo(packet, { sequence: place, offset_ms, estimate });
        setTimeout(() => send(reply), 20);
      }, 20);
    };

  test.each([0, 500, -500])("%d ms off: the offset's bound holds the truth, and nothing else changes", async (offset) => {
    const { port } = await reflect(distant(offset, 0x0001));
    const result = await probe(port);
    const [estimate, error] = [value(result, "clock_offset_est_ms"), value(result, "clock_offset_err_ms")];
    expect(Math.abs(estimate - offset)).toBeLessThanOrEqual(error);
    expect(error).toBeLessThan(40);
    expect(value(result, "udp_rtt_min")).toBeGreaterThanOrEqual(39);
    expect(value(result, "udp_rtt_median")).toBeLessThan(100);
    for (const name of ["udp_ipdv_mean_up", "udp_ipdv_mean_down", "udp_jitter_rfc3550_up"] as const) {
      expect(value(result, name)).toBeLessThan(30);
    }
    isNull(result, "unsupported", "udp_owd_up_ms", "udp_owd_down_ms");
    expect(result.metrics.udp_clock_synced).toBe(false);
  });

  test("a clock that is set in the middle spoils no figure but its own", async () => {
    const { port } = await reflect((packet, tools) =>
      counting(tools.place, { offset_ms: tools.place < 10 ? 0 : 300 })(packet, tools),
    );
    const result = await probe(port);
    expect(result.metrics).toMatchObject({ udp_loss_pct: 0, udp_lost_up: 0 });
    expect(value(result, "udp_rtt_max")).toBeLessThan(250);
    isNull(result, "unsupported", ...VARIATION, "clock_offset_est_ms", "clock_offset_err_ms");
  });

  /** S, and an error of about 0.24 ms: multiplier 1, scale 20. */
  const SYNCHRONISED = 0x9401;
  const TRACKING = (leap: string) =>
    `echo "C0000201,192.0.2.1,3,1700000000.0,0.0001,0.0,0.0,1.5,0.0,0.02,0.0004,0.0001,64.5,${leap}"`;

  /** Runs with a fresh memory of this host's clock. */
  async function withTools(scripts: Record<string, string>, behaviour: Behaviour): Promise<Measurement> {
    vi.stubEnv("STREAMSWARM_TOOL_PATH", fakeTools(scripts));
    vi.resetModules();
    const { runTest: run } = await import("../../agent/runner.ts");
    const { port } = await reflect(behaviour);
    const params = { count: FEW, interval: 0.01 };
    return run({ type: "udp", destination: `127.0.0.1:${port}`, params }, new AbortController().signal);
  }

  test("one-way delays only when both ends vouch for their clock, and well enough", async () => {
    const chronyc = TRACKING("Normal");
    const good = await withTools({ chronyc }, distant(0, SYNCHRONISED));
    expect(good).toMatchObject({
      metrics: { udp_clock_synced: true },
      detail: { clocks: { agent: { source: "chrony", error_ms: 0.4 } } },
    });
    expect(value(good, "udp_owd_err_ms")).toBeLessThan(1);
    expect(value(good, "udp_owd_up_ms")).toBeGreaterThan(18);
    expect(value(good, "udp_owd_down_ms")).toBeGreaterThan(18);
    expect(value(good, "udp_owd_up_ms") + value(good, "udp_owd_down_ms")).toBeLessThan(value(good, "udp_rtt_max") + 10);

    // The reflector's error of 0.5 s is no tenth of the round trip.
    const vague = await withTools({ chronyc }, distant(0, 0x9f80));
    expect(vague.metrics).toMatchObject({ udp_clock_synced: true, udp_owd_up_ms: null });
    // A clock half a second off that claims to be right is not believed.
    const liar = await withTools({ chronyc }, distant(500, SYNCHRONISED));
    expect(liar.metrics).toMatchObject({ udp_clock_synced: true, udp_owd_up_ms: null, udp_owd_down_ms: null });
    expect(liar.reasons.udp_owd_up_ms).toBe("unsupported");
    const adrift = await withTools({ chronyc: TRACKING("Not synchronised") }, distant(0, SYNCHRONISED));
    expect(adrift.metrics).toMatchObject({ udp_clock_synced: false, udp_owd_up_ms: null });
  });

  test.each([
    ["garbage", "head -c 3000 /dev/urandom"],
    ["silence", "exec sleep 30"],
    ["a failure", "echo 506 Cannot talk to daemon; exit 1"],
    ["a sudden end", "kill -9 $$"],
  ])("%s of the clock's daemon leaves the clock unknown and the measurement whole", async (_name, script) => {
    const result = await withTools({ chronyc: script }, counting());
    expect(result).toMatchObject({
      status: "ok",
      metrics: { udp_clock_synced: false, udp_received: FEW },
      detail: { clocks: { agent: null } },
    });
    await vi.waitFor(() => expect(runningTools()).toBe(0), 5000);
  });
});

describe("a reflector with a key", () => {
  test("answers its holder, from its first packet on", async () => {
    const { port, secret } = await startReflector();
    const key = Buffer.from(secret).toString("base64url");
    const args = ["probe", "udp", `127.0.0.1:${port}`, "--count", "19", "--interval", "0.01", "--key", key, "--json"];
    const { code, stdout } = await cli(args);
    const result = JSON.parse(stdout) as Measurement;
    expect({ code, key: stdout.includes(key) }).toEqual({ code: 0, key: false });
    expect(result.metrics).toMatchObject({ udp_received: FEW, udp_lost_up: 0, udp_lost_down: 0, udp_size: 112 });
    expect(result.detail).toMatchObject({ mode: "authenticated", numbering: "session", extra: { opening: { sent: 0 } } });
  });

  test("is silent for anybody else", async () => {
    const { port } = await startReflector();
    const session = { ssid: 9, key: new Uint8Array(32).fill(7) };
    const result = await probe(port, { count: 5 }, { session });
    expect(result).toMatchObject({ status: "failed", error: { code: "no_reply" }, metrics: { udp_received: 0 } });
    expect(result.error?.message).toContain("key");
  });

  test("answers without its HMAC are forged", async () => {
    const { port, packets } = await reflect((packet, { send }) => {
      const reply = Buffer.alloc(packet.length);
      packet.copy(reply, 48, 0, 4);
      packet.copy(reply, 64, 16, 26);
      createHmac("sha256", "another key").update(reply.subarray(0, 96)).digest().copy(reply, 96, 0, 16);
      send(reply);
    });
    const session = { ssid: 9, key: new Uint8Array(32).fill(7) };
    const result = await probe(port, { count: 5 }, { session });
    expect(packets.every((packet) => packet.length === 112 && packet.readUInt16BE(26) === 9)).toBe(true);
    expect(result).toMatchObject({ status: "failed", error: { code: "bad_response", source: "target" } });
    expect(result.detail).toMatchObject({ rejected: { unauthenticated: 5, forged: 0 } });
  });

  test("the first packets lost: it is known that it began at 0", async () => {
    const key = new Uint8Array(32).fill(7);
    let sequence = 0;
    const { port } = await reflect((packet, { place, send }) => {
      if (place === 0 || place === 2) return;
      const reply = Buffer.alloc(packet.length);
      reply.writeUInt32BE(sequence++, 0);
      // T3, T2: both now, as precisely as this test needs.
      for (const at of [16, 32]) packet.copy(reply, at, 16, 24);
      packet.copy(reply, 48, 0, 4);
      packet.copy(reply, 64, 16, 26);
      createHmac("sha256", key).update(reply.subarray(0, 96)).digest().copy(reply, 96, 0, 16);
      if (place !== 1) send(reply);
    });
    const result = await probe(port, {}, { session: { ssid: 9, key } });
    expect(result.metrics).toMatchObject({ udp_lost_up: 2, udp_lost_down: 1, udp_lost_unattributed: 0 });
  });
});

describe("parameters", () => {
  test.each([
    ["--packet-size", "43", /--packet-size 43.*44 bytes/],
    ["--packet-size", "65508", /--packet-size 65508.*65507/],
    ["--packet-size", "0", /--packet-size/],
    ["--interval", "0.004", /--interval/],
    ["--interval", "11", /--interval/],
    ["--count", "0", /--count/],
    ["--count", "10001", /--count/],
    ["--timeout", "0", /--timeout/],
    ["--port", "65536", /--port/],
    ["--ip-version", "6", /--ip-version/],
  ])("%s %s is refused by name", (option, given, message) => {
    const name = option.slice(2).replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    expect(() => readParameters("udp", "127.0.0.1", { [name]: given })).toThrow(message);
  });

  test("a wrong one ends the command with 2 before anything is sent or started", async () => {
    const { port, packets } = await reflect(counting());
    const marker = join(scratch(), "started");
    const tools = fakeTools({ chronyc: `touch ${marker}`, timedatectl: `touch ${marker}`, ntpq: `touch ${marker}` });
    const args = ["probe", "udp", `127.0.0.1:${port}`, "--packet-size", "43", "--dscp", "46"];
    const { code, stdout, stderr } = await cli(args, { STREAMSWARM_TOOL_PATH: tools });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/--dscp/);
    expect(existsSync(marker)).toBe(false);
    expect(packets).toEqual([]);
  });

  test("a stream longer than a run may last", () => {
    expect(() => readParameters("udp", "127.0.0.1", { count: "1000", interval: "1" })).toThrow(/--count 1000: .*300 s/);
  });

  test("the count fits the test's interval with time for the last answers; one that was asked for must fit", () => {
    const params = (given: Record<string, unknown> = {}) => udpType.params.parse(given);
    expect(udpCount(params())).toBe(500);
    expect(udpCount(params(), 60)).toBe(500);
    expect(udpCount(params(), 10)).toBe(350);
    expect(udpCount(params(), 1)).toBe(25);
    expect(udpCount(params({ interval: 10 }), 1)).toBe(1);
    expect(udpCount(params({ count: 70 }), 1)).toBe(70);
    expect(udp.plan?.(params(), 1)).toMatchObject({ count: 25 });
    expect(udpType.check("192.0.2.1", params({ count: 70 }), 1)).toMatchObject([{ path: "params.count" }]);
    expect(udpType.check("192.0.2.1", params(), 1)).toEqual([]);
  });
});
