// The dns type against resolvers of our own on the loopback interface: outcomes, times, records, comparison, arguments.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { metricsOf } from "#contract/metrics";
import type { Measurement } from "#contract/result";
import { dns, reverseName } from "#contract/test-types/dns";
import { checkTest, testType } from "#contract/test-types/index";
import { readParameters } from "../../agent/cli-probe.ts";
import { vetoOf } from "../../agent/consent.ts";
import { UsageError } from "../../agent/exit.ts";
import type { ResolverDetail } from "../../agent/probes/dns-report.ts";
import { PROBES } from "../../agent/probes/index.ts";
import { runTest } from "../../agent/runner.ts";
import { cli } from "./helpers/cli.ts";
import { a, answers, type Behaviour, closedPort, closeResolvers, resolver, response, silent } from "./helpers/dns-server.ts";
import { calm } from "./helpers/flags.ts";

afterEach(closeResolvers);

const probe = (destination: string, params: Record<string, unknown>, stop = new AbortController().signal): Promise<Measurement> =>
  runTest({ type: "dns", destination, params }, stop);

const resolversOf = (result: Measurement): ResolverDetail[] => result.detail.resolvers as ResolverDetail[];

function everyMetricExplained(result: Pick<Measurement, "metrics" | "reasons">): void {
  expect(new Set(Object.keys(result.metrics))).toEqual(new Set(metricsOf("dns")));
  const reasons: Record<string, string | undefined> = result.reasons;
  for (const [name, value] of Object.entries(result.metrics)) {
    if (value === null) expect(reasons[name], name).toBeTypeOf("string");
    else expect(reasons[name], name).toBeUndefined();
  }
}

