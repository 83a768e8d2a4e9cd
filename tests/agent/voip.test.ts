// Voice runs through the command line and the runner, against real reflectors, broken ones and none at all.
import { createSocket, type Socket } from "node:dgram";
import { afterEach, describe, expect, test } from "vitest";
import type { Measurement } from "#contract/result";
import { checkTest, testType } from "#contract/test-types/index";
import { readParameters } from "../../agent/cli-probe.ts";
import { UsageError } from "../../agent/exit.ts";
import { RowPrinter } from "../../agent/print.ts";
import { voip } from "../../agent/probes/voip.ts";
import { runTest, type Surroundings } from "../../agent/runner.ts";
import { secretText } from "../../agent/stamp/key.ts";
import { decodeSender, encodeReflection } from "../../agent/stamp/packet.ts";
import { type CliResult, cli } from "./helpers/cli.ts";
import { calm } from "./helpers/flags.ts";
import { generator } from "./helpers/mutations.ts";
import { sessionFor, startReflector } from "./helpers/reflector.ts";

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});

/** A UDP port on loopback that does with each packet what it is told; `count` is its place among those of one sender, from 1. */
async function port(onPacket: (packet: Buffer, reply: (bytes: Buffer) => void, count: number) => void): Promise<number> {
  const socket = createSocket("udp4");
  sockets.push(socket);
  const counts = new Map<number, number>();
  socket.on("message", (packet, from) => {
    const count = (counts.get(from.port) ?? 0) + 1;
    counts.set(from.port, count);
    onPacket(packet, (bytes) => sockets.includes(socket) && socket.send(bytes, from.port, from.address), count);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return socket.address().port;
}

const ESTIMATE = { synchronised: false, ptp: false, error_ms: null };
const clock = () => performance.timeOrigin + performance.now();

/** What a reflector of one's own would answer; `sequence` undefined copies the sender's, as a stateless one does. */
function reflect(packet: Buffer, sequence: number | undefined, offset_ms = 0): Buffer {
  const now = clock() + offset_ms;
  const copied = decodeSender(packet, "open")?.sequence ?? 0;
  const reflection = { sequence: sequence ?? copied, received_ms: now, sent_ms: now, estimate: ESTIMATE, ttl: null };
  return encodeReflection(packet, reflection) ?? Buffer.alloc(0);
}

const once = (destination: string, params: Record<string, unknown> = {}, around: Surroundings = {}): Promise<Measurement> =>
  runTest({ type: "voip", destination, params: { duration: 1, timeout: 0.5, ...params } }, new AbortController().signal, around);

/** A run on a machine that other tests keep busy: one that was held up is void, by its own word, and is made again. */
async function call(destination: string, params: Record<string, unknown> = {}, around: Surroundings = {}): Promise<Measurement> {
  for (let tried = 1; ; tried += 1) {
    const result = await once(destination, params, around);
    if (result.reasons.voip_mos_est !== "host_overloaded" || tried === 5) return result;
  }
}

const at = (udp: number) => `127.0.0.1:${udp}`;

/** Held up for less than makes a run void, this process still reads some answers too late for a buffer. */
const BUSY = { retry: 2 };

/** Every metric has a value or a reason, and nothing else is there. */
function expectWhole({ metrics, reasons }: Pick<Measurement, "metrics" | "reasons">): void {
  const names = testType("voip").metrics;
  expect(new Set(Object.keys(metrics))).toEqual(new Set(names));
  for (const name of names) expect(metrics[name] === null, name).toBe(reasons[name] !== undefined);
}

describe("a call to our own reflector", BUSY, () => {
  test("by the command line, with its key, is as good as a call can be", async () => {
    const { secret, port: udp } = await startReflector();
    const ended = await cli(["probe", "voip", at(udp), "--duration", "1", "--key", secretText(secret), "--json"]);
    expect(ended.code).toBe(0);
    const result = JSON.parse(ended.stdout) as CliResult;
    expect(result).toMatchObject({ status: "ok", error: null, address: "127.0.0.1" });
    const { metrics, detail, flags } = result;
    expect(metrics).toMatchObject({
      voip_sent: 50,
      voip_received: 50,
      voip_loss_up_pct: 0,
      voip_loss_down_pct: 0,
      voip_codec: "g711",
      voip_model: "ITU-T G.107 (06/2015)",
      sip_status: null,
    });
    expect(metrics.voip_mos_est).toBeGreaterThan(4.3);
    expect(metrics.voip_mos_est).toBeLessThanOrEqual(4.41);
    expect(metrics.voip_mos_est).toBe(Math.min(Number(metrics.voip_mos_up), Number(metrics.voip_mos_down)));
    expect(metrics.voip_r_factor).toBe(Math.min(Number(metrics.voip_r_up), Number(metrics.voip_r_down)));
    expect(detail.packet_bytes).toEqual({ codec_with_rtp: 172, sent: 172 });
    expect(detail.scale).toMatch(/estimate/);
    expect(calm({ flags }).flags).toEqual(["dscp_not_set"]);
    expectWhole(result as unknown as Measurement);
    expect(JSON.stringify(result).length).toBeLessThan(8192);
  });

  test("packets longer than the codec's are told, and a provisional codec is labelled", async () => {
    const { secret, port: udp } = await startReflector();
    const plain = await startReflector({ open: true });
    const [keyed, open, provisional] = await Promise.all([
      call(at(udp), { codec: "g729" }, { session: sessionFor(secret) }),
      call(at(plain.port), { codec: "g729" }),
      call(at(plain.port), { codec: "g723.1" }),
    ]);
    expect(keyed.detail.packet_bytes).toEqual({ codec_with_rtp: 32, sent: 112 });
    expect(keyed.flags).toContain("packets_longer_than_codec");
    // G.729A begins at Ie 11: R 82.2.
    expect(keyed.metrics.voip_r_factor).toBeLessThanOrEqual(82.2);
    expect(keyed.metrics.voip_mos_est).toBeGreaterThan(4);
    expect(open.detail.packet_bytes).toEqual({ codec_with_rtp: 32, sent: 44 });
    expect(provisional.flags).toContain("provisional_codec");
    expect(provisional.metrics).toMatchObject({ voip_codec: "g723.1", voip_sent: 33 });
    expect(provisional.detail.codec).toMatchObject({ ie: 15, bpl: 16.1, provisional: true });
  });

  test("a key that is another one is no silence and no MOS", async () => {
    const { port: udp } = await startReflector();
    const other = await startReflector();
    const result = await call(at(udp), {}, { session: sessionFor(other.secret) });
    expect(result).toMatchObject({ status: "failed", error: { source: "network", code: "no_reply" } });
    expect(result.metrics.voip_mos_est).toBeNull();
  });

  test("what people see: the seconds as they pass, then the verdicts", async () => {
    const { port: udp } = await startReflector({ open: true });
    const seen: string[] = [];
    const told: string[] = [];
    const printer = new RowPrinter({ good: String, warn: String, bad: String, dim: String, bold: String });
    const result = await call(
      at(udp),
      {},
      { watch: (row) => seen.push(printer.line(row)), progress: (_fraction, note) => told.push(note) },
    );
    expect(seen[0]).toMatch(/1 s +rtt .* ms +jitter up .* none missing/);
    expect(told[0]).toBe("voice packet 1 of 50");
    const lines = (voip.view?.(result) ?? []).map((row) => row.map(({ text }) => text).join(" "));
    expect(lines[0]).toMatch(/^call MOS \d\.\d\d R \d\d\.\d .*satisfied/);
    expect(lines.join("\n")).toMatch(/up MOS \d.* lost 0 %, late /);
    expect(lines.join("\n")).toMatch(/half the round trip .* adaptive buffer .* codec 23\.88 ms/);
    expect(lines.at(-1)).toMatch(/MOS is an estimate .* G\.107/);
  });
});

describe("each direction by itself", BUSY, () => {
  test("losses are told apart by the reflector's count", async () => {
    // Answers packets 20 to 24 never, after having counted them: lost on the way down.
    const down = await port((packet, reply, count) =>
      count >= 20 && count < 25 ? undefined : reply(reflect(packet, count - 1)),
    );
    const result = await call(at(down));
    expect(result.metrics).toMatchObject({ voip_loss_up_pct: 0, voip_loss_down_pct: 10, voip_received: 45 });
    expect(result.metrics.voip_mos_up).toBeGreaterThan(4.3);
    expect(result.metrics.voip_mos_down).toBeLessThan(3.2);
    expect(result.metrics.voip_mos_est).toBe(result.metrics.voip_mos_down);
    expect(result.metrics.voip_burst_ratio_down).toBeCloseTo(4.5, 1);
    expect(result.detail).toMatchObject({ worse: "down", up: { verdict: "very satisfied" } });
    expect(result.flags).toContain("bursts_beyond_model");
  });

  test("a packet too late for the buffer counts as lost, not as delivered", async () => {
    const slow = () => {
      let reflected = 0;
      return port((packet, reply) => {
        const answer = reflect(packet, reflected);
        reflected += 1;
        // Every fifth answer waits for 150 ms after its T3, as in a queue.
        if (reflected % 5 === 0) setTimeout(() => reply(answer), 150);
        else reply(answer);
      });
    };
    const [{ metrics }, patient] = await Promise.all([
      call(at(await slow()), { buffer_ms: 60, duration: 1.5 }),
      call(at(await slow()), { buffer_ms: 300, duration: 1.5 }),
    ]);
    expect(metrics).toMatchObject({ voip_loss_down_pct: 0, voip_buffer_ms: 60 });
    expect(metrics.voip_late_down_pct).toBeGreaterThan(15);
    expect(metrics.voip_effective_loss_down_pct).toBe(metrics.voip_late_down_pct);
    expect(metrics.voip_mos_down).toBeLessThan(3);
    // A buffer long enough plays them all.
    expect(patient.metrics.voip_late_down_pct).toBe(0);
  });

  test("an answer after the time-out is not received, as in udp, and late, not lost", async () => {
    const slow = await port((packet, reply, count) => {
      const answer = reflect(packet, count - 1);
      if (count === 10 || count === 11) setTimeout(() => reply(answer), 700);
      else reply(answer);
    });
    const { metrics } = await call(at(slow), { duration: 1.5 });
    expect(metrics).toMatchObject({ voip_sent: 75, voip_received: 73, voip_loss_up_pct: 0, voip_loss_down_pct: 0 });
    expect(metrics.voip_late_down_pct).toBeGreaterThan(2.6);
  });

  test("a reflector without a count leaves the direction open: the call is as bad as it may be, and says so", async () => {
    const stateless = await port((packet, reply, count) => (count % 10 === 0 ? undefined : reply(reflect(packet, undefined))));
    const result = await call(at(stateless));
    expect(result.flags).toContain("loss_not_split");
    for (const way of ["up", "down"] as const) {
      expect(result.metrics[`voip_mos_${way}`]).toBeNull();
      expect(result.metrics[`voip_loss_${way}_pct`]).toBeNull();
      expect(result.reasons[`voip_mos_${way}`]).toBe("unsupported");
    }
    expect(result.metrics.voip_mos_est).toBeGreaterThan(3);
    expect(result.metrics.voip_mos_est).toBeLessThan(3.7);
    expectWhole(result);
  });

  test("a reflector whose clock is off by half a second is no worse for it", async () => {
    const off = await port((packet, reply, count) => reply(reflect(packet, count - 1, 500)));
    const { metrics } = await call(at(off), { buffer_ms: 40 });
    expect(metrics.voip_mos_est).toBeGreaterThan(4.3);
    expect(metrics.voip_one_way_delay_est_ms).toBeLessThan(90);
  });
});

describe("a reflector whose times mean nothing", BUSY, () => {
  /** Answers with times of this clock, told how many packets came before. */
  const timed = (now: (count: number) => number, answers = (_count: number) => true) =>
    port((packet, reply, count) => {
      const at_ms = now(count);
      const fields = { sequence: count - 1, received_ms: at_ms, sent_ms: at_ms, estimate: ESTIMATE, ttl: null };
      if (answers(count)) reply(encodeReflection(packet, fields) ?? Buffer.alloc(0));
    });
  const began = clock();

  test.each([
    ["is set forward in the middle", (count: number) => clock() + (count < 25 ? 0 : 400)],
    ["is set back in the middle", (count: number) => clock() - (count < 25 ? 0 : 3_600_000)],
    ["ticks in whole seconds", () => Math.floor(clock() / 1000) * 1000],
    ["stands still", () => began],
  ])("its clock %s: the call is judged by round trips, and no direction by itself", async (_what, now) => {
    const result = await call(at(await timed(now)));
    expect(result).toMatchObject({ status: "ok", metrics: { voip_received: 50, voip_loss_up_pct: 0, voip_loss_down_pct: 0 } });
    expect(result.flags).toContain("judged_by_round_trip");
    expect(result.metrics.voip_mos_est).toBeGreaterThan(4.2);
    expect(result.metrics.voip_one_way_delay_est_ms).toBeLessThan(150);
    for (const way of ["up", "down"] as const) {
      for (const name of ["mos", "r", "jitter", "burst_ratio"] as const) {
        expect(result.reasons[`voip_${name}_${way}`], name).toBe("unsupported");
      }
      expect(result.reasons[`voip_late_${way}_pct`]).toBe("unsupported");
      expect(result.reasons[`voip_effective_loss_${way}_pct`]).toBe("unsupported");
      expect(result.detail[way]).toBeUndefined();
    }
    const lines = (voip.view?.(result) ?? []).map((row) => row.map(({ text }) => text).join(" "));
    expect(lines.join("\n")).toMatch(/judged by round trips/);
    expectWhole(result);
  });

  test("losses still count, and belong to their direction", async () => {
    const still = await timed(
      () => began,
      (count) => count < 20 || count >= 25,
    );
    const { metrics, flags } = await call(at(still));
    expect(flags).toContain("judged_by_round_trip");
    expect(metrics).toMatchObject({ voip_loss_up_pct: 0, voip_loss_down_pct: 10, voip_received: 45 });
    expect(metrics.voip_mos_est).toBeLessThan(3.2);
  });
});

describe("when there is nothing to judge", () => {
  test("answers without a usable time are no call, and not silence", async () => {
    const odd = await port((packet, reply, count) => {
      const fields = { sequence: count - 1, received_ms: clock() - 60_000, sent_ms: clock(), estimate: ESTIMATE, ttl: null };
      reply(encodeReflection(packet, fields) ?? Buffer.alloc(0));
    });
    const result = await call(at(odd));
    expect(result).toMatchObject({ status: "failed", error: { code: "bad_response", source: "target" } });
    expect(result.metrics).toMatchObject({ voip_received: 50, voip_mos_est: null });
    expect(result.reasons.voip_mos_est).toBe("unsupported");
    expectWhole(result);
  });

  /** The original gave 1.0, 0 ms of jitter and 100 % of loss where nothing was measured. */
  function expectNothing(result: Measurement, reason: string): void {
    expectWhole(result);
    for (const [name, value] of Object.entries(result.metrics)) {
      if (/mos|_r_|loss|late|jitter|burst|delay|buffer|rtt/.test(name)) expect(value, name).toBeNull();
    }
    expect(result.reasons.voip_mos_est).toBe(reason);
  }

  test("a closed port is refused, at once", async () => {
    const closed = await port(() => undefined);
    sockets.pop()?.close();
    const start = performance.now();
    const result = await call(at(closed), { duration: 20 });
    expect(performance.now() - start).toBeLessThan(5000);
    expect(result).toMatchObject({ status: "failed", error: { code: "refused", source: "target" } });
    expectNothing(result, "refused");
  });

  test("silence is null, garbage is no reply, and the run ends before its deadline", async () => {
    const random = generator(41);
    const odd: readonly ((packet: Buffer) => Buffer)[] = [
      () => Buffer.from(Array.from({ length: 172 }, () => Math.floor(random() * 256))),
      () => Buffer.alloc(0),
      (packet) => packet,
      () => Buffer.alloc(60_000, 7),
    ];
    const ports = await Promise.all(odd.map((answer) => port((packet, reply) => reply(answer(packet)))));
    const mute = await port(() => undefined);
    const mad = await port((packet, reply, count) => {
      const answer = reflect(packet, count - 1);
      // T2 long after T3: no time of this exchange.
      answer.writeUInt32BE(0xf000_0000, 16);
      reply(answer);
    });
    const [silent, untimed, ...garbled] = await Promise.all([mute, mad, ...ports].map((udp) => call(at(udp))));
    if (silent === undefined || untimed === undefined) throw new Error("a run gave no result");
    expectNothing(untimed, "unsupported");
    expect(silent).toMatchObject({ status: "failed", error: { code: "no_reply", source: "network" } });
    expect(silent.metrics).toMatchObject({ voip_sent: 50, voip_received: 0 });
    expectNothing(silent, "timeout");
    const deadline = testType("voip").deadline_ms(checked({ duration: 1, timeout: 0.5 }));
    for (const result of garbled) {
      expect(result).toMatchObject({ status: "failed", error: { code: "bad_response", source: "target" } });
      expectNothing(result, "unsupported");
      expect(result.duration_ms).toBeLessThan(deadline * 1.1);
    }
  });

  test("a host too busy to send on time says so instead of blaming the network", async () => {
    const { port: udp } = await startReflector({ open: true });
    const busy = setInterval(() => {
      const until = performance.now() + 45;
      while (performance.now() < until);
    }, 50);
    const result = await once(at(udp)).finally(() => clearInterval(busy));
    expect(result).toMatchObject({ status: "failed", error: { code: "host_overloaded", source: "agent" } });
    expect(result.reasons.voip_mos_est).toBe("host_overloaded");
    expect(result.error?.message).toMatch(/too busy/);
  });

  test("stopped from outside, it ends at once and keeps what it had", async () => {
    const { port: udp } = await startReflector({ open: true });
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 1500);
    const start = performance.now();
    const result = await runTest({ type: "voip", destination: at(udp), params: { duration: 60 } }, stop.signal);
    expect(performance.now() - start).toBeLessThan(2500);
    expect(result).toMatchObject({ status: "partial", error: { code: "aborted" } });
    expect(result.metrics.voip_mos_est).toBeGreaterThan(4);
  });

  test("a name that does not exist is the resolver's", async () => {
    const result = await call("no-such-host.invalid");
    expect(result).toMatchObject({ status: "failed", error: { source: "resolver" } });
    expect(result.reasons.voip_mos_est).toBe("dns_fail");
  });
});

describe("with a SIP server", BUSY, () => {
  const ok = (request: string) => {
    const keep = request.split("\r\n").filter((line) => /^(via|from|to|call-id|cseq):/i.test(line));
    return Buffer.from(`SIP/2.0 200 OK\r\n${keep.join("\r\n")}\r\nServer: pbx\r\nContent-Length: 0\r\n\r\n`);
  };

  test("its answer, or its silence, stands beside the call's figures", async () => {
    const { port: udp } = await startReflector({ open: true });
    const pbx = await port((packet, reply) => reply(ok(packet.toString("latin1"))));
    const down = await port((packet, reply) =>
      reply(Buffer.from(ok(packet.toString("latin1")).toString("latin1").replace("200 OK", "503 Service Unavailable"))),
    );
    const mute = await port(() => undefined);
    const [good, broken, silent] = await Promise.all([
      call(at(udp), { sip: at(pbx) }),
      call(at(udp), { sip: at(down) }),
      call(at(udp), { sip: at(mute), timeout: 0.3 }),
    ]);
    for (const result of [good, broken, silent]) {
      expect(result.metrics.voip_mos_est).toBeGreaterThan(4.2);
      expectWhole(result);
    }
    expect(good).toMatchObject({ status: "ok", metrics: { sip_status: 200 }, detail: { sip: { reason: "OK", server: "pbx" } } });
    expect(good.metrics.sip_options_rtt).toBeGreaterThan(0);
    const lines = (voip.view?.(good) ?? []).map((row) => row.map(({ text }) => text).join(" "));
    expect(lines.some((line) => /^SIP 200 OK after .* ms pbx$/.test(line))).toBe(true);
    // Its trouble leaves the call's figures, and makes the run partial.
    expect(broken).toMatchObject({ status: "partial", error: { code: "bad_response", source: "target" } });
    expect(broken.metrics.sip_status).toBe(503);
    expect(silent).toMatchObject({ status: "partial", error: { code: "no_reply", source: "network" } });
    expect(silent.metrics).toMatchObject({ sip_status: null, sip_options_rtt: null });
    expect(silent.reasons.sip_status).toBe("timeout");
  });

  test("its answer is kept when the stream has none", async () => {
    const closed = await port(() => undefined);
    sockets.pop()?.close();
    const pbx = await port((packet, reply) => reply(ok(packet.toString("latin1"))));
    const result = await call(at(closed), { sip: at(pbx) });
    expect(result).toMatchObject({
      status: "partial",
      error: { code: "refused" },
      metrics: { sip_status: 200, voip_mos_est: null },
    });
  });

  test("it is a host that the run speaks to", () => {
    const type = testType("voip");
    const contacts = type.contacts("reflector.example:862", checked({ sip: "pbx.example:5060" }));
    expect(contacts).toEqual(["reflector.example", "pbx.example"]);
  });
});

function checked(params: Record<string, unknown>): Record<string, unknown> {
  const result = checkTest("voip", "192.0.2.1", params);
  if (!result.ok) throw new Error("the parameters are refused");
  return result.params;
}

describe("parameters", () => {
  test.each([
    ["--codec", { codec: "opus" }],
    ["--codec", { codec: "" }],
    ["--duration", { duration: "0" }],
    ["--duration", { duration: "301" }],
    ["--duration", { duration: "1;id" }],
    ["--buffer-ms", { bufferMs: "19" }],
    ["--buffer-ms", { bufferMs: "501" }],
    ["--buffer-ms", { bufferMs: "20.5" }],
    ["--sip", { sip: "-f" }],
    ["--sip", { sip: "$(id)" }],
    ["--sip", { sip: "pbx.example:0" }],
    ["--sip", { sip: "169.254.169.254" }],
    ["--sip", { sip: "pbx.example\r\nX: y" }],
    ["--sip", { sip: "2001:db8::1", ipVersion: "4" }],
    ["--sip-transport", { sip: "pbx.example", sipTransport: "ws" }],
    ["--sip-transport", { sipTransport: "tcp" }],
    ["--ip-version", { ipVersion: "5" }],
    ["--ip-version", { ipVersion: "6" }],
    ["--timeout", { timeout: "33" }],
  ])("%s is refused by its name: %j", (option, given) => {
    const refuse = () => readParameters("voip", "192.0.2.1", given);
    expect(refuse).toThrow(UsageError);
    expect(refuse).toThrow(option);
  });

  test("a bad one ends the command with 2, and nothing is sent", async () => {
    let heard = 0;
    const udp = await port(() => {
      heard += 1;
    });
    const { code, stderr } = await cli(["probe", "voip", at(udp), "--sip", at(udp), "--duration", "0"]);
    expect(code).toBe(2);
    expect(stderr).toContain("--duration");
    expect(heard).toBe(0);
  });

  test("a stream that does not fit between two runs is refused", () => {
    expect(checkTest("voip", "192.0.2.1", {}, 60).ok).toBe(true);
    const tight = checkTest("voip", "192.0.2.1", {}, 10);
    expect(tight).toMatchObject({ ok: false, errors: [{ path: "params.duration" }] });
    expect(checkTest("voip", "192.0.2.1", { duration: 5 }, 10).ok).toBe(true);
  });

  test("another client may be the far end", () => {
    expect(checkTest("voip", "mesh", {}, 60).ok).toBe(true);
    expect(checkTest("voip", "client:abcdefgh12345678", {}, 60).ok).toBe(true);
  });
});
