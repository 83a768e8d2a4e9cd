import { expect, test } from "vitest";
import { metricsOf } from "#contract/metrics";
import { TEST_TYPE_NAMES, testType } from "#contract/test-types/index";
import { stackOf } from "../../web/charts/stack.ts";
import { groupMetrics } from "../../web/groups.ts";
import { chainOf, daysText, daysTone, namesOf, whyInvalid } from "../../web/panels/certificate.ts";
import { resolversOf } from "../../web/panels/dns-answers.ts";
import { changesOf, changeText, flowsText, hopsOf } from "../../web/panels/hop-table.ts";
import { phasesOf, redirectsOf } from "../../web/panels/http-phases.ts";
import { mtuAxis, mtuVerdict, probesOf } from "../../web/panels/mtu-words.ts";
import { limitText, sentText } from "../../web/panels/tcp-words.ts";
import { runSentence } from "../../web/run-verdict.ts";
import { pointOfResult } from "../../web/state/points.ts";
import { result } from "./make.ts";

const withDetail = (detail: Record<string, unknown>) => result(1, { detail });

/** What a hostile or strange agent may send where a list belongs. */
const NONSENSE: readonly unknown[] = [undefined, null, 7, "<b>x</b>", {}, [], [null, 7, "x", [], {}], [{ ttl: "1" }]];

test.each(NONSENSE)("detail that is %j is no table, and no crash", (nonsense) => {
  const strange = withDetail({ hops: nonsense, flows: nonsense, changes: nonsense, chain: nonsense, redirects: nonsense });
  expect(hopsOf(strange)).toBeNull();
  expect(flowsText(strange)).toBeNull();
  expect(changesOf(strange).size).toBe(0);
  expect(Array.isArray(chainOf(strange)) && Array.isArray(redirectsOf(strange))).toBe(true);
  const more = withDetail({ resolvers: nonsense, probes: nonsense, sans: nonsense });
  expect(Array.isArray(resolversOf(more)) && Array.isArray(namesOf(more))).toBe(true);
  expect(probesOf(more)).toEqual([]);
});

const hop = (ttl: number, more: Record<string, unknown> = {}) => ({
  ...{ ttl, addrs: [`192.0.2.${ttl}`], sent: 6, received: 6, rtt_min: 1, rtt_median: 2, rtt_max: 3, loss_pct: 0, flags: [] },
  ...more,
});

test("hops come by distance, with names, networks and what stands out", () => {
  const hops = hopsOf(
    withDetail({
      hops: [
        hop(3, { addrs: [], received: 0, rtt_median: null, loss_pct: null, flags: ["silent"] }),
        hop(2, { loss_pct: null, flags: ["rate_limited_likely", "something_new"], icmp: ["!X"], mpls: ["L=24015"] }),
        hop(1, { addrs: ["192.0.2.1", "192.0.2.9"], names: ["gw.example", null], asns: [null, { asn: 64500, name: "Example" }] }),
      ],
    }),
  );
  expect(hops?.map(({ ttl, silent }) => [ttl, silent])).toEqual([
    [1, false],
    [2, false],
    [3, true],
  ]);
  expect(hops?.[0]?.addresses).toEqual([
    { address: "192.0.2.1", name: "gw.example", network: null },
    { address: "192.0.2.9", name: null, network: "AS64500 Example" },
  ]);
  expect(hops?.[1]?.notes).toEqual(["holds its answers back", "something new", "forbidden by a filter", "MPLS L=24015"]);
  // A router that limits its replies, and one that is silent, lose nothing.
  expect(hops?.map(({ lossPct }) => lossPct)).toEqual([0, null, null]);
});

test("a change names both ways; one hop may have several", () => {
  const changes = changesOf(
    withDetail({
      changes: [
        { ttl: 4, from: "192.0.2.1", to: "192.0.2.2", flows: [1] },
        { ttl: 4, from: null, to: "192.0.2.3", flows: [2] },
      ],
    }),
  );
  expect(changes.get(4)?.map(changeText)).toEqual([
    "now 192.0.2.2 instead of 192.0.2.1",
    "now 192.0.2.3, where the path ended before",
  ]);
});

test("flows are only compared where there are several", () => {
  const flows = [{ path: [] }, { path: [] }];
  expect(flowsText(result(1, { detail: { flows }, metrics: { path_flows: 1 } }))).toBe("2 flows take the same path");
  expect(flowsText(result(1, { detail: { flows }, metrics: { path_flows: 2 } }))).toBe("2 flows take 2 paths");
  expect(flowsText(result(1, { detail: { flows: [{ path: [] }] }, metrics: { path_flows: 1 } }))).toBeNull();
});

