// The contract itself: catalogue, destinations, ping's counts, problem codes, and the OpenAPI document made from it.
import { describe, expect, test } from "vitest";
import { checkHost, ipVersion } from "#contract/destination";
import { isMetricName, METRIC_NAMES, METRICS, metricDefinition, metricsOf, REASONS } from "#contract/metrics";
import { PROBLEMS, type ProblemCode, problem, problemSchema } from "#contract/problem";
import { checkTest, TEST_TYPE_NAMES, TEST_TYPES, testType } from "#contract/test-types/index";
import { type PingParams, pingCount } from "#contract/test-types/ping";
import { Asker, byText } from "./edge.ts";

describe("metrics", () => {
  test("names are snake_case, with a family and a label of their own", () => {
    for (const name of METRIC_NAMES) expect(name).toMatch(/^[a-z][a-z0-9]*(_[a-z0-9]+)+$/);
    expect(METRIC_NAMES.length).toBeGreaterThan(50);
  });

  test("a unit in the name is the unit of the definition", () => {
    const units: [RegExp, string][] = [
      [/_ms$/, "ms"],
      [/_(pct|percent)$/, "%"],
      [/_mbps$/, "Mbit/s"],
      [/_bytes$/, "bytes"],
      [/_bytes_sec$/, "bytes/s"],
      [/_s$/, "s"],
    ];
    for (const name of METRIC_NAMES) {
      for (const [ending, unit] of units) if (ending.test(name)) expect([name, METRICS[name].unit]).toEqual([name, unit]);
    }
  });

  test("acceptance finds the names it reads", () => {
    const read =
      "ping_sent ping_received ping_dup ping_out_of_order ping_loss_pct ping_rtt_min ping_rtt_median ping_rtt_p95 ping_rtt_max " +
      "ping_ipdv_mean ping_loss_burst_max cpu_percent memory_percent memory_available fs_used_pct if_rx_bytes if_tx_bytes uptime_s " +
      "udp_sent udp_received udp_loss_up_pct udp_loss_down_pct udp_rtt_median udp_jitter_rfc3550_up udp_jitter_rfc3550_down " +
      "clock_offset_est_ms clock_offset_err_ms udp_owd_up_ms bw_down_mbps bw_up_mbps bw_single_down_mbps bw_bytes rtt_idle_ms " +
      "rtt_loaded_down_p95 bloat_down_ms bloat_grade voip_mos_est voip_r_factor qos_bleached_at_hop ecn_capable ecn_blocked";
    expect(read.split(" ").filter((name) => !isMetricName(name))).toEqual([]);
    for (const name of ["constructor", "__proto__", "toString", ""]) expect(isMetricName(name)).toBe(false);
  });

  test("each test type yields metrics of the catalogue, every one of its own source, and shows some of its own", () => {
    for (const name of TEST_TYPE_NAMES) {
      const type = testType(name);
      expect(type.metrics.length).toBeGreaterThan(0);
      expect(type.metrics).toEqual(expect.arrayContaining(metricsOf(name)));
      expect(metricsOf(name)).toEqual(expect.arrayContaining([...type.headline]));
      // HTTP tells of the certificate, a traceroute with a DSCP of what became of it; nothing else borrows.
      const borrowed = type.metrics.map((metric) => metricDefinition(metric).source).filter((source) => source !== name);
      const lent: Partial<Record<string, string[]>> = { http: ["tls"], traceroute: ["qos"] };
      expect([name, [...new Set(borrowed)]]).toEqual([name, lent[name] ?? []]);
    }
  });

  test("reasons are those of the contract", () => {
    const named =
      "unsupported no_permission tool_missing timeout dns_fail no_route refused not_applicable too_few_samples host_overloaded";
    expect(named.split(" ").filter((code) => !(REASONS as readonly string[]).includes(code))).toEqual([]);
  });
});

