// What is decided without touching anything: how paths differ, where a fault lies, what may be asked from the edge.
import { describe, expect, test } from "vitest";
import type { EdgeCheck, Evidence, SeenPath, SiblingEvidence, WitnessHop } from "#contract/events";
import { checkTest, isTestTypeName } from "#contract/test-types/index";
import { comparePaths } from "../../worker/analysis/path-diff.ts";
import { isCloudflare, isPublicAddress, mayBePublic } from "../../worker/analysis/public-address.ts";
import { opinionOf, summaryOf, verdictOf } from "../../worker/analysis/witness.ts";
import { aimKey, type EdgeAim, edgeAim, pathHost, pathJob, quickCheck } from "../../worker/analysis/witness-plan.ts";
import { bounded, judge } from "../../worker/analysis/witness-reading.ts";
import { checkFromEdge } from "../../worker/objects/edge-check.ts";

type Shorthand = string | null | readonly [addrs: string[], rtt: number];

/** A path by its hops: an address, several with a round trip, or null for a silent one. It reached its last address, unless told. */
function seen(hops: readonly Shorthand[], change: Partial<SeenPath> = {}): SeenPath {
  const made = hops.map((hop, at): WitnessHop => {
    const [addrs, rtt] = hop === null ? [[], null] : typeof hop === "string" ? [[hop], null] : [hop[0], hop[1]];
    return {
      ttl: at + 1,
      addrs: [...addrs],
      sent: 2,
      received: addrs.length > 0 ? 2 : 0,
      rtt_median: rtt,
      loss_pct: null,
      asn: null,
    };
  });
  return {
    result_id: null,
    at: "2026-01-01T00:00:00.000Z",
    destination: "target",
    address: made.at(-1)?.addrs[0] ?? null,
    method: "udp",
    status: "ok",
    error: null,
    reached: true,
    rtt_median: null,
    hops: made,
    ...change,
  };
}
const silence = { code: "no_reply", source: "network", message: "nothing answered" } as const;
const broken = (hops: readonly Shorthand[]): SeenPath =>
  seen(hops, { reached: false, status: "partial", error: silence, address: "z" });