test("phases add up to the whole; what did not happen has no share", () => {
  const metrics = {
    http_dns_ms: 10,
    http_tcp_ms: 30,
    http_tls_ms: null,
    http_ttfb_ms: 50,
    http_download_ms: 10,
    http_redirects_ms: 0,
  };
  const phases = phasesOf({ metrics });
  expect(phases.map(({ name, ms, share }) => [name, ms, share])).toEqual([
    ["dns", 10, 10],
    ["tcp", 30, 30],
    ["tls", null, 0],
    ["wait", 50, 50],
    ["download", 10, 10],
  ]);
  expect(phasesOf({ metrics: {} }).every(({ ms, share }) => ms === null && share === 0)).toBe(true);
  const point = pointOfResult(result(1, { metrics }));
  const layers = [
    { phase: "dns", metric: "http_dns_ms" },
    { phase: "tls", metric: "http_tls_ms" },
    { phase: "wait", metric: "http_ttfb_ms" },
  ] as const;
  expect(stackOf(point, layers)).toEqual([
    { phase: "dns", low: 0, high: 10 },
    { phase: "wait", low: 10, high: 60 },
  ]);
});

test.each([
  [63, "ok", "63 days left"],
  [20, "warn", "20 days left"],
  [6, "bad", "6 days left"],
  [1, "bad", "1 day left"],
  [0, "bad", "expires within a day"],
  [-3, "bad", "expired 3 days ago"],
] as const)("%s days are %s: %s", (days, tone, text) => {
  expect(daysTone(days)).toBe(tone);
  expect(daysText(days)).toBe(text);
});

test("why a certificate is refused, in words; codes of tomorrow and names every object inherits too", () => {
  const why = (tls_error: string) => whyInvalid(result(1, { metrics: { tls_authorized: false, tls_error } }));
  expect(why("CERT_HAS_EXPIRED")).toBe("it has expired");
  expect(why("SOMETHING_NEW")).toBe("something new");
  expect(typeof why("__proto__")).toBe("string");
  expect(limitText("constructor")).toBeNull();
  expect(whyInvalid(result(1, { metrics: { tls_authorized: true } }))).toBeNull();
  expect(whyInvalid(result(1, { metrics: {} }))).toBeNull();
});

test("resolvers keep their order, with the error in words", () => {
  const error = { code: "dns_timeout", source: "network", message: "no answer within 2 s" };
  const resolvers = resolversOf(
    withDetail({
      resolvers: [
        {
          server: "192.0.2.53",
          transport: "udp",
          query_ms: 4,
          rcode: "NOERROR",
          answers: ["192.0.2.1"],
          ttl_min: 60,
          ad: true,
          error: null,
        },
        { server: "192.0.2.54", query_ms: null, rcode: null, answers: [], error },
      ],
    }),
  );
  expect(resolvers[0]).toMatchObject({ server: "192.0.2.53", answers: ["192.0.2.1"], ad: true, error: null });
  expect(resolvers[1]).toMatchObject({ transport: null, query_ms: null, error: error.message });
});

test("the path MTU in a sentence", () => {
  const say = (metrics: Record<string, number | string | boolean | null>) => mtuVerdict(result(1, { type: "mtu", metrics }));
  expect(say({ path_mtu: 1400, pmtu_limiting_hop: "192.0.2.1" }).text).toBe(
    "Packets of up to 1,400 B reach crm.example whole; the limit is at 192.0.2.1.",
  );
  expect(say({ path_mtu: 1400, pmtu_blackhole: true })).toMatchObject({ tone: "bad" });
  const proven = { path_mtu: null, pmtu_at_least: 9216 };
  expect(say(proven).text).toBe("Packets of 9,216 B reach crm.example whole; whether larger ones do is not known.");
  const top = result(1, { type: "mtu", metrics: proven, detail: { tried_up_to: 9216 } });
  expect(mtuVerdict(top).text).toBe("Packets of up to 9,216 B, the largest tried, reach crm.example whole.");
});

test("an axis of sizes shows a step of a few bytes", () => {
  const points = [1500, 1492].map((path_mtu) => pointOfResult(result(1, { metrics: { path_mtu } })));
  expect(mtuAxis(points)).toEqual({ min: 1300, max: 1600 });
  expect(mtuAxis([])).toEqual({});
});

