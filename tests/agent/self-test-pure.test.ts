// The self-test's readings and judgements that need no network.
import { describe, expect, test } from "vitest";
import { METRIC_NAMES, METRICS } from "#contract/metrics";
import { isUnmeasured, type Measurement, measurementSchema } from "#contract/result";
import { neighbourAge } from "../../agent/self-test-shots.ts";
import { CutOffSpans } from "../../agent/self-test-spans.ts";
import { edgeEndpoint, parseNameservers, parseRoutes4, parseRoutes6 } from "../../agent/self-test-targets.ts";
import { cutOffResult, isSuspect, isTelling } from "../../agent/self-test-verdict.ts";

describe("next hops", () => {
  const HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";

  test("of IPv4 are read in the byte order of /proc/net/route; a tunnel, a rejecting route and one that is down name none", () => {
    const text = [
      HEAD,
      "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0",
      "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0",
      "tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0",
      "eth1\t00000000\t0200000A\t0002\t0\t0\t0\t00000000\t0\t0\t0",
      "eth1\t00000000\t0300000A\t0203\t0\t0\t0\t00000000\t0\t0\t0",
      "tun0\t00000000\t0400000A\t0003\t0\t0\t0\t00000080\t0\t0\t0",
      "eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
    ].join("\n");
    expect(parseRoutes4(text)).toEqual([
      { device: "eth0", address: "10.0.0.1", metric: 100 },
      { device: "wlan0", address: "192.168.1.1", metric: 600 },
    ]);
  });

  test("of IPv6 are read from /proc/net/ipv6_route; link-local ones carry their zone", () => {
    const none = "0".repeat(32);
    const line = (to: string, bits: string, via: string, flags: string, device: string) =>
      `${to} ${bits} ${none} 00 ${via} 00000400 00000003 00000000 ${flags} ${device.padStart(8)}`;
    const text = [
      line(none, "00", "fe80000000000000000000000000cafe", "00000003", "eth0"),
      line(none, "00", "20010db8000000000000000000000001", "00450003", "eth1"),
      line(none, "00", none, "00200200", "lo"),
      line("20010db8000000000000000000000000", "40", none, "00000001", "eth1"),
    ].join("\n");
    expect(parseRoutes6(text)).toEqual([
      { device: "eth0", address: "fe80::cafe%eth0", metric: 0x400 },
      { device: "eth1", address: "2001:db8::1", metric: 0x400 },
    ]);
  });

  test("garbage names none", () => {
    for (const text of [
      "",
      "\n\n",
      "eth0 00000000",
      `${HEAD}\neth0\t00000000\tzzzzzzzz\t0003\t0\t0\t0\t00000000`,
      "\0".repeat(500),
    ]) {
      expect([...parseRoutes4(text), ...parseRoutes6(text)]).toEqual([]);
    }
  });
});

test("name servers are read as addresses only", () => {
  const text = "# nameserver 9.9.9.9\nnameserver 192.0.2.1\n nameserver\t2001:db8::53 \nnameserver evil.test\nsearch a b\n";
  expect(parseNameservers(text).map(({ address }) => address)).toEqual(["192.0.2.1", "2001:db8::53"]);
});

test.each([
  ["10.0.0.1 dev eth0 lladdr 02:00:00:00:00:01 ref 1 used 12/3/4probes 1 REACHABLE \n", 3],
  ["fe80::1 lladdr 02:00:00:00:00:01 router used 0/0/0 probes 4 REACHABLE\n", 0],
  ["10.0.0.1 dev eth0 lladdr 02:00:00:00:00:01 used 12/3/4 probes 1 STALE\n", undefined],
  ["10.0.0.1 dev eth0 lladdr 02:00:00:00:00:01 used 0/0/0 probes 0 PERMANENT\n", undefined],
  ["10.0.0.1 dev eth0  used 0/0/0 probes 6 FAILED\n", undefined],
  ["", undefined],
])("a neighbour's age is that of one the kernel heard itself: %j", (text, age) => {
  expect(neighbourAge(text)).toBe(age);
});

describe("where the agent's own connection goes", () => {
  test.each([
    ["https://swarm.example", {}, "swarm.example", 443, false],
    ["http://[2001:db8::1]:8787/base", {}, "2001:db8::1", 8787, false],
    ["https://swarm.example", { HTTPS_PROXY: "http://proxy.example:3128" }, "proxy.example", 3128, true],
    ["https://swarm.example", { https_proxy: "http://user:word@10.0.0.9" }, "10.0.0.9", 80, true],
    ["https://swarm.example", { HTTP_PROXY: "http://proxy.example:3128" }, "swarm.example", 443, false],
    ["https://swarm.example", { HTTPS_PROXY: "http://p:1", NO_PROXY: "*" }, "swarm.example", 443, false],
    ["https://swarm.example", { HTTPS_PROXY: "http://p:1", NO_PROXY: "other, .example" }, "swarm.example", 443, false],
    ["https://swarm.example", { HTTPS_PROXY: "http://p:1", NO_PROXY: "swarm.example:8443" }, "p", 1, true],
    ["https://swarm.example", { HTTPS_PROXY: "http://p:1", NO_PROXY: "arm.example" }, "p", 1, true],
    ["https://swarm.example", { HTTPS_PROXY: "nonsense" }, "swarm.example", 443, false],
  ])("%s with %j", (server, env, host, port, proxy) => {
    expect(edgeEndpoint(server, env)).toEqual({ host, port, proxy });
  });
});