describe("two paths", () => {
  test("that are alike but for silent hops are the same", () => {
    expect(comparePaths(seen(["a", "b", null, "z"]), seen(["a", null, "c", "z"]))).toMatchObject({
      outcome: "same",
      first_difference_ttl: null,
      changed: [],
      lost: [],
      rtt_steps: [],
    });
  });

  test("differ from the first hop on where both have an answer and share none", () => {
    const diff = comparePaths(seen(["a", "b", null, "d", "z"]), seen(["a", "x", "y", "w", "z"]));
    expect(diff).toMatchObject({ outcome: "changed", first_difference_ttl: 2 });
    expect(diff.changed).toEqual([
      { ttl: 2, before: ["b"], now: ["x"] },
      { ttl: 4, before: ["d"], now: ["w"] },
    ]);
    expect(diff.says).toBe("From hop 2 on another way: x instead of b.");
  });

  test("that share one of several parallel next hops, or meet again behind them, are the same", () => {
    expect(comparePaths(seen(["a", [["b", "c"], 1], "z"]), seen(["a", "c", "z"])).outcome).toBe("same");
    expect(comparePaths(seen(["a", [["b", "c"], 1], "e", "z"]), seen(["a", "d", "e", "z"])).outcome).toBe("same");
    expect(comparePaths(seen(["a", [["b", "c"], 1], "e", "z"]), seen(["a", "d", "f", "z"])).outcome).toBe("changed");
  });

  test("one of which stops: the last hop that answers, and everything lost behind it", () => {
    expect(comparePaths(seen(["a", "b", null, "d", "z"]), broken(["a", "b", null, null, null, null]))).toMatchObject({
      outcome: "stops",
      stops_after_ttl: 2,
      stops_after_addr: "b",
      lost: [
        { ttl: 4, addrs: ["d"] },
        { ttl: 5, addrs: ["z"] },
      ],
      says: "The path stops after hop 2 (b).",
    });
  });

  test("one of which answers nowhere: it stops before the first hop", () => {
    for (const error of [silence, { code: "deadline", source: "tool", message: "time was over" } as const]) {
      const nothing = seen([], { reached: null, status: "failed", error });
      expect(comparePaths(seen(["a", "z"]), nothing)).toMatchObject({
        outcome: "stops",
        stops_after_ttl: 0,
        stops_after_addr: null,
      });
    }
  });

  test("to a target that never answered are compared as far as they went", () => {
    expect(comparePaths(broken(["a", "b", null]), broken(["a", "b", null, null]))).toMatchObject({
      outcome: "same",
      stops_after_ttl: null,
    });
    expect(comparePaths(broken(["a", "b", null]), broken(["a", null, null]))).toMatchObject({
      outcome: "stops",
      stops_after_ttl: 1,
    });
  });

  test("one of which goes in circles: it stops where it first comes back", () => {
    expect(comparePaths(seen(["a", "b", "c", "z"]), broken(["a", "b", "a", "b", "a", "b"]))).toMatchObject({
      outcome: "stops",
      stops_after_ttl: 2,
      stops_after_addr: "b",
      lost: [{ ttl: 3, addrs: ["c"] }, { ttl: 4 }],
    });
  });

  test.each<[string, SeenPath | null, SeenPath | null]>([
    ["no path now", seen(["a", "z"]), null],
    ["no earlier path", null, seen(["a", "z"])],
    [
      "no tool",
      seen(["a", "z"]),
      seen([], { reached: null, status: "failed", error: { code: "tool_missing", source: "tool", message: "no traceroute" } }),
    ],
    [
      "a queue that was too long",
      seen(["a", "z"]),
      seen([], { reached: null, status: "failed", error: { code: "deadline", source: "agent", message: "waited" } }),
    ],
  ])("of which one is missing (%s) cannot be compared", (_, before, now) => {
    expect(comparePaths(before, now)).toMatchObject({ outcome: "unknown", changed: [], lost: [] });
  });

  test("without an earlier one still say where the path stops", () => {
    expect(comparePaths(null, broken(["a", null]))).toMatchObject({
      outcome: "unknown",
      stops_after_ttl: 1,
      stops_after_addr: "a",
    });
  });

  test("show where the round trip grew for good, and no router that is only slow to answer", () => {
    const before = seen([
      [["a"], 1],
      [["b"], 5],
      [["c"], 10],
      [["z"], 12],
    ]);
    const now = seen([
      [["a"], 1.2],
      [["b"], 80],
      [["c"], 41],
      [["z"], 44],
    ]);
    expect(comparePaths(before, now).rtt_steps).toEqual([]);
    const slower = seen([
      [["a"], 1.2],
      [["b"], 5.5],
      [["c"], 41],
      [["z"], 44],
    ]);
    expect(comparePaths(before, slower)).toMatchObject({
      outcome: "same",
      rtt_steps: [{ ttl: 3, before_ms: 10, now_ms: 41, step_ms: 30.5 }],
      says: "The round trip grew by 30.5 ms at hop 3.",
    });
  });

  test("to a name that leads elsewhere now say so", () => {
    expect(comparePaths(seen(["a", "y"]), seen(["a", "z"])).says).toContain("The name led to y then and to z now.");
  });
});

const edge = (state: EdgeCheck["state"], change: Partial<EdgeCheck> = {}): EdgeCheck => ({
  state,
  method: "connect",
  target: "t:443",
  at: null,
  duration_ms: null,
  alive: state === "ok" ? true : null,
  http_status: null,
  says: "",
  ...change,
});
const other = (
  opinion: SiblingEvidence["opinion"],
  same_site = false,
  change: Partial<SiblingEvidence> = {},
): SiblingEvidence => ({
  client_id: "c",
  name: "n",
  site: same_site ? "here" : "there",
  same_site,
  runs_test: true,
  state: "answered",
  opinion,
  path: null,
  same_test: null,
  check: null,
  ...change,
});
const FAILURE: Evidence["failure"] = {
  result_id: null,
  at: "2026-01-01T00:00:10.000Z",
  type: "ping",
  destination: "t",
  address: null,
  status: "failed",
  error: { code: "no_reply", source: "target", message: "no reply" },
  loss_pct: 100,
};
const evidence = (change: Partial<Evidence> = {}): Evidence => ({
  failure: FAILURE,
  edge: edge("not_possible"),
  path: null,
  path_state: "silent",
  last_good: null,
  diff: null,
  siblings: [],
  shared_from: null,
  ...change,
});
const HOST: EdgeAim = { kind: "connect", host: "t", ports: [443, 80], own_port: false };
const PORT: EdgeAim = { kind: "connect", host: "t", ports: [443], own_port: true };