test("a size got through when anything of it did", () => {
  const probes = probesOf(
    withDetail({
      probes: [
        { size: 1500, sent: 3, received: 0, icmp: { from: "192.0.2.1", mtu: 1400 } },
        { size: 1400, sent: 3, received: 2 },
        { size: 1450, sent: 0, received: 0 },
      ],
    }),
  );
  expect(probes).toEqual([
    { size: 1400, passed: true, text: "2 of 3 answered" },
    { size: 1500, passed: false, text: "0 of 3 answered; 192.0.2.1 refuses, it says 1400 B" },
  ]);
});

test("bytes sent are told with what became of them", () => {
  const say = (send: unknown) => sentText(withDetail({ send }));
  expect(say({ bytes: 200_000, acked: 200_000, complete: true, took_ms: 12 })).toBe(
    "200,000 B were sent and acknowledged in 12 ms.",
  );
  expect(say({ bytes: 4096, acked: null, complete: false, took_ms: 1 })).toBe(
    "Of the 4,096 B to send, not all were acknowledged.",
  );
  for (const nonsense of NONSENSE) expect(say(nonsense)).toBeNull();
});

const SENTENCES: readonly (readonly [string, Record<string, number | string | boolean>, string, string])[] = [
  [
    "traceroute",
    { path_reached: true, path_hop_count: 12, path_rtt_median: 31.2 },
    "ok",
    "crm.example is 12 hops away, 31.2 ms.",
  ],
  [
    "traceroute",
    { path_reached: true, path_hop_count: 1, path_changed: true },
    "warn",
    "crm.example is 1 hop away; the path changed since the run before.",
  ],
  [
    "traceroute",
    { path_reached: false, path_first_silent_ttl: 7 },
    "warn",
    "crm.example was not reached: no answer from hop 7 on.",
  ],
  ["tcp", { tcp_connect_ms: 12, tcp_port: 443, tcp_failed_pct: 0 }, "ok", "crm.example takes connections to port 443 in 12 ms."],
  [
    "tcp",
    { tcp_connect_ms: 12, tcp_failed_pct: 20 },
    "bad",
    "crm.example takes connections in 12 ms, but 20 % of the connects failed.",
  ],
  [
    "dns",
    { dns_rcode: "NOERROR", dns_answers: 2, dns_server: "192.0.2.53", dns_query_ms: 4 },
    "ok",
    "192.0.2.53 answers 2 records for crm.example in 4 ms.",
  ],
  [
    "dns",
    { dns_rcode: "NOERROR", dns_answers: 1, dns_resolver_diff: true },
    "warn",
    "The answer is 1 record for crm.example. The resolvers do not agree.",
  ],
  [
    "tls",
    { tls_version: "TLSv1.3", tls_handshake_ms: 40, cert_days_left: 12, tls_authorized: true },
    "warn",
    "crm.example agrees on TLS 1.3 in 40 ms. Its certificate is valid: 12 days left.",
  ],
  ["http", { http_status: 200, http_total_ms: 231 }, "ok", "crm.example answers 200 in 231 ms."],
  [
    "http",
    { http_status: 200, http_total_ms: 20, http_redirects: 1, http_redirects_ms: 5 },
    "ok",
    "crm.example answers 200 in 25 ms, after 1 redirect.",
  ],
  [
    "http",
    { http_status: 200, http_total_ms: 20, tls_authorized: false, tls_error: "CERT_HAS_EXPIRED", cert_days_left: -3 },
    "ok",
    "crm.example answers 200 in 20 ms. Its certificate is not valid, which this test accepts: it has expired.",
  ],
  [
    "http",
    { http_status: 200, http_total_ms: 20, tls_authorized: true, cert_days_left: 5 },
    "bad",
    "crm.example answers 200 in 20 ms. Its certificate is valid: 5 days left.",
  ],
  ["a type of tomorrow", {}, "ok", "crm.example answers."],
];

test.each(SENTENCES)("%s with %j is %s: %s", (type, metrics, tone, text) =>
  expect(runSentence(result(1, { type, metrics }))).toEqual({ tone, text }),
);

test("a failure is told in the agent's words, whatever the type", () => {
  const error = { code: "refused", source: "target", message: "192.0.2.10:443 refuses connections" } as const;
  for (const type of TEST_TYPE_NAMES) {
    expect(runSentence(result(1, { type, status: "failed", error }))).toEqual({
      tone: "bad",
      text: "192.0.2.10:443 refuses connections. Cause: the destination's side.",
    });
  }
});

test("every metric of every type has a group", () => {
  for (const type of TEST_TYPE_NAMES) {
    const groups = groupMetrics(testType(type).metrics).map(({ title }) => title);
    expect(groups).not.toContain("Other");
  }
  expect(groupMetrics(metricsOf("host")).map(({ title }) => title)).not.toContain("Kernel's view of the connection");
});