describe("one resolver over UDP", () => {
  test("by the program: one result, every metric or its reason, the time of the query", async () => {
    const server = await resolver(answers("192.0.2.1", "192.0.2.2"));
    const args = [
      "probe",
      "dns",
      "www.example.com",
      "--resolver",
      server.address,
      "--count",
      "20",
      "--interval",
      "0.1",
      "--json",
    ];
    const { code, stdout, stderr } = await cli(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const result = JSON.parse(stdout) as Measurement;
    expect(result).toMatchObject({ type: "dns", status: "ok", address: "127.0.0.1", error: null });
    expect(result.metrics).toMatchObject({
      dns_rcode: "NOERROR",
      dns_answers: 2,
      dns_ttl_min: 300,
      dns_transport: "udp",
      dns_server: server.address,
      dns_sent: 20,
      dns_received: 20,
      dns_tc: false,
      dns_ra: true,
      dns_aa: false,
      dns_ad: false,
      dns_connect_ms: null,
      dns_resolver_diff: null,
    });
    expect(Number(result.metrics.dns_query_ms)).toBeGreaterThan(0);
    expect(Number(result.metrics.dns_query_ms)).toBeLessThan(20);
    expect(Number(result.metrics.dns_query_p95_ms)).toBeGreaterThanOrEqual(Number(result.metrics.dns_query_ms));
    expect(server.asked).toHaveLength(20);
    everyMetricExplained(result);
  });

  test("without --json a table with units, without colours", async () => {
    const server = await resolver(answers("192.0.2.1"));
    const { stdout } = await cli(["probe", "dns", "www.example.com", "--resolver", server.address]);
    expect(stdout).toMatch(/resolver +over +outcome +query +connect +TTL +answers/);
    expect(stdout).toMatch(/udp +NOERROR +[\d.]+ ms +– +300 s +192\.0\.2\.1/);
    expect(stdout).not.toContain("\u001b");
  });

  test("the resolver's thinking is part of the query time, nothing else is", async () => {
    const server = await resolver((asked) => {
      setTimeout(() => answers("192.0.2.1")(asked, 0), 100);
    });
    const { metrics } = await probe("slow.example", { resolver: server.address });
    expect(Number(metrics.dns_query_ms)).toBeGreaterThan(99);
    expect(Number(metrics.dns_query_ms)).toBeLessThan(120);
  });

  test("every query reaches the resolver: no cache and no hosts file answers in its place", async () => {
    const server = await resolver(answers("192.0.2.7"));
    for (let i = 0; i < 2; i++) {
      const result = await probe("localhost", { resolver: server.address });
      expect(resolversOf(result)[0]?.answers).toEqual(["192.0.2.7"]);
    }
    expect(server.asked.map(({ name }) => name)).toEqual(["localhost", "localhost"]);
    expect(new Set(server.asked.map(({ query }) => query.id)).size).toBe(2);
  });

  test("a name with IPv6 addresses only is measured like any other, over IPv6 as well", async () => {
    const server = await resolver(answers("2001:db8::5"), undefined, "::1");
    const result = await probe("six.example.", { resolver: server.address, record_type: "AAAA" });
    expect(result).toMatchObject({ status: "ok", address: "::1" });
    expect(resolversOf(result)[0]).toMatchObject({ server: server.address, answers: ["2001:db8::5"] });
    expect(server.asked[0]).toMatchObject({ name: "six.example", type: "AAAA" });
  });

  test("recursion, DO and AD are asked for as told; AD, AA and EDE are read", async () => {
    const ede = {
      type: "OPT",
      name: ".",
      udpPayloadSize: 1232,
      flags: 0,
      options: [{ code: 15, data: Buffer.from("\0\u0012Blocked\u001b") }],
    };
    const server = await resolver((asked) =>
      asked.send(response(asked, { answers: [a(asked.name, "192.0.2.1")], flags: 0x0420, additionals: [ede] })),
    );
    const result = await probe("secure.example", { resolver: server.address, recursion: false, dnssec: true });
    expect(result.metrics).toMatchObject({ dns_ad: true, dns_aa: true, dns_ede: 18 });
    expect(resolversOf(result)[0]?.ede).toEqual({ code: 18, text: "Blocked" });
    const { query } = server.asked[0] ?? {};
    const opt = query?.additionals?.find((each) => each.type === "OPT");
    expect(query).toMatchObject({ flag_rd: false, flag_ad: true });
    expect(opt).toMatchObject({ udpPayloadSize: 1232, flag_do: true });
  });

  test("an address is looked up in the reverse tree", async () => {
    const server = await resolver((asked) =>
      asked.send(response(asked, { answers: [{ name: asked.name, type: "PTR", ttl: 60, data: "Host.Example" }] })),
    );
    const params = { resolver: server.address, record_type: "PTR" };
    expect(resolversOf(await probe("192.0.2.10", params))[0]?.answers).toEqual(["host.example"]);
    await probe("2001:db8::567:89ab", params);
    // The second is the example of RFC 3596 2.5, with its documentation prefix.
    expect(server.asked.map(({ name }) => name)).toEqual([
      "10.2.0.192.in-addr.arpa",
      "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
    ]);
    expect(reverseName("4321:0:1:2:3:4:567:89ab")).toBe(
      "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa",
    );
  });

  test("records in the form of zone files, aliases followed, other names' records left out", async () => {
    const records: Record<string, object[]> = {
      A: [
        { name: "www.example", type: "CNAME", ttl: 30, data: "web.example" },
        { name: "web.example", type: "A", ttl: 600, data: "192.0.2.1" },
        { name: "elsewhere.example", type: "A", ttl: 1, data: "192.0.2.66" },
      ],
      MX: [{ name: "www.example", type: "MX", ttl: 9, data: { preference: 10, exchange: "Mail.Example" } }],
      TXT: [{ name: "www.example", type: "TXT", ttl: 9, data: ['say "hi"', "\u001b[31mred"] }],
      SRV: [{ name: "www.example", type: "SRV", ttl: 9, data: { priority: 1, weight: 2, port: 443, target: "s.example" } }],
      SOA: [
        {
          name: "www.example",
          type: "SOA",
          ttl: 9,
          data: { mname: "ns.example", rname: "admin.example", serial: 7, refresh: 1, retry: 2, expire: 3, minimum: 4 },
        },
      ],
      CAA: [{ name: "www.example", type: "CAA", ttl: 9, data: { flags: 0, tag: "issue", value: "ca.example" } }],
      HTTPS: [{ name: "www.example", type: "UNKNOWN_65", ttl: 9, data: Buffer.from("000100", "hex") }],
    };
    const server = await resolver((asked) => {
      const type = asked.type === "UNKNOWN_65" ? "HTTPS" : asked.type;
      asked.send(response(asked, { answers: records[type] ?? [] }));
    });
    const seen: Record<string, readonly string[] | undefined> = {};
    for (const record_type of Object.keys(records)) {
      const result = await probe("www.example", { resolver: server.address, record_type });
      seen[record_type] = resolversOf(result)[0]?.answers;
      if (record_type === "A") expect(result.metrics).toMatchObject({ dns_answers: 1, dns_ttl_min: 600 });
    }
    expect(seen).toEqual({
      A: ["192.0.2.1"],
      MX: ["10 mail.example"],
      TXT: ['"say \\"hi\\"" "\\027[31mred"'],
      SRV: ["1 2 443 s.example"],
      SOA: ["ns.example admin.example 7 1 2 3 4"],
      CAA: ['0 issue "ca.example"'],
      HTTPS: ["\\# 3 000100"],
    });
  });
});

describe("outcomes", () => {
  const soa = { name: "example", type: "SOA", ttl: 900, data: { mname: "a", rname: "b", minimum: 60 } };
  const cases = [
    ["NODATA", { authorities: [soa] }, "dns_no_data", "target"],
    ["NXDOMAIN", { rcode: 3, authorities: [soa] }, "dns_not_found", "target"],
    ["SERVFAIL", { rcode: 2 }, "dns_failed", "resolver"],
    ["REFUSED", { rcode: 5 }, "dns_refused", "resolver"],
    ["FORMERR", { rcode: 1, questions: [] }, "dns_failed", "resolver"],
    ["NOTIMP", { rcode: 4 }, "dns_failed", "resolver"],
  ] as const;
  test.each(cases)("%s is an answer with a time, and whose fault it is", async (rcode, content, code, source) => {
    const server = await resolver((asked) => asked.send(response(asked, content)));
    const result = await probe("host.example", { resolver: server.address });
    expect(result).toMatchObject({ status: "failed", error: { code, source } });
    expect(result.metrics).toMatchObject({
      dns_rcode: rcode,
      dns_answers: 0,
      dns_answers_hash: null,
      dns_ttl_min: null,
      dns_received: 1,
    });
    expect(result.metrics.dns_query_ms).toBeTypeOf("number");
    if ("authorities" in content) expect(resolversOf(result)[0]?.negative_ttl).toBe(60);
    everyMetricExplained(result);
    const wanted = await probe("host.example", { resolver: server.address, expect_rcode: rcode });
    expect(wanted).toMatchObject({ status: "ok", error: null });
  });

  test("TIMEOUT: nothing is invented, and the run ends on its deadline", async () => {
    const server = await resolver(silent);
    const result = await probe("host.example", { resolver: server.address, timeout: 0.6 });
    expect(result).toMatchObject({ status: "failed", error: { code: "dns_timeout", source: "network" } });
    expect(result.metrics).toMatchObject({
      dns_rcode: "TIMEOUT",
      dns_query_ms: null,
      dns_answers: null,
      dns_sent: 1,
      dns_received: 0,
    });
    expect(result.reasons).toMatchObject({ dns_query_ms: "timeout", dns_answers: "timeout" });
    expect(result.duration_ms).toBeGreaterThan(590);
    expect(result.duration_ms).toBeLessThan(660);
    everyMetricExplained(result);
  });

  test("UNREACHABLE at once when the port is closed, over UDP and TCP", async () => {
    const port = await closedPort();
    for (const transport of ["udp", "tcp"]) {
      const result = await probe("host.example", { resolver: `127.0.0.1:${port}`, transport });
      expect(result).toMatchObject({ status: "failed", error: { code: "refused", source: "resolver" } });
      expect(result.metrics).toMatchObject({ dns_rcode: "UNREACHABLE", dns_query_ms: null });
      expect(result.reasons.dns_query_ms).toBe("refused");
      expect(result.duration_ms).toBeLessThan(500);
      everyMetricExplained(result);
    }
  });

  test("a lost datagram is a time-out with one try and an answer with two", async () => {
    const drop = (index: number) => index % 2 === 0;
    const server = await resolver((asked, index) => (drop(index) ? undefined : answers("192.0.2.1")(asked, index)));
    const params = { resolver: server.address, timeout: 0.3 };
    expect((await probe("host.example", params)).metrics.dns_rcode).toBe("TIMEOUT");
    server.asked.length = 0;
    const result = await probe("host.example", { ...params, tries: 2 });
    expect(calm(result)).toMatchObject({ status: "ok", flags: ["retried"], metrics: { dns_rcode: "NOERROR", dns_received: 1 } });
    expect(resolversOf(result)[0]?.tries).toBe(2);
    expect(Number(result.metrics.dns_query_ms)).toBeLessThan(100);
  });

  test("some of several queries lost is partial, and no time is made up for them", async () => {
    const server = await resolver((asked, index) => (index === 1 ? undefined : answers("192.0.2.1")(asked, index)));
    const result = await probe("host.example", { resolver: server.address, timeout: 0.3, count: 3, interval: 0.1 });
    expect(result).toMatchObject({ status: "partial", error: { code: "dns_timeout" } });
    expect(result.metrics).toMatchObject({ dns_sent: 3, dns_received: 2, dns_rcode: "NOERROR" });
    const [report] = resolversOf(result);
    expect(report?.outcomes).toEqual({ NOERROR: 2, TIMEOUT: 1 });
    expect(report?.times[1]).toBeNull();
  });

  test("what is expected decides: another outcome, or a record that is missing", async () => {
    const server = await resolver((asked) =>
      asked.send(
        response(asked, { answers: [{ name: asked.name, type: "MX", ttl: 5, data: { preference: 5, exchange: "mx.example" } }] }),
      ),
    );
    const params = { resolver: server.address, record_type: "MX" };
    expect((await probe("host.example", { ...params, expect_answer: "MX.example." })).status).toBe("ok");
    expect((await probe("host.example", { ...params, expect_answer: "5 mx.example" })).status).toBe("ok");
    const other = await probe("host.example", { ...params, expect_answer: "evil.example" });
    expect(other).toMatchObject({ status: "failed", error: { code: "assertion_failed", source: "target" } });
    expect(other.error?.message).toContain("5 mx.example");
    const blocked = await probe("host.example", { ...params, expect_rcode: "NXDOMAIN" });
    expect(blocked).toMatchObject({ status: "failed", error: { code: "assertion_failed" }, metrics: { dns_rcode: "NOERROR" } });
    const six = await resolver(answers("2001:db8::1"));
    const spelled = { resolver: six.address, record_type: "AAAA", expect_answer: "2001:0DB8:0:0::1" };
    expect((await probe("host.example", spelled)).status).toBe("ok");
  });
});

describe("truncation", () => {
  const cut: Behaviour = (asked) => asked.send(response(asked, { flags: 0x0200 }));

  test("is asked again over TCP, and both times are told", async () => {
    const server = await resolver(cut, answers("192.0.2.1"));
    const result = await probe("big.example", { resolver: server.address });
    expect(calm(result)).toMatchObject({ status: "ok", flags: ["truncated"] });
    expect(result.metrics).toMatchObject({ dns_tc: true, dns_transport: "tcp", dns_answers: 1 });
    expect(server.asked.map(({ transport }) => transport)).toEqual(["udp", "tcp"]);
    const [report] = resolversOf(result);
    expect(report?.truncated?.udp_ms).toBeGreaterThan(0);
    expect(Number(result.metrics.dns_query_ms)).toBeGreaterThan(Number(report?.truncated?.udp_ms));
    expect(Number(result.metrics.dns_connect_ms)).toBeGreaterThan(0);
    everyMetricExplained(result);
  });

  test.each([
    ["TCP that hangs", silent, "TIMEOUT", "dns_timeout"],
    ["no TCP at all", undefined, "UNREACHABLE", "refused"],
  ])("with %s keeps what UDP said and ends in time", async (_name, tcp, rcode, code) => {
    const server = await resolver(cut, tcp);
    const result = await probe("big.example", { resolver: server.address, timeout: 0.5 });
    expect(result).toMatchObject({ status: "failed", error: { code } });
    expect(result.error?.message).toContain("truncated over UDP");
    expect(result.metrics).toMatchObject({ dns_tc: true, dns_rcode: rcode, dns_answers: null });
    expect(result.duration_ms).toBeLessThan(560);
    everyMetricExplained(result);
  });
});

describe("several resolvers", () => {
  test("that agree, in whatever order and with whatever time to live", async () => {
    const one = await resolver((asked) =>
      asked.send(response(asked, { answers: [a(asked.name, "192.0.2.1"), a(asked.name, "192.0.2.2")] })),
    );
    const two = await resolver((asked) => {
      const reply = response(asked, { answers: [a(asked.name, "192.0.2.2", 7), a(asked.name, "192.0.2.1", 7)] });
      setTimeout(() => asked.send(reply), 60);
    });
    const result = await probe("host.example", { resolver: `${two.address}, ${one.address}` });
    expect(calm(result)).toMatchObject({ status: "ok", flags: [] });
    expect(result.metrics).toMatchObject({
      dns_resolver_diff: false,
      dns_fastest_resolver: one.address,
      dns_server: two.address,
      dns_ttl_min: 7,
    });
    const [first, second] = resolversOf(result);
    expect(first?.answers_hash).toBe(second?.answers_hash);
    // Both were asked at once.
    expect(result.duration_ms).toBeLessThan(160);
  });

  test("that differ are partial", async () => {
    const [one, two] = [await resolver(answers("192.0.2.1")), await resolver(answers("192.0.2.99"))];
    const result = await probe("host.example", { resolver: `${one.address},${two.address}` });
    expect(calm(result)).toMatchObject({ status: "partial", flags: ["resolvers_differ"], metrics: { dns_resolver_diff: true } });
    const text = JSON.stringify(PROBES.dns.view?.(result));
    expect(text).toContain("disagree");
  });

  test("of which one is dead: the others are measured, and it is named", async () => {
    const [good, dead] = [await resolver(answers("192.0.2.1")), await resolver(silent)];
    const result = await probe("host.example", { resolver: `${good.address},${dead.address}`, timeout: 0.3 });
    expect(result).toMatchObject({
      status: "partial",
      error: { code: "dns_timeout" },
      metrics: { dns_rcode: "NOERROR", dns_resolver_diff: null },
    });
    expect(result.reasons.dns_resolver_diff).toBe("timeout");
    expect(result.error?.message).toContain(dead.address);
    expect(resolversOf(result).map(({ rcode }) => rcode)).toEqual(["NOERROR", "TIMEOUT"]);
    const swapped = await probe("host.example", { resolver: `${dead.address},${good.address}`, timeout: 0.3 });
    expect(swapped).toMatchObject({ status: "failed", metrics: { dns_rcode: "TIMEOUT", dns_query_ms: null } });
  });
});

test.each([
  ["one query", { resolver: "192.0.2.1" }, 1],
  ["queries that can overlap", { resolver: "192.0.2.1", count: 4, interval: 1, timeout: 2 }, 2],
  ["queries that are over before the next", { resolver: "192.0.2.1", count: 4, interval: 3, timeout: 2 }, 1],
  ["second tries", { resolver: "192.0.2.1", count: 4, interval: 3, timeout: 2, tries: 2 }, 2],
  ["several resolvers", { resolver: "192.0.2.1,192.0.2.2,192.0.2.3", count: 3, interval: 0.5, timeout: 2 }, 9],
  ["more than a host has places", { resolver: "192.0.2.1,192.0.2.2", count: 20, interval: 0.1, timeout: 2 }, 16],
  ["one connection for all queries", { resolver: "192.0.2.1", transport: "tls", count: 20, interval: 0.1, timeout: 2 }, 1],
  ["both at once", { resolver: "192.0.2.1,https://192.0.2.2/dns-query", count: 3, interval: 0.5, timeout: 2 }, 4],
])("takes places for the sockets it opens at once: %s", (_name, params, sockets) => {
  expect(PROBES.dns.places(dns.params.parse(params))).toEqual({ sockets });
});

describe("a resolver given by name", () => {
  test("is resolved apart from the query time, and keeps its name", async () => {
    const server = await resolver(answers("192.0.2.1"));
    const result = await probe("host.example", { resolver: `localhost:${server.port}` });
    expect(result).toMatchObject({ status: "ok", address: "127.0.0.1", metrics: { dns_server: `localhost:${server.port}` } });
  });

  test("that does not exist is no time-out of a resolver", async () => {
    const result = await probe("host.example", { resolver: "resolver.invalid" });
    expect(result).toMatchObject({
      status: "failed",
      address: null,
      error: { source: "resolver" },
      metrics: { dns_rcode: null },
    });
    expect(result.error?.message).toContain("the resolver's own name");
    expect(result.reasons.dns_query_ms).toBe("dns_fail");
    everyMetricExplained(result);
  });
});

test("a dead resolver does not delay other runs", async () => {
  const [good, dead] = [await resolver(answers("192.0.2.1")), await resolver(silent)];
  await probe("warm.example", { resolver: good.address });
  const loop = monitorEventLoopDelay({ resolution: 5 });
  loop.enable();
  const start = performance.now();
  const others = Array.from({ length: 8 }, () => probe("dead.example", { resolver: dead.address, timeout: 1 }));
  const alive = await probe("live.example", { resolver: good.address });
  const took = performance.now() - start;
  expect(alive.status).toBe("ok");
  // The dead ones take a second; a host with no processor time to spare is looked at for 0.2 s longer.
  expect(took).toBeLessThan(500);
  expect(Number(alive.metrics.dns_query_ms)).toBeLessThan(50);
  for (const each of await Promise.all(others)) expect(each.metrics.dns_rcode).toBe("TIMEOUT");
  loop.disable();
  expect(loop.percentile(90) / 1e6).toBeLessThan(50);
});

test("a stopped run says so at once", async () => {
  const server = await resolver(silent);
  const stop = new AbortController();
  const running = probe("host.example", { resolver: server.address, timeout: 20, tries: 5 }, stop.signal);
  const start = performance.now();
  setTimeout(() => stop.abort(), 100);
  const result = await running;
  expect(result.error).toMatchObject({ code: "aborted", source: "agent" });
  expect(performance.now() - start).toBeLessThan(400);
  everyMetricExplained(result);
});

test("the deadline covers every try", async () => {
  const server = await resolver(silent);
  const result = await probe("host.example", { resolver: server.address, timeout: 0.25, tries: 4 });
  expect(server.asked).toHaveLength(4);
  expect(result.duration_ms).toBeGreaterThan(990);
  expect(result.duration_ms).toBeLessThan(1100);
  expect(result.error?.message).toContain("4 tries");
});

test("the operating system's own look-up is a metric of its own, when asked for", async () => {
  const server = await resolver(answers("192.0.2.1"));
  const result = await probe("localhost", { resolver: server.address, system: true });
  expect(Number(result.metrics.dns_os_ms)).toBeGreaterThan(0);
  expect(result.detail.system).toMatchObject({ addresses: ["127.0.0.1"], error: null });
});

test("the worst answer a result can hold stays far below its limit", async () => {
  const texts = Array.from({ length: 100 }, (_, i) => Buffer.alloc(255, i % 2 === 0 ? 1 : 34));
  const flood = Array.from({ length: 2 }, () => ({ name: "x.example", type: "TXT", ttl: 1, data: texts }));
  const udp: Behaviour = (asked) => asked.send(response(asked, { flags: 0x0200 }));
  const servers = await Promise.all(
    Array.from({ length: 4 }, () => resolver(udp, (asked) => asked.send(response(asked, { answers: flood })))),
  );
  const result = await probe("x.example", { resolver: servers.map(({ address }) => address).join(","), record_type: "TXT" });
  expect(result.status).toBe("ok");
  expect(JSON.stringify(result).length).toBeLessThan(48 * 1024);
});

describe("wrong arguments exit 2 and name the option, and nothing is sent", () => {
  const trap = createSocket("udp4");
  let heard = 0;
  trap.on("message", () => {
    heard += 1;
  });
  trap.bind(0, "127.0.0.1");
  const ready = once(trap, "listening");
  afterAll(() => {
    trap.close();
  });
  const refused: [string, string, Record<string, unknown>, string][] = [
    ["empty name", "", {}, "destination"],
    ["option", "-x", {}, "destination"],
    ["URL", "https://example.com/", {}, "destination"],
    ["address without PTR", "192.0.2.1", {}, "destination"],
    ["address for AAAA", "2001:db8::1", { recordType: "AAAA" }, "destination"],
    ["label too long", `${"a".repeat(64)}.example`, {}, "destination"],
    ["control character", "a\u0000b.example", {}, "destination"],
    ["empty label", "a..example", {}, "destination"],
    ["record type", "host.example", { recordType: "AXFR" }, "--record-type"],
    ["transport", "host.example", { transport: "quic" }, "--transport"],
    ["time-out 0", "host.example", { timeout: "0" }, "--timeout"],
    ["time-out too long", "host.example", { timeout: "61" }, "--timeout"],
    ["tries", "host.example", { tries: "6" }, "--tries"],
    ["count", "host.example", { count: "21" }, "--count"],
    ["interval", "host.example", { interval: "0.01" }, "--interval"],
    ["port", "host.example", { port: "65536" }, "--port"],
    ["outcome", "host.example", { expectRcode: "MAYBE" }, "--expect-rcode"],
    ["resolver with a scheme", "host.example", { resolver: "ftp://127.0.0.1/" }, "--resolver"],
    ["DoH without TLS", "host.example", { resolver: "http://127.0.0.1/dns-query" }, "--resolver"],
    ["DoH with a password", "host.example", { resolver: "https://a:b@127.0.0.1/dns-query" }, "--resolver"],
    ["resolver port", "host.example", { resolver: "127.0.0.1:99999" }, "--resolver"],
    ["octal resolver", "host.example", { resolver: "0177.0.0.1" }, "--resolver"],
    ["multicast resolver", "host.example", { resolver: "224.0.0.251" }, "--resolver"],
    ["metadata as resolver", "host.example", { resolver: "169.254.169.254" }, "--resolver"],
    ["IPv6 metadata as resolver", "host.example", { resolver: "[fd00:0ec2:0::254]:53" }, "--resolver"],
    ["five resolvers", "host.example", { resolver: "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5" }, "--resolver"],
    ["same resolver twice", "host.example", { resolver: "10.0.0.1,10.0.0.1:53" }, "--resolver"],
    ["empty entry", "host.example", { resolver: "10.0.0.1,," }, "--resolver"],
    ["server name without TLS", "host.example", { servername: "dns.example" }, "--servername"],
    ["server name that is an address", "host.example", { servername: "10.0.0.1", transport: "tls" }, "--servername"],
    ["system for MX", "host.example", { system: true, recordType: "MX" }, "--system"],
  ];

  test.each(refused)("%s", (_name, destination, given, named) => {
    expect(() => readParameters("dns", destination, given)).toThrow(UsageError);
    expect(() => readParameters("dns", destination, given)).toThrow(named);
  });

  test("by the program itself", async () => {
    await ready;
    const { port } = trap.address();
    const good = ["probe", "dns", "host.example", "--resolver", `127.0.0.1:${port}`];
    const runs = await Promise.all([
      cli([...good, "--timeout", "0"]),
      cli([...good, "--record-type", "ANYTHING"]),
      cli(["probe", "dns", "192.0.2.1", "--resolver", `127.0.0.1:${port}`]),
      cli(["probe", "dns", "host.example", "--resolver", `127.0.0.1:${port},224.0.0.1`]),
    ]);
    const named = ["--timeout", "--record-type", "destination", "--resolver"];
    runs.forEach(({ code, stdout, stderr }, i) => {
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain(named[i]);
    });
    expect(heard).toBe(0);
  });

  test("more queries than the test's interval holds", () => {
    const checked = checkTest("dns", "host.example", { count: 20, interval: 1 }, 10);
    expect(checked).toMatchObject({ ok: false, errors: [{ path: "params.count" }] });
  });

  test("names with underscores, a final dot, the root, and international ones are fine", async () => {
    const server = await resolver(answers("192.0.2.1"));
    for (const name of ["_dmarc.example.com", "host.example.", ".", "bücher.example", "_sip._tcp.example"]) {
      expect((await probe(name, { resolver: server.address })).status, name).toBe("ok");
    }
    expect(server.asked.map(({ name }) => name)).toEqual([
      "_dmarc.example.com",
      "host.example",
      ".",
      "xn--bcher-kva.example",
      "_sip._tcp.example",
    ]);
  });
});

test("the host's owner decides about resolvers, and about names where the system's resolver is asked", async () => {
  const server = await resolver(answers("192.0.2.1"));
  const consent = vetoOf({ destinations: ["127.0.0.0/8", "*.inside.example"] });
  const order = (destination: string, params: Record<string, unknown>) =>
    runTest({ type: "dns", destination, params }, new AbortController().signal, { veto: consent });
  expect((await order("any.example", { resolver: server.address })).status).toBe("ok");
  expect((await order("any.example", { resolver: `${server.address},192.0.2.53` })).error?.code).toBe("not_consented");
  expect((await order("any.example", { resolver: "https://dns.example/dns-query" })).error?.code).toBe("not_consented");
  expect((await order("any.example", {})).error?.code).toBe("not_consented");
  expect(server.asked).toHaveLength(1);
  const params = testType("dns").params.parse({ resolver: "system" });
  expect(testType("dns").contacts("www.inside.example", params)).toEqual(["www.inside.example"]);
});