describe("the verdict", () => {
  const near = broken(["a", null]);
  const far = broken(["a", "b", "c", "d", null]);
  test.each<[string, string, Partial<Evidence>, EdgeAim]>([
    ["access", "all others are fine", { edge: edge("ok"), siblings: [other("fine"), other("fine", true)] }, HOST],
    ["access", "one other is fine", { siblings: [other("fine"), other("unknown")] }, HOST],
    ["access", "others are fine though the edge is not", { edge: edge("failed"), siblings: [other("fine")] }, PORT],
    ["access", "the edge alone is fine and the path stops at once", { edge: edge("ok"), path: near }, HOST],
    ["path", "the edge alone is fine and the path stops far away", { edge: edge("ok"), path: far }, HOST],
    ["unclear", "the edge alone is fine and the path is whole", { edge: edge("ok"), path: seen(["a", "z"]) }, HOST],
    [
      "path",
      "others pass the router behind which this one's packets end",
      { path: far, siblings: [other("fine", false, { path: seen(["x", "d", "z"]) })] },
      HOST,
    ],
    ["site", "clients of the site fail, others do not", { edge: edge("ok"), siblings: [other("failed", true)] }, HOST],
    ["site", "clients of the site fail and nobody outside could look", { siblings: [other("failed", true)] }, HOST],
    [
      "path",
      "it is alive and clients elsewhere fail too",
      { edge: edge("ok"), siblings: [other("failed"), other("failed", true)] },
      HOST,
    ],
    ["path", "the site's other client is fine, one elsewhere is not", { siblings: [other("fine", true), other("failed")] }, HOST],
    ["target", "everybody fails", { edge: edge("failed"), siblings: [other("failed"), other("failed", true)] }, PORT],
    ["target", "a client elsewhere fails and nobody is fine", { siblings: [other("failed"), other("unknown")] }, HOST],
    ["target", "the edge's connection to the very port fails", { edge: edge("failed") }, PORT],
    ["unclear", "no TCP answer of a host that is only pinged", { edge: edge("failed") }, HOST],
    ["unclear", "a web server takes the edge's connection and says nothing", { edge: edge("failed", { alive: true }) }, PORT],
    [
      "access",
      "a web server answers the edge wrongly and the client not at all, whose path stops at once",
      { edge: edge("failed", { alive: true, http_status: 503 }), path: near },
      PORT,
    ],
    ["unclear", "nobody could look", {}, HOST],
    ["unclear", "siblings were silent", { siblings: [other("unknown"), other("unknown")] }, HOST],
  ])("is %s when %s", (verdict, _, change, aim) => {
    expect(verdictOf(evidence(change), aim)).toBe(verdict);
  });

  test("is told in a sentence that names no other client", () => {
    const all = { edge: edge("ok"), siblings: [other("fine"), other("fine")], diff: comparePaths(seen(["a", "z"]), near) };
    expect(summaryOf("access", evidence(all), HOST, "crm.example", "Oslo")).toBe(
      "crm.example fails for this client alone: it is reached by the server and 2 other clients. The path stops after hop 1 (a).",
    );
    const site = evidence({ edge: edge("ok"), siblings: [other("failed", true)] });
    expect(summaryOf("site", site, HOST, "crm.example", "Oslo")).toBe(
      "No client of Oslo that looked reaches crm.example; it is reached by the server elsewhere.",
    );
    const service = evidence({
      failure: { ...FAILURE, type: "http", error: { code: "http_status", source: "target", message: "" } },
    });
    const dead = { ...service, siblings: [other("failed")] };
    expect(summaryOf("target", dead, PORT, "crm.example", "")).toBe(
      "Nobody who looked gets a good answer from crm.example: neither this client nor 1 other client.",
    );
  });
});