describe("destinations", () => {
  test.each<[string, string, 0 | 4 | 6]>([
    ["example.com", "example.com", 0],
    ["EXAMPLE.Com.", "example.com", 0],
    ["localhost", "localhost", 0],
    ["a_b.example", "a_b.example", 0],
    ["bücher.example", "xn--bcher-kva.example", 0],
    ["例え.テスト", "xn--r8jz45g.xn--zckzah", 0],
    [" 10.0.0.1 ", "10.0.0.1", 4],
    ["127.0.0.1", "127.0.0.1", 4],
    ["169.254.1.1", "169.254.1.1", 4],
    ["2001:db8::1", "2001:db8::1", 6],
    ["::1", "::1", 6],
    ["fe80::1%eth0", "fe80::1%eth0", 6],
    ["1.example", "1.example", 0],
    [`${"a".repeat(63)}.example`, `${"a".repeat(63)}.example`, 0],
  ])("%j is %s", (text, host, version) => {
    expect(checkHost(text)).toEqual({ ok: true, host, version });
  });

  test.each([
    ["-h", /begins with '-'/],
    ["$(id)", /characters that no host name has/],
    ["a b", /spaces/],
    ["127.1", /mistyped IP/],
    ["0x7f.1", /mistyped IP/],
    ["1.2.3.0x4", /mistyped IP/],
    ["http://a", /without scheme/],
    ["224.0.0.1", /multicast/],
    ["0.0.0.0", /names no host/],
    ["255.255.255.255", /broadcast/],
    ["169.254.169.254", /metadata/],
    ["ff02::1", /multicast/],
    ["::", /unspecified/],
    ["::ffff:10.0.0.1", /write the IPv4/],
    ["::FFFF:a9fe:a9fe", /write the IPv4/],
    ["2001:db8::1%eth0", /zone/],
    ["a".repeat(64), /label/],
    ["-a.b", /begins with '-'/],
    ["a.-b", /label/],
    ["a\u202eb", /control/],
    ["a\u3002b\u2215c", /characters|host name/],
  ])("%j is refused, and it says why", (text, why) => {
    const checked = checkHost(text);
    expect(checked.ok ? "let in" : checked.message).toMatch(why);
  });

  test("addresses are known by their canonical notation only", () => {
    const versions = ["1.2.3.4", "1.2.3", "01.2.3.4", "256.1.1.1", "::1", "1::2::3", "fe80::1%eth0", "x"].map(ipVersion);
    expect(versions).toEqual([4, 0, 0, 0, 6, 0, 6, 0]);
  });
});

describe("ping", () => {
  const params = (change: Partial<PingParams> = {}): PingParams => TEST_TYPES.ping.params.parse(change);

  test.each<[number | undefined, Partial<PingParams>, number]>([
    [undefined, {}, 20],
    [60, {}, 20],
    [10, {}, 20],
    [5, {}, 20],
    [3, {}, 15],
    [1, {}, 5],
    [1, { interval: 1 }, 1],
    [1, { interval: 2 }, 1],
    [10, { interval: 1 }, 10],
    [1, { count: 100 }, 100],
  ])("every %s s with %o sends %d", (interval_s, change, count) => {
    expect(pingCount(params(change), interval_s)).toBe(count);
  });

  test("a count that does not fit its interval is refused", () => {
    const long = checkTest("ping", "127.0.0.1", { count: 100, interval: 0.2 }, 10);
    expect(long.ok ? [] : long.errors.map(({ path }) => path)).toEqual(["params.count"]);
    expect(checkTest("ping", "127.0.0.1", { count: 50, interval: 0.2 }, 10).ok).toBe(true);
  });

  test("a version that is not the destination's is refused", () => {
    const wrong = checkTest("ping", "::1", { ip_version: 4 });
    expect(wrong.ok ? [] : wrong.errors.map(({ path }) => path)).toEqual(["params.ip_version"]);
    expect(checkTest("ping", "example.com", { ip_version: 6, packet_size: 65_527 }).ok).toBe(true);
  });
});

test("every problem code is a client's or a server's error with a title, in the shape of RFC 9457", () => {
  for (const code of Object.keys(PROBLEMS) as ProblemCode[]) {
    const said = problemSchema.strict().parse(problem(code, "What happened."));
    expect(said.status).toBeGreaterThanOrEqual(400);
    expect(said.title.length).toBeGreaterThan(3);
  }
});

test("the OpenAPI document lists every operation of the contract that exists, with what it answers", async () => {
  type Operation = { responses: Record<string, unknown>; parameters?: { in: string; name: string }[] };
  const document = await new Asker().get<{ openapi: string; paths: Record<string, Record<string, Operation>> }>(
    "/api/openapi.json",
  );
  expect(document.openapi).toMatch(/^3\.1/);
  const wanted: Record<string, string> = {
    "/session": "get post delete",
    "/setup": "get post",
    "/clients": "get",
    "/clients/{id}": "get patch delete",
    "/tests": "get post",
    "/tests/{id}": "get patch delete",
    "/tests/{id}/run": "post",
    "/tests/{id}/pause": "post",
    "/tests/{id}/resume": "post",
    "/tests/{id}/clients": "put",
    "/results": "get",
    "/results/{id}": "get",
    "/series": "get",
    "/metrics": "get",
    "/fleet": "get",
    "/users": "get post",
    "/users/{id}": "get patch delete",
    "/tokens": "get post",
    "/tokens/{id}": "delete",
    "/config": "get patch",
    "/audit": "get",
  };
  for (const [path, methods] of Object.entries(wanted)) {
    expect([path, Object.keys(document.paths[path] ?? {}).sort(byText)]).toEqual([path, methods.split(" ").sort(byText)]);
  }
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      expect([path, method, Object.keys(operation.responses).some((status) => /^2\d\d$/.test(status))]).toEqual([
        path,
        method,
        true,
      ]);
      for (const name of path.matchAll(/\{(\w+)\}/g)) {
        expect([path, (operation.parameters ?? []).map((one) => `${one.in} ${one.name}`)]).toEqual([
          path,
          expect.arrayContaining([`path ${name[1]}`]),
        ]);
      }
    }
  }
  expect((await new Asker().send("GET", "/healthz")).headers.get("content-type")).toContain("application/json");
});
