// What ss prints, and what is made of it.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parseSs, type TcpInfo } from "../../agent/parsers/ss.ts";
import { connectFailure } from "../../agent/probes/endpoint.ts";
import { leastRoundTrip, limitedBy, tcpMetrics } from "../../agent/probes/tcp-metrics.ts";
import type { Attempt } from "../../agent/probes/tcp-series.ts";
import { silenceOf } from "../../agent/probes/tcp-silence.ts";

const DIR = fileURLToPath(new URL("./fixtures/ss/", import.meta.url));
const recorded = (name: string): string => readFileSync(`${DIR}${name}.stdout`, "utf8");
const names = readdirSync(DIR)
  .filter((file) => file.endsWith(".stdout"))
  .map((file) => file.replace(".stdout", ""));

const infoOf = (name: string): TcpInfo => {
  const info = parseSs(recorded(name))[0]?.info;
  if (info === undefined) throw new Error(`no socket in ${name}`);
  return info;
};

test.each(names)("%s", (name) => {
  expect(parseSs(recorded(name))).toEqual(JSON.parse(readFileSync(`${DIR}${name}.json`, "utf8")));
});

test("a socket on one line is read like one on two", () => {
  const oneLine = recorded("sending_loss").replace("\n\t", " ");
  expect(parseSs(oneLine)).toEqual(parseSs(recorded("sending_loss")));
});

test("addresses with a zone, mapped addresses and neighbours' sockets", () => {
  const text = [
    "ESTAB 0 0 [fe80::1]%eth0:50000 [fe80::2]%eth0:22\n\t cubic rto:204 rtt:1.5/0.5",
    "ESTAB 0 7 [::ffff:192.0.2.1]:50001 [::ffff:192.0.2.2]:443\n\t cubic rto:204",
    "Cannot open netlink socket: Protocol not supported",
  ].join("\n");
  expect(parseSs(text)).toMatchObject([
    { local_port: 50000, peer_port: 22, info: { rtt_ms: 1.5, rttvar_ms: 0.5, cc: "cubic" } },
    { local_port: 50001, peer_port: 443, send_queue: 7, info: { rtt_ms: null } },
  ]);
});

describe("what held the sender back", () => {
  const info = infoOf("sending_loss");
  test.each([
    ["network", { busy_ms: 1000, rwnd_limited_ms: 100, sndbuf_limited_ms: null }],
    ["receiver", { busy_ms: 1000, rwnd_limited_ms: 900, sndbuf_limited_ms: null }],
    ["sender_buffer", { busy_ms: 1000, rwnd_limited_ms: null, sndbuf_limited_ms: 800 }],
    ["application", { busy_ms: 300, rwnd_limited_ms: null, sndbuf_limited_ms: null }],
  ])("%s", (by, figures) => {
    expect(limitedBy({ ...info, ...figures }, 1000)).toBe(by);
  });

  test("a peer that never read", () => expect(limitedBy(infoOf("rwnd_limited"), 2500)).toBe("receiver"));
  test("unknown without the kernel's chronographs", () => expect(limitedBy(infoOf("fresh6"), 1000)).toBeUndefined());
});

describe("least round trip", () => {
  test("a figure cut to whole milliseconds does not undercut an exact one", () =>
    expect(leastRoundTrip([24.17, 24, null, 24.3])).toBe(24.17));
  test("unless it is lower by more than that cut", () => expect(leastRoundTrip([30.2, 24])).toBe(24));
  test("alone it is what there is", () => expect(leastRoundTrip([24, 26])).toBe(24));
  test("none", () => expect(leastRoundTrip([null])).toBeNull());
});

describe("what silence means", () => {
  const endpoint = {
    host: "192.0.2.1",
    address: "192.0.2.1",
    family: 4,
    port: 443,
    resolve_ms: 0,
    resolved_by: "literal",
  } as const;
  const silence = connectFailure({ kind: "timeout", ms: 300 }, endpoint);
  const port80 = (ms: number) => ({ by: "port", port: 80, ms }) as const;
  test.each([
    ["a host that answers on another port: a firewall", port80(20), 3, 300, "filtered", /port 80/],
    ["a host further away than the time-out: too little time", port80(400), 3, 300, "no_reply", /400 ms away.*--timeout/],
    ["a single SYN: maybe an accident", port80(20), 1, 300, "no_reply", /try again/],
    ["a single connect, its SYN sent again: a firewall", { by: "echo", ms: 20 } as const, 1, 3000, "filtered", /echo/],
    ["nothing at all: nobody there", undefined, 3, 3000, "no_reply", /no other sign of life/],
  ])("%s", (_name, alive, connects, timeout_ms, code, words) => {
    const { error } = silenceOf(silence, endpoint, alive, { connects, timeout_ms });
    expect(error).toMatchObject({ code, source: "network" });
    expect(error.message).toMatch(words);
  });
});