describe("a witness", () => {
  const said = (opinion: SiblingEvidence["opinion"], type = "ping", at = "2026-01-01T00:00:12.000Z") => ({
    result_id: null,
    type,
    at,
    status: opinion === "fine" ? ("ok" as const) : ("failed" as const),
    error: null,
    opinion,
    latency_ms: null,
  });
  const EARLIER = "2026-01-01T00:00:01.000Z";
  const service = { ...FAILURE, type: "http", error: { code: "http_status", source: "target", message: "500" } } as const;
  const reached = seen(["a", "z"]);
  test.each<[string, string, Partial<SiblingEvidence>, Partial<Evidence>]>([
    ["fine", "its path reaches a host that was not reached", { path: reached }, {}],
    ["unknown", "its path reaches the host of a service that answers wrongly", { path: reached }, { failure: service }],
    ["fine", "its own result since says so", { path: broken(["a"]), same_test: said("fine") }, {}],
    ["unknown", "its good result is older than the failure", { same_test: said("fine", "ping", EARLIER) }, {}],
    ["failed", "its newest result fails, however old", { same_test: said("failed", "ping", EARLIER), path: reached }, {}],
    ["failed", "its quick look of the same kind fails", { check: said("failed", "http"), path: reached }, { failure: service }],
    [
      "unknown",
      "a ping of a host that may not answer pings is lost",
      { check: said("failed") },
      { failure: { ...FAILURE, type: "tcp" } },
    ],
    [
      "failed",
      "a ping is lost of a host that was reached before",
      { check: said("failed") },
      { failure: { ...FAILURE, type: "tcp" }, last_good: reached },
    ],
    [
      "unknown",
      "its path was not seen",
      { path: seen([], { reached: null, status: "failed", error: null }) },
      { last_good: reached },
    ],
    ["unknown", "its agent could not look", { check: said("unknown") }, {}],
  ])("is %s when %s", (opinion, _, change, about) => {
    expect(opinionOf(other("unknown", false, change), evidence(about))).toBe(opinion);
  });
});

describe("a result", () => {
  const result = (change: object) => ({ status: "failed", error: null, metrics: {}, ...change }) as Parameters<typeof judge>[0];
  test("fails by target, network or resolver, or by half of its packets; not by the agent or its tool", () => {
    const by = (source: string) => judge(result({ error: { code: "no_reply", source, message: "" } }));
    expect(["target", "network", "resolver", "agent", "tool"].map(by)).toEqual([
      "failed",
      "failed",
      "failed",
      "unknown",
      "unknown",
    ]);
    const lossy = (ping_loss_pct: number, ping_sent: number) =>
      judge(result({ status: "ok", metrics: { ping_loss_pct, ping_sent } }));
    expect([lossy(50, 4), lossy(49, 100), lossy(100, 3), lossy(0, 20)]).toEqual(["failed", "fine", "fine", "fine"]);
    expect(judge(result({ status: "ok", metrics: { udp_loss_pct: 60, udp_sent: 500 } }))).toBe("failed");
  });
});