describe("spans", () => {
  test("are touched by what overlaps them, and count only what lies within", () => {
    const spans = new CutOffSpans();
    spans.begin(1000);
    spans.begin(5000);
    expect(spans.open).toEqual({ since: 1000, until: null });
    expect([spans.touching(0, 999), spans.touching(0, 1000), spans.touching(9000, 9500)]).toEqual([
      undefined,
      { since: 1000, until: null },
      { since: 1000, until: null },
    ]);
    expect(spans.within(0, 3000)).toBe(2000);
    expect(spans.end(4000)).toEqual({ since: 1000, until: 4000 });
    expect(spans.end(4500)).toBeUndefined();
    expect([spans.open, spans.touching(4001, 5000)]).toEqual([undefined, undefined]);
    spans.begin(3000);
    spans.end(6000);
    expect(spans.within(0, 10_000)).toBe(5000);
    expect(spans.within(5000, 5500)).toBe(500);
  });

  test("long gone are forgotten", () => {
    const spans = new CutOffSpans();
    for (let hour = 0; hour < 300; hour += 1) {
      spans.begin(hour * 3_600_001);
      spans.end(hour * 3_600_001 + 10);
    }
    expect(spans.touching(0, 100)).toBeUndefined();
    expect(spans.touching(299 * 3_600_001, 299 * 3_600_001)).toBeDefined();
  });
});

/** A result with every metric of its type. */
function resultOf(type: Measurement["type"], change: Partial<Measurement> = {}): Measurement {
  const own = METRIC_NAMES.filter((name) => METRICS[name].source === type);
  const some = { number: 7, boolean: true, string: "word" } as const;
  const metrics = Object.fromEntries(own.map((name) => [name, some[METRICS[name].kind]]));
  return {
    ...{ type, destination: "d", address: "192.0.2.1", started_at: 1, duration_ms: 1000, status: "failed", metrics },
    error: { code: "no_reply", source: "network", message: "m" },
    ...{ reasons: {}, detail: { hops: [1] }, flags: [] },
    ...change,
  };
}

const TYPES = ["ping", "traceroute", "mtu", "tcp", "udp", "bandwidth", "voip", "qos", "dns", "tls", "http"];

describe("a result of a cut line", () => {
  test.each(TYPES)("a failed %s loses every figure and says so", (type) => {
    const before = resultOf(type);
    const after = cutOffResult(before, "why");
    expect(new Set(Object.values(after.metrics))).toEqual(new Set([null]));
    expect(Object.keys(after.metrics)).toEqual(Object.keys(before.metrics));
    expect(Object.keys(after.reasons)).toEqual(Object.keys(before.metrics));
    expect(new Set(Object.values(after.reasons))).toEqual(new Set(["no_route"]));
    expect(after).toMatchObject({ error: { code: "cut_off", source: "agent", message: "why" }, flags: ["cut_off"] });
    expect(after.detail).toEqual({ before: { status: "failed", error: before.error, metrics: before.metrics } });
    expect(isUnmeasured(after)).toBe(true);
    expect(measurementSchema.safeParse(after).success).toBe(true);
  });

  test.each(TYPES)("a partial %s keeps round trips that came back, if it is made of them", (type) => {
    const after = cutOffResult(resultOf(type, { status: "partial", error: null }), "why");
    const kept = ["ping", "udp", "tcp", "dns"].includes(type);
    expect(after.status).toBe(kept ? "partial" : "failed");
    expect(after.error?.code).toBe("cut_off");
    expect(Object.values(after.metrics).some((value) => value !== null)).toBe(kept);
    const losses = Object.entries(after.metrics).filter(([name]) => /loss|lost|received|failed_pct|burst/.test(name));
    expect(losses.filter(([, value]) => value !== null)).toEqual([]);
  });

  test("keeps its other flags, and who it was measured against", () => {
    const after = cutOffResult(
      resultOf("traceroute", { flags: ["own_load"], detail: { peer: { client_id: "c" }, hops: [] } }),
      "why",
    );
    expect(after.flags).toEqual(["cut_off", "own_load"]);
    expect(after.detail.peer).toEqual({ client_id: "c" });
  });
});

describe("which results a cut line could explain", () => {
  const error = (code: string, source: string) => ({ error: { code, source, message: "" } }) as Partial<Measurement>;
  test.each([
    [error("no_reply", "network"), true],
    [error("dns_timeout", "resolver"), true],
    [error("refused", "target"), true],
    [error("no_route", "agent"), true],
    [error("deadline", "agent"), true],
    [error("not_consented", "agent"), false],
    [error("skipped", "agent"), false],
    [error("aborted", "agent"), false],
    [error("tool_missing", "tool"), false],
    [{ status: "partial", error: null }, true],
    [{ status: "ok", error: null, metrics: { ping_loss_pct: 0 } }, false],
    [{ status: "ok", error: null, metrics: { ping_loss_pct: 5 } }, true],
    [{ status: "ok", error: null, metrics: { udp_loss_up_pct: 0, udp_loss_down_pct: 1 } }, true],
  ] as [Partial<Measurement>, boolean][])("%j: %s", (change, suspect) => {
    expect(isSuspect(resultOf("ping", { metrics: {}, ...change }))).toBe(suspect);
  });

  test("only whole runs of types that hear the target itself show a way out", () => {
    const whole = { status: "ok", error: null, metrics: {} } as const;
    expect(isTelling(resultOf("tcp", whole))).toBe(true);
    expect(isTelling(resultOf("traceroute", whole))).toBe(false);
    expect(isTelling(resultOf("ping", { ...whole, metrics: { ping_loss_pct: 20 } }))).toBe(false);
    expect(isTelling(resultOf("ping", { ...whole, status: "partial" }))).toBe(false);
  });
});