describe("metrics of recorded connections", () => {
  const attempt = (info: TcpInfo | null): Attempt => ({
    index: 0,
    at_ms: 0,
    dialled: { kind: "connected", ms: 24.5 },
    info,
    broken: null,
  });
  const fresh = infoOf("two_fresh");
  const metricsOf = (name: string) => {
    const sender = attempt(fresh);
    const sending = {
      bytes: 300_000,
      took_ms: 3400,
      complete: true,
      samples: [{ at_ms: 3500, info: infoOf(name) }],
      broken: undefined,
    };
    return tcpMetrics({ port: 9, attempts: [sender], sending, sender, missing: undefined, silence: "timeout" });
  };

  test("retransmissions are the kernel's count, and duplicates the peer's, not a multiple of them", () => {
    const { metrics } = metricsOf("dsack");
    expect(metrics).toMatchObject({ tcp_retrans_segs: 33, tcp_dsack_dups: 1, tcp_syn_retrans: 0, tcp_retrans_pct: 13.693 });
  });

  test("every figure stands under its own name", () => {
    const { metrics } = metricsOf("dsack");
    expect(metrics).toMatchObject({ tcp_srtt_ms: 59.171, tcp_rttvar_ms: 28.104, tcp_rto_ms: 260, tcp_mss: 1448, tcp_pmtu: 1500 });
    expect(metrics).toMatchObject({
      tcp_cwnd_last: 4,
      tcp_ssthresh: 3,
      tcp_cc: "reno",
      tcp_snd_wnd: 294_912,
      tcp_rcv_space: 14_480,
    });
    expect(metrics).toMatchObject({
      tcp_delivery_rate_bps: 201_872,
      tcp_wscale: true,
      tcp_ecn: false,
      tcp_limited_by: "network",
    });
  });

  test("counters that are zero are left out by ss: with data they are 0, without data not measured", () => {
    expect(metricsOf("bbr_done").metrics).toMatchObject({
      tcp_retrans_segs: 0,
      tcp_dsack_dups: 0,
      tcp_reordering_seen: 0,
      tcp_lost: 0,
    });
    const { metrics, reasons } = metricsOf("fresh6");
    expect([metrics.tcp_dsack_dups, reasons.tcp_dsack_dups]).toEqual([null, "unsupported"]);
  });

  test("a closed window is 0 bytes, not unknown", () => {
    expect(metricsOf("rwnd_limited").metrics).toMatchObject({
      tcp_snd_wnd: 0,
      tcp_limited_by: "receiver",
      tcp_rwnd_limited_pct: 96.302,
    });
  });

  test("what this host could not send, and what was stopped, is in no denominator", () => {
    const error = (errno: string, local: boolean): Attempt => ({
      ...attempt(null),
      dialled: { kind: "error", errno, local, ms: 1 },
    });
    const own = ["EMFILE", "ENETUNREACH", "EPERM", "EACCES"].map((errno) => error(errno, true));
    const stopped: Attempt = { ...attempt(null), dialled: { kind: "stopped", ms: 1 } };
    const reading = { port: 443, sending: undefined, sender: undefined, missing: undefined, silence: "no_route" } as const;
    const mixed = tcpMetrics({ ...reading, attempts: [attempt(null), ...own, stopped, error("EHOSTUNREACH", false)] });
    expect(mixed.metrics).toMatchObject({ tcp_attempts: 2, tcp_connected: 1, tcp_failed_pct: 50 });
    const { metrics, reasons } = tcpMetrics({ ...reading, attempts: own });
    expect(metrics).toMatchObject({ tcp_attempts: null, tcp_connected: null, tcp_failed_pct: null });
    expect(reasons).toMatchObject({ tcp_attempts: "no_route", tcp_failed_pct: "no_route" });
  });

  test.each([
    ["EMFILE", "host_overloaded"],
    ["ENETUNREACH", "no_route"],
    ["EPERM", "no_permission"],
  ])("%s of this host's own kernel: %s", (errno, reason) => {
    const peer = { address: "192.0.2.1", family: 4, port: 443 } as const;
    const failure = connectFailure({ kind: "error", errno, local: true, ms: 0 }, peer);
    expect(failure).toMatchObject({ reason, error: { source: "agent" } });
  });

  test("SYNs of a connect that got no answer are counted, and give no round trip", () => {
    const silent: Attempt = { ...attempt(infoOf("syn_sent")), dialled: { kind: "timeout", ms: 3000 } };
    const sheet = tcpMetrics({
      port: 443,
      attempts: [silent],
      sending: undefined,
      sender: undefined,
      missing: undefined,
      silence: "timeout",
    });
    expect(sheet.metrics).toMatchObject({
      tcp_syn_retrans: 3,
      tcp_retrans_segs: 3,
      tcp_connect_ms: null,
      tcp_min_rtt_ms: null,
      tcp_mss: null,
    });
    expect(sheet.metrics).toMatchObject({ tcp_attempts: 1, tcp_connected: 0, tcp_failed_pct: 100, tcp_error: "ETIMEDOUT" });
    expect(sheet.reasons.tcp_min_rtt_ms).toBe("timeout");
  });
});