describe("what is asked about a test", () => {
  const aim = (type: string, destination: string, params: Record<string, unknown> = {}) => ({ type, destination, params });
  test.each([
    ["ping", "crm.example.com", {}, "crm.example.com", "connect crm.example.com 443 80"],
    ["http", "https://crm.example.com:8443/a?b", {}, "crm.example.com", "fetch https://crm.example.com:8443/a?b"],
    ["tcp", "[2001:db8::1]:25", {}, "2001:db8::1", "connect 2001:db8::1 25"],
    ["tcp", "crm.example.com", { port: 8080 }, "crm.example.com", "connect crm.example.com 8080"],
    ["tls", "crm.example.com", { port: 443 }, "crm.example.com", "fetch https://crm.example.com:443/"],
    ["tls", "192.0.2.1", {}, "192.0.2.1", "connect 192.0.2.1 443"],
    ["dns", "www.example.com", { resolver: "192.0.2.53" }, "192.0.2.53", "connect 192.0.2.53 53"],
    ["dns", "www.example.com", {}, undefined, "none"],
    ["udp", "192.0.2.1:8862", {}, "192.0.2.1", "connect 192.0.2.1 443 80"],
    ["bandwidth", "edge", {}, undefined, "none"],
    ["bandwidth", "http://192.0.2.1:81/x", {}, "192.0.2.1", "connect 192.0.2.1 81"],
    ["ping", "client:0123456789abcdef", {}, "client:0123456789abcdef", "none"],
    ["ping", "mesh", {}, undefined, "none"],
  ])("%s %s %j", (type, destination, params, host, expected) => {
    const one = edgeAim(aim(type, destination, params));
    const told =
      one.kind === "none" ? "none" : one.kind === "fetch" ? `fetch ${one.url}` : `connect ${aimKey(one, aim(type, destination))}`;
    expect([pathHost(aim(type, destination, params)), told]).toEqual([host, expected]);
  });

  test.each([
    ["ping", "crm.example.com", { ip_version: 6 }],
    ["tcp", "crm.example.com:25", { count: 100, send_bytes: 5000, timeout: 60 }],
    ["tls", "crm.example.com", { timeout: 60, check_versions: true }],
    ["dns", "www.example.com", { resolver: "192.0.2.53,192.0.2.54", count: 20, timeout: 60 }],
    ["http", "https://crm.example.com/", { timeout: 120 }],
    ["http", "https://crm.example.com/", { headers: "x-key: secret" }],
    ["mtu", "crm.example.com", {}],
  ])("of other clients about %s %s %j is valid, short and gives no header away", (type, destination, params) => {
    if (!isTestTypeName(type)) throw new Error(type);
    const given = checkTest(type, destination, params);
    if (!given.ok) throw new Error(JSON.stringify(given.errors));
    const about = aim(type, destination, given.params);
    for (const job of [quickCheck(about), pathJob(pathHost(about) ?? "", about.params)]) {
      if (job === undefined || !isTestTypeName(job.type)) throw new Error("nothing is asked");
      const checked = checkTest(job.type, job.destination, job.params);
      expect(checked.ok ? [] : checked.errors).toEqual([]);
      expect(JSON.stringify(job)).not.toContain("secret");
      expect(Number(job.params.timeout)).toBeLessThanOrEqual(6);
    }
  });
});

describe("the evidence of an event", () => {
  test("stays below 64 KiB however long paths are", () => {
    const long = "2001:db8:1234:5678:9abc:def0:1234:5678";
    const hops = Array.from({ length: 64 }, (): Shorthand => [[long, long, long, long], 123.456]);
    const path = seen(hops);
    const much = evidence({
      path,
      last_good: path,
      siblings: [1, 2, 3].map(() => other("fine", false, { path, name: "n".repeat(100), site: "s".repeat(100) })),
      diff: comparePaths(path, seen(hops.map((): Shorthand => [[`${long.slice(0, -1)}9`], 500]))),
    });
    expect(new TextEncoder().encode(JSON.stringify(much)).byteLength).toBeGreaterThan(64 * 1024);
    const fits = bounded(much);
    expect(new TextEncoder().encode(JSON.stringify(fits)).byteLength).toBeLessThan(64 * 1024);
    expect(fits.path?.hops.length).toBeGreaterThan(0);
  });
});

describe("the public internet", () => {
  test.each([
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12::1",
    "ff02::1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "100::1",
    "localhost",
    "router",
    "router.local",
    "crm.internal",
    "crm.lan",
    "printer.home.arpa",
    "x.test",
    "x.example",
    "hidden.onion",
    "metadata.google.internal",
    "1.0.0.127.in-addr.arpa",
    "",
  ])("does not hold %s", (host) => {
    expect(mayBePublic(host)).toBe(false);
  });

  test.each([
    "1.1.1.1",
    "8.8.8.8",
    "172.15.0.1",
    "172.32.0.1",
    "100.63.0.1",
    "100.128.0.1",
    "193.0.0.1",
    "2606:4700::1111",
    "2a00:1450::1",
    "example.com",
    "crm.example.org",
  ])("may hold %s", (host) => {
    expect(mayBePublic(host)).toBe(true);
  });

  test("has ranges of Cloudflare's, to which a Worker cannot connect", () => {
    const inside = ["1.1.1.1", "104.16.1.1", "104.27.255.255", "172.64.0.1", "2606:4700::1", "2a06:98c7::1"];
    const outside = ["8.8.8.8", "104.28.0.1", "172.63.255.255", "2606:4800::1", "2a06:98c8::1"];
    expect([inside.map(isCloudflare), outside.map(isCloudflare)]).toEqual([inside.map(() => true), outside.map(() => false)]);
    expect([...inside, ...outside].every(isPublicAddress)).toBe(true);
  });
});

describe("the edge at Cloudflare", () => {
  const connectTo = (host: string, ports: number[] = [443]): EdgeAim => ({ kind: "connect", host, ports, own_port: true });
  const fetchOf = (host: string): EdgeAim => ({ kind: "fetch", url: `http://${host}/`, host, port: 80, expect: null });
  /** What the public DNS would say. */
  const names: Record<string, string[] | undefined> = {
    "inside.example.com": ["10.0.0.1"],
    "half.example.com": ["93.184.215.14", "127.0.0.1"],
    "nowhere.example.com": [],
    "behind.example.com": ["104.16.0.1", "2606:4700::1"],
    "mail.example.com": ["93.184.215.14"],
  };
  const asked: string[] = [];
  const around = {
    local: false,
    own: "edge.example.com",
    lookup: async (name: string) => {
      asked.push(name);
      return names[name];
    },
  };

  test.each<[string, EdgeAim, string, string]>([
    [
      "a private address",
      connectTo("10.0.0.1"),
      "not_possible",
      "10.0.0.1 is not on the public internet, where the server stands.",
    ],
    [
      "a private URL",
      fetchOf("192.168.1.1"),
      "not_possible",
      "192.168.1.1 is not on the public internet, where the server stands.",
    ],
    [
      "a name without a dot",
      connectTo("router"),
      "not_possible",
      "router is not on the public internet, where the server stands.",
    ],
    ["a cloud's metadata", fetchOf("169.254.169.254"), "not_possible", "169.254.169.254 is never asked by the server."],
    [
      "metadata by name",
      fetchOf("metadata.google.internal"),
      "not_possible",
      "metadata.google.internal is never asked by the server.",
    ],
    [
      "metadata through a translator",
      connectTo("64:ff9b::a9fe:a9fe"),
      "not_possible",
      "64:ff9b::a9fe:a9fe is never asked by the server.",
    ],
    [
      "a name that leads inside",
      connectTo("inside.example.com"),
      "not_possible",
      "inside.example.com leads to an address that is not on the public internet.",
    ],
    [
      "a name of which one address leads inside",
      fetchOf("half.example.com"),
      "not_possible",
      "half.example.com leads to an address that is not on the public internet.",
    ],
    [
      "a name that only the office knows",
      connectTo("nowhere.example.com"),
      "not_possible",
      "The public DNS holds no address of nowhere.example.com.",
    ],
    [
      "a name while the DNS is away",
      connectTo("away.example.com"),
      "not_possible",
      "The public DNS did not answer for away.example.com.",
    ],
    [
      "an address of Cloudflare's",
      connectTo("1.1.1.1"),
      "not_possible",
      "1.1.1.1 stands at Cloudflare, to which the server cannot open TCP connections.",
    ],
    [
      "a host behind Cloudflare",
      connectTo("behind.example.com"),
      "not_possible",
      "behind.example.com stands at Cloudflare, to which the server cannot open TCP connections.",
    ],
    ["a mail server", connectTo("mail.example.com", [25]), "not_possible", "The server may not connect to port 25."],
    ["itself", fetchOf("edge.example.com"), "not_applicable", "The target is this server itself."],
    ["itself on another port", connectTo("edge.example.com", [22]), "not_applicable", "The target is this server itself."],
    [
      "another client",
      { kind: "none", says: "The target is another client." },
      "not_applicable",
      "The target is another client.",
    ],
  ])("does not ask %s", async (_, aim, state, says) => {
    asked.length = 0;
    expect(await checkFromEdge(aim, around)).toEqual({
      state,
      method: null,
      target: null,
      at: null,
      duration_ms: null,
      alive: null,
      http_status: null,
      says,
    });
    // Only a name that could be public is asked for.
    for (const name of asked) expect(mayBePublic(name)).toBe(true);
  });

  test("on somebody's own machine may ask its neighbours, but no metadata and not itself", async () => {
    const local = { local: true, own: "127.0.0.1:8787" };
    const neighbour = await checkFromEdge(connectTo("127.0.0.1", [9]), local);
    expect(neighbour).toMatchObject({ state: "failed", method: "connect", target: "127.0.0.1:9", alive: null });
    expect(await checkFromEdge(fetchOf("169.254.169.254"), local)).toMatchObject({ state: "not_possible" });
    expect(await checkFromEdge(connectTo("127.0.0.1", [8787]), local)).toMatchObject({ state: "not_applicable" });
  });
});
