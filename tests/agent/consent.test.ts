// What a consent file's rules mean: judged before a run, and again at every address before anything is sent there.
import { once } from "node:events";
import { readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Consent } from "#contract/consent";
import type { Measurement } from "#contract/result";
import { TEST_TYPE_NAMES } from "#contract/test-types/index";
import { hostOf, vetoOf } from "../../agent/consent.ts";
import { DayBytes } from "../../agent/consent-day.ts";
import { readConsentFile } from "../../agent/consent-file.ts";
import { ConsentKeeper } from "../../agent/consent-keeper.ts";
import { hostClock } from "../../agent/host-clock.ts";
import { createLog } from "../../agent/log.ts";
import type { RunOrder } from "../../agent/runner.ts";
import { runTest } from "../../agent/runner.ts";
import { scratch } from "./helpers/cli.ts";

const ping = { type: "ping", destination: "10.1.2.3", params: {}, interval_s: 10 };

/** Why the rules refuse the order; undefined when it may run. */
function refusal(consent: Consent, order: RunOrder, server?: string): string | undefined {
  const verdict = vetoOf(consent, { server })(order);
  return typeof verdict === "string" ? verdict : undefined;
}

/** Why they refuse an address that a host of the order turns out to have. */
function refusalAt(consent: Consent, order: RunOrder, host: string, address: string | undefined): string | undefined {
  const verdict = vetoOf(consent)(order);
  if (verdict === undefined || typeof verdict === "string") throw new Error(`the order itself was judged: ${verdict}`);
  return verdict.address(host, address);
}

const to = (destination: string, more: Partial<RunOrder> = {}): RunOrder => ({ ...ping, destination, ...more });

describe("types and destinations", () => {
  const rules: Consent = { types: ["ping"], destinations: ["10.0.0.0/8", "fd00::/8", "*.example.com", "gw.lan"] };

  test.each(["10.1.2.3", "fd77::1", "a.b.example.com", "A.B.EXAMPLE.COM.", "gw.lan", "GW.LAN.", "FD00:0::0:1"])(
    "%s may be",
    (host) => {
      expect(refusal(rules, to(host))).toBeUndefined();
    },
  );

  test.each(["192.0.2.1", "11.0.0.0", "2001:db8::1", "::1"])("%s may not", (host) => {
    expect(refusal(rules, to(host))).toMatch(/does not allow/);
  });

  test("no types, no destinations, no rules", () => {
    expect(refusal({ types: [] }, ping)).toMatch(/does not allow ping tests/);
    expect(refusal({ destinations: [] }, ping)).toMatch(/does not allow 10\.1\.2\.3/);
    expect(refusal({ destinations: ["gw.lan"] }, to("other.lan"))).toMatch(/does not allow other\.lan/);
    expect(vetoOf({})(ping)).toBeUndefined();
  });

  test("what is forbidden is stronger than what is allowed", () => {
    const both: Consent = {
      destinations: ["10.0.0.0/8", "*.example.com"],
      forbidden_destinations: ["10.66.0.0/16", "pay.example.com"],
    };
    expect(refusal(both, to("10.65.255.255"))).toBeUndefined();
    expect(refusal(both, to("10.66.0.1"))).toMatch(/forbids 10\.66\.0\.1/);
    expect(refusal(both, to("pay.example.com"))).toMatch(/forbids pay\.example\.com/);
    expect(refusal({ forbidden_destinations: ["*.Bücher.example"] }, to("a.bücher.EXAMPLE"))).toMatch(/forbids a\.xn--bcher-kva/);
    expect(refusal({ forbidden_destinations: ["fe80::/10"] }, to("fe80::1%eth0"))).toMatch(/forbids fe80::1%eth0/);
  });

  test("an IPv6 address through which an IPv4 one is reached is judged as that one", () => {
    const rules: Consent = { forbidden_destinations: ["10.0.0.0/8"] };
    for (const address of ["64:ff9b::10.1.2.3", "64:ff9b::a01:203", "2002:a01:203::1"]) {
      expect(refusal(rules, to(address)), address).toMatch(/forbids/);
    }
    expect(refusal(rules, to("64:ff9b::192.0.2.1"))).toBeUndefined();
  });

  test("a name that no rule names is judged by its address, whatever it was before", () => {
    const inside: Consent = { destinations: ["10.0.0.0/8"] };
    expect(refusalAt(inside, to("crm.corp"), "crm.corp", "10.1.2.3")).toBeUndefined();
    expect(refusalAt(inside, to("crm.corp"), "crm.corp", "192.0.2.1")).toMatch(
      /does not allow crm\.corp, which is 192\.0\.2\.1 now/,
    );
    expect(refusalAt(inside, to("crm.corp"), "crm.corp", undefined)).toMatch(/address could not be found/);
    const outside: Consent = { forbidden_destinations: ["10.0.0.0/8", "::1"] };
    expect(refusalAt(outside, to("rebind.example"), "rebind.example", "192.0.2.1")).toBeUndefined();
    expect(refusalAt(outside, to("rebind.example"), "rebind.example", "10.1.2.3")).toMatch(
      /forbids rebind\.example, which is 10\.1\.2\.3/,
    );
    expect(refusalAt(outside, to("rebind.example"), "rebind.example", "::1")).toMatch(/forbids/);
    expect(refusalAt(outside, to("rebind.example"), "rebind.example", "64:ff9b::a01:203")).toMatch(/forbids/);
    const named: Consent = { destinations: ["rebind.example"], forbidden_destinations: ["127.0.0.0/8"] };
    expect(refusalAt(named, to("rebind.example"), "rebind.example", "192.0.2.1")).toBeUndefined();
    expect(refusalAt(named, to("rebind.example"), "rebind.example", "127.0.0.1")).toMatch(/forbids/);
  });

  test("every host a run would speak to is judged: a URL's, a resolver's, a SIP server's; what cannot be judged is refused", () => {
    const rules: Consent = { destinations: ["*.example.com", "10.0.0.0/8"] };
    const http = (destination: string) => refusal(rules, { type: "http", destination, params: {} });
    expect(http("https://a.example.com:8443/x?y=http://192.0.2.1/")).toBeUndefined();
    expect(http("https://192.0.2.1/?a.example.com")).toMatch(/does not allow 192\.0\.2\.1/);
    expect(http(`http://192.0.2.1/${'"'.repeat(2100)}`)).toMatch(/cannot be judged/);
    const dns = (destination: string, resolver: string) => refusal(rules, { type: "dns", destination, params: { resolver } });
    expect(dns("any.example", "10.0.0.53")).toBeUndefined();
    expect(dns("any.example", "10.0.0.53,192.0.2.53")).toMatch(/does not allow 192\.0\.2\.53/);
    expect(dns("any.example", "https://192.0.2.53/dns-query")).toMatch(/does not allow 192\.0\.2\.53/);
    expect(dns("any.example", "system"), "nobody looks where a name leads that is only asked about").toMatch(
      /does not allow any\.example/,
    );
    expect(dns("a.example.com", "system")).toBeUndefined();
    const voip = (sip: string) => refusal(rules, { type: "voip", destination: "10.0.0.1", params: { sip } });
    expect(voip("10.0.0.2")).toBeUndefined();
    expect(voip("192.0.2.5:5061")).toMatch(/does not allow 192\.0\.2\.5/);
    expect(refusal(rules, { type: "telepathy", destination: "a.example.com", params: {} })).toMatch(/cannot be judged/);
  });

  test("a forbidden name may not be asked about, whoever is asked", () => {
    const rules: Consent = { forbidden_destinations: ["secret.example", "10.9.9.9"] };
    const dns = (destination: string, params = {}) =>
      refusal(rules, { type: "dns", destination, params: { resolver: "192.0.2.53", ...params } });
    expect(dns("secret.example")).toMatch(/forbids secret\.example/);
    expect(dns("10.9.9.9", { record_type: "PTR" })).toMatch(/forbids 10\.9\.9\.9/);
    expect(dns("open.example")).toBeUndefined();
  });

  test("the system's resolvers need no leave, but may be forbidden", () => {
    const order = { type: "dns", destination: "a.example.com", params: {} };
    expect(refusalAt({ destinations: ["*.example.com"] }, order, "192.0.2.53", "192.0.2.53")).toBeUndefined();
    expect(refusalAt({ forbidden_destinations: ["192.0.2.53"] }, order, "192.0.2.53", "192.0.2.53")).toMatch(/forbids/);
  });

  test("the system's resolver at a port or by a transport of the order's choice is a host like any other", () => {
    const rules: Consent = { destinations: ["*.example.com"] };
    for (const params of [{ port: 22, transport: "tcp" }, { port: 9 }, { transport: "https" }, { transport: "tls" }]) {
      const order = { type: "dns", destination: "a.example.com", params: { resolver: "system", ...params } };
      expect(refusalAt(rules, order, "192.0.2.53", "192.0.2.53"), JSON.stringify(params)).toMatch(/does not allow 192\.0\.2\.53/);
    }
  });

  test("a block is of one family, however wide", () => {
    for (const rule of ["::/0", "::/1", "::/64"]) {
      expect(refusal({ destinations: [rule] }, to("10.1.2.3")), rule).toMatch(/does not allow 10\.1\.2\.3/);
      expect(refusal({ destinations: [rule] }, to("::1")), rule).toBeUndefined();
      expect(refusal({ forbidden_destinations: [rule] }, to("10.1.2.3")), rule).toBeUndefined();
    }
    expect(refusal({ destinations: ["0.0.0.0/0"] }, to("2001:db8::1"))).toMatch(/does not allow/);
    // As resolv.conf(5) may write a resolver.
    const order = { type: "dns", destination: "a.example.com", params: {} };
    expect(refusalAt({ forbidden_destinations: ["192.0.2.53"] }, order, "::ffff:192.0.2.53", "::ffff:192.0.2.53")).toMatch(
      /forbids/,
    );
  });

  test("edge is the agent's own server, by its host or by that word", () => {
    const edge = { type: "bandwidth", destination: "edge", params: {} };
    const server = hostOf("https://Swarm.Example/agents");
    expect(server).toBe("swarm.example");
    expect(hostOf("http://[::1]:8787")).toBe("::1");
    expect(refusal({ destinations: ["gw.lan"] }, edge, server)).toMatch(/does not allow swarm\.example/);
    for (const rule of ["swarm.example", "*.example", "edge"]) {
      expect(refusal({ destinations: [rule] }, edge, server), rule).toBeUndefined();
      expect(refusal({ forbidden_destinations: [rule] }, edge, server), rule).toMatch(/forbids swarm\.example/);
    }
    expect(refusal({ forbidden_destinations: ["192.0.2.1"] }, edge, "192.0.2.1")).toMatch(/forbids/);
  });
});

describe("how often", () => {
  test("an interval below the least is refused, also as a single order", () => {
    expect(refusal({ min_interval_s: 10 }, { ...ping, interval_s: 9 })).toMatch(/at least 10 s between two runs/);
    expect(refusal({ min_interval_s: 10 }, ping)).toBeUndefined();
  });

  test("a test may not be ordered again too soon, however it is ordered", () => {
    const veto = vetoOf({ min_interval_s: 10 });
    const scheduled = { ...ping, series: "t1" };
    expect(veto(scheduled)).not.toBeTypeOf("string");
    expect(veto(scheduled)).toMatch(/at least 10 s/);
    expect(veto({ ...ping, series: "t2" })).not.toBeTypeOf("string");
    const single = { type: "ping", destination: "10.1.2.3", params: {} };
    expect(veto(single)).not.toBeTypeOf("string");
    expect(veto({ ...single, params: { count: 3 } })).toMatch(/at least 10 s/);
    expect(veto({ ...single, destination: "10.1.2.4" })).not.toBeTypeOf("string");
    const named = { type: "ping", destination: "gw.example", params: {} };
    expect(veto(named)).not.toBeTypeOf("string");
    for (const spelled of [" gw.example", "GW.example", "gw.example."]) {
      expect(veto({ ...named, destination: spelled }), spelled).toMatch(/at least 10 s/);
    }
  });
});

describe("how much", () => {
  test.each(TEST_TYPE_NAMES)("%s has a price, which is more for more", (type) => {
    const destination = { http: "http://10.0.0.1/", dns: "a.example" }[type as string] ?? "10.0.0.1";
    const order = { type, destination, params: type === "dns" ? { resolver: "10.0.0.53" } : {} };
    expect(refusal({ max_bytes_per_run: 1 }, order)).toMatch(/allows 1 bytes a run; this one may move up to/);
    expect(refusal({ max_bytes_per_run: 1e12 }, order)).toBeUndefined();
    if (type === "bandwidth") expect(refusal({ max_packets_per_s: 1e6 }, order)).toMatch(/as many as the line carries/);
    else expect(refusal({ max_packets_per_s: 1e6 }, order)).toBeUndefined();
    expect(refusal({ max_packets_per_s: 0.001 }, order)).toMatch(/allows 0\.001 packets or requests a second/);
  });

  test("a ping's rate and size", () => {
    const of = (params: object, consent: Consent) => refusal(consent, { ...ping, params: { ...params } });
    expect(of({}, { max_packets_per_s: 5 })).toBeUndefined();
    expect(of({}, { max_packets_per_s: 4 })).toMatch(/allows 4 packets or requests a second; this run may send up to 5/);
    expect(of({ interval: 1 }, { max_packets_per_s: 1 })).toBeUndefined();
    expect(of({ packet_size: 65_000 }, { max_packets_per_s: 5 }), "its fragments count").toMatch(/up to 265/);
    // 20 requests of 1000 bytes and their replies, each with 8 bytes of ICMP and 40 of IPv6.
    expect(of({ packet_size: 1000 }, { max_bytes_per_run: 20 * 2 * 1048 })).toBeUndefined();
    expect(of({ packet_size: 1000 }, { max_bytes_per_run: 20 * 2 * 1048 - 1 })).toMatch(/a run; this one may move/);
  });

  test("a bandwidth test is judged by its own limit of bytes", () => {
    const order = { type: "bandwidth", destination: "10.0.0.1", params: { max_bytes: 5_000_000 } };
    expect(refusal({ max_bytes_per_run: 5_000_000 }, order)).toBeUndefined();
    expect(refusal({ max_bytes_per_run: 4_999_999 }, order)).toMatch(/allows 5\.0 MB a run; this one may move up to 5\.0 MB/);
  });
});

describe("a day's bytes", () => {
  const DAY = Date.UTC(2026, 4, 5, 12);

  function book(path: string, now = () => DAY) {
    const trouble: string[] = [];
    return { day: new DayBytes(path, now, (message) => trouble.push(message)), trouble };
  }

  test("are counted as planned, settled by what was moved, and refused when they are used up", () => {
    const { day } = book(join(scratch(), "day.json"));
    const veto = vetoOf({ max_bytes_per_day: 12_000_000 }, { day });
    const order = { type: "bandwidth", destination: "10.0.0.1", params: { max_bytes: 5_000_000 } };
    const first = veto(order);
    const second = veto(order);
    expect(day.today).toBe(10_000_000);
    expect(veto(order)).toMatch(/allows 12\.0 MB a day \(UTC\), of which 10\.0 MB are used; this run may move up to 5\.0 MB/);
    if (typeof first !== "object" || typeof second !== "object") throw new Error("refused");
    first.ended({ bw_bytes: 1_000_000 });
    first.ended({ bw_bytes: 0 });
    expect(day.today, "a run is settled once").toBe(6_000_000);
    second.ended(undefined);
    expect(day.today, "one that never ran costs nothing").toBe(1_000_000);
    expect(veto(order)).toBeTypeOf("object");
  });

  test("outlive the agent, killed or stopped, and end with the UTC day", () => {
    const path = join(scratch(), "day.json");
    const { day } = book(path);
    day.enter(600, 1000)?.(500);
    // Killed: what was written ahead counts.
    expect(book(path).day.today).toBe(610);
    day.close();
    expect(book(path).day.today).toBe(500);
    expect(book(path).day.enter(501, 1000)).toBeUndefined();
    const midnight = Date.UTC(2026, 4, 6);
    expect(book(path, () => midnight - 1).day.today).toBe(500);
    const next = book(path, () => midnight).day;
    expect(next.today).toBe(0);
    next.enter(1000, 1000);
    expect(book(path).day.today, "a clock set back finds its day again").toBe(500);
  });

  test("are written ahead, not for every run", () => {
    const dir = scratch();
    const { day } = book(join(dir, "day.json"));
    const texts = new Set<string>();
    for (let i = 0; i < 500; i++) {
      day.enter(10, 1_000_000);
      texts.add(readFileSync(join(dir, "day.json"), "utf8"));
    }
    expect(texts.size).toBe(1);
    expect(readdirSync(dir)).toEqual(["day.json"]);
  });

  test("go on being counted where the file cannot be read or written", () => {
    const path = join(scratch(), "none", "day.json");
    const { day, trouble } = book(path);
    day.enter(600, 1000);
    expect(day.enter(600, 1000)).toBeUndefined();
    expect(trouble).toEqual([expect.stringMatching(/cannot be kept in .*a restart would forget them/)]);
    const garbage = join(scratch(), "day.json");
    writeFileSync(garbage, '{"days": {"2026-05-05": "many"}}');
    const other = book(garbage);
    expect([other.day.today, other.trouble]).toEqual([0, [expect.stringMatching(/counted from 0/)]]);
  });
});

describe("a rate is that of all runs together", () => {
  const order = to("127.0.0.1", { params: { count: 3, interval: 0.25, timeout: 1 } });
  const permits = (rate: number, many: number) => {
    const veto = vetoOf({ max_packets_per_s: rate });
    return Array.from({ length: many }, () => veto(order)).filter((permit) => typeof permit === "object");
  };

  test("runs that would exceed it wait for their turn, first come first served", async () => {
    const [first, second, third, fourth] = permits(7, 4);
    const stop = new AbortController().signal;
    const gone = new AbortController();
    const turns: string[] = [];
    const turn = (name: string, permit: typeof first, signal = stop) =>
      permit?.turn?.(signal).then((came) => turns.push(`${name} ${came}`));
    await Promise.all([turn("first", first), turn("second", second)]);
    const waiting = [turn("third", third, gone.signal), turn("fourth", fourth)];
    expect(turns).toEqual(["first true", "second true"]);
    gone.abort();
    await waiting[0];
    second?.ended(undefined);
    await waiting[1];
    expect(turns.slice(2)).toEqual(["third false", "fourth true"]);
  });

  test("three tests at once send no faster than one, where one may run", async () => {
    const veto = vetoOf({ max_packets_per_s: 4 });
    const runs = Array.from({ length: 3 }, () => runTest(order, new AbortController().signal, { veto }));
    const spans = (await Promise.all(runs))
      .map(({ started_at, duration_ms, status }) => ({ from: started_at, ms: duration_ms, status }))
      .sort((a, b) => a.from - b.from);
    expect(spans.map(({ status }) => status)).toEqual(["ok", "ok", "ok"]);
    spans.slice(1).forEach(({ from }, i) => {
      const before = spans[i];
      expect(from).toBeGreaterThan((before?.from ?? 0) + (before?.ms ?? 0) - 50);
    });
  });
});

describe("a run is held to it", () => {
  async function web(answer: (server: Server) => string | undefined = () => undefined, host = "127.0.0.1") {
    let visits = 0;
    const server = createServer((_request, response) => {
      visits += 1;
      const location = answer(server);
      if (location === undefined) response.end("here");
      else response.writeHead(302, { location }).end();
    });
    server.on("connection", () => {
      visits += 1;
    });
    server.listen(0, host);
    await once(server, "listening");
    onTestFinished(() => {
      server.close();
    });
    return { port: (server.address() as AddressInfo).port, visits: () => visits };
  }

  const run = (order: RunOrder, consent: Consent): Promise<Measurement> =>
    runTest(order, new AbortController().signal, { veto: vetoOf(consent) });

  function isRefused(result: Measurement, message: RegExp): void {
    expect(result).toMatchObject({ status: "failed", error: { code: "not_consented", source: "agent" } });
    expect(result.error?.message).toMatch(message);
    expect(new Set(Object.values(result.metrics))).toEqual(new Set([null]));
    expect(new Set(Object.values(result.reasons))).toEqual(new Set(["not_applicable"]));
  }

  test.each([
    ["http", (port: number) => `http://rebound.localhost:${port}/`, {}],
    ["tcp", (port: number) => `rebound.localhost:${port}`, { count: 1 }],
    ["tls", (port: number) => `rebound.localhost:${port}`, {}],
    ["bandwidth", (port: number) => `http://rebound.localhost:${port}/file`, {}],
    ["dns", () => "a.example", { resolver: "rebound.localhost" }],
    ["dns", () => "a.example", { resolver: "https://rebound.localhost/dns-query" }],
    ["udp", () => "rebound.localhost:9", { count: 1 }],
    ["voip", () => "rebound.localhost:9", { duration: 1 }],
    ["ping", () => "rebound.localhost", { count: 1 }],
    ["traceroute", () => "rebound.localhost", {}],
    ["mtu", () => "rebound.localhost", {}],
    ["qos", () => "rebound.localhost", {}],
  ])("%s: a name that leads into a forbidden block, or out of the allowed ones", async (type, destination, params) => {
    const { port, visits } = await web();
    const order = { type, destination: destination(port), params };
    isRefused(
      await run(order, { forbidden_destinations: ["127.0.0.0/8"] }),
      /forbids rebound\.localhost, which is 127\.0\.0\.1 now/,
    );
    isRefused(await run(order, { destinations: ["10.0.0.0/8"] }), /does not allow rebound\.localhost, which is 127\.0\.0\.1 now/);
    expect(visits()).toBe(0);
  });

  test("a name whose address may be contacted is measured as ever", async () => {
    const { port, visits } = await web();
    const order = { type: "http", destination: `http://fine.localhost:${port}/`, params: { reuse: false } };
    const consent: Consent = { destinations: ["127.0.0.0/8"], forbidden_destinations: ["127.0.0.2"] };
    expect(await run(order, consent)).toMatchObject({ status: "ok", metrics: { http_status: 200 } });
    expect(visits()).toBe(2);
  });

  test("a SIP server is judged by its address too", async () => {
    const params = { duration: 1, sip: "sip.localhost", timeout: 1 };
    const consent: Consent = { destinations: ["127.0.0.0/8", "::1"], forbidden_destinations: ["sip.localhost"] };
    isRefused(await run({ type: "voip", destination: "127.0.0.1:9", params }, consent), /forbids sip\.localhost/);
    const inside: Consent = { destinations: ["192.0.2.1", "stream.localhost"] };
    isRefused(await run({ type: "voip", destination: "stream.localhost:9", params }, inside), /does not allow sip\.localhost/);
  });

  test("a redirect to a forbidden address, by name and by number, is not followed", async () => {
    const target = await web(undefined, "127.0.0.2");
    for (const [host, forbidden] of [
      ["127.0.0.2", "127.0.0.2"],
      ["there.localhost", "*.localhost"],
    ] as const) {
      const { port } = await web(() => `http://${host}:${target.port}/`);
      const order = { type: "http", destination: `http://127.0.0.1:${port}/`, params: {} };
      const result = await run(order, { forbidden_destinations: [forbidden] });
      isRefused(result, /forbids/);
      expect(result.flags).toContain("redirect_refused");
    }
    expect(target.visits()).toBe(0);
  });

  test("a redirect to a name that leads into a forbidden block, or out of the allowed ones, is not followed", async () => {
    const target = await web(undefined, "127.0.0.1");
    const { port } = await web(() => `http://there.localhost:${target.port}/`, "127.0.0.2");
    const order = { type: "http", destination: `http://127.0.0.2:${port}/`, params: {} };
    const led = /there\.localhost, which is 127\.0\.0\.1 now/;
    isRefused(await run(order, { forbidden_destinations: ["127.0.0.1"] }), led);
    isRefused(await run(order, { destinations: ["127.0.0.2"] }), led);
    expect(target.visits()).toBe(0);
  });
});

describe("while the agent runs", () => {
  async function keeper(text: string) {
    const state = scratch();
    const path = join(state, "consent.json");
    writeFileSync(path, text);
    const log: string[] = [];
    const note = (what: unknown, message?: string) => log.push(message ?? String(what));
    const file = await readConsentFile(path);
    const parts = { path, file, state, server: "https://swarm.example", log: { info: note, warn: note }, now: Date.now };
    const kept = new ConsentKeeper(parts as unknown as ConstructorParameters<typeof ConsentKeeper>[0]);
    let changes = 0;
    kept.changed = () => {
      changes += 1;
    };
    return { path, kept, log, changes: () => changes };
  }

  test("a changed file takes effect; a wrong one leaves the old rules in force and is told", async () => {
    const { path, kept, log, changes } = await keeper('{"types": ["ping"], "reflector": false}');
    expect([kept.reflector, kept.selfTest, kept.report]).toEqual([false, true, { types: ["ping"], reflector: false }]);
    await kept.reload();
    expect(changes()).toBe(0);
    writeFileSync(path, '{"types": ["dns"],\n"self_test": "never"}');
    await kept.reload();
    expect(kept.veto(ping)).toBeTypeOf("object");
    expect(kept.report).toMatchObject({ types: ["ping"], problem: expect.stringContaining("line 2: self_test is text") });
    writeFileSync(path, '{"types": ["dns"], "self_test": false}');
    await kept.reload();
    expect(kept.veto(ping)).toMatch(/does not allow ping/);
    expect([kept.reflector, kept.selfTest, kept.report]).toEqual([true, false, { types: ["dns"], self_test: false }]);
    expect(changes()).toBe(2);
    expect(log).toEqual([expect.stringContaining("stay in force"), expect.stringContaining("new rules are in force")]);
  });

  test("the least interval counts on when the file changes", async () => {
    const { path, kept } = await keeper('{"min_interval_s": 10}');
    expect(kept.veto({ ...ping, series: "t" })).toBeTypeOf("object");
    writeFileSync(path, '{"min_interval_s": 10, "reflector": true}');
    await kept.reload();
    expect(kept.veto({ ...ping, series: "t" })).toMatch(/at least 10 s/);
  });

  test("a file out of reach leaves the old rules in force and is told", async () => {
    const { path, kept, changes } = await keeper('{"types": ["dns"]}');
    rmSync(path);
    // As a directory that may no longer be entered: stat(2) fails, and not because nothing is there.
    symlinkSync(path, path);
    await kept.reload();
    expect([kept.veto(ping), changes()]).toEqual([expect.stringMatching(/does not allow ping/), 1]);
    expect(kept.report.problem).toMatch(/cannot be read: ELOOP/);
    rmSync(path);
    writeFileSync(path, '{"types": ["ping"]}');
    await kept.reload();
    expect(kept.veto(ping)).toBeTypeOf("object");
  });

  test("a change between the reading and the start is seen", async () => {
    const state = scratch();
    const path = join(state, "consent.json");
    writeFileSync(path, "{}");
    const file = await readConsentFile(path);
    writeFileSync(path, '{"types": ["dns"]}');
    const kept = new ConsentKeeper({ path, file, state, server: "https://swarm.example", log: createLog("silent") });
    await kept.reload();
    expect(kept.veto(ping)).toMatch(/does not allow ping/);
  });

  test("the day is this host's: a server that says it is tomorrow gives no second helping", async () => {
    const state = scratch();
    const path = join(state, "consent.json");
    writeFileSync(path, '{"max_bytes_per_day": 12000000}');
    const file = await readConsentFile(path);
    const kept = new ConsentKeeper({ path, file, state, server: "https://swarm.example", log: createLog("silent") });
    const order = { type: "bandwidth", destination: "10.0.0.1", params: { max_bytes: 10_000_000 } };
    expect(kept.veto(order)).toBeTypeOf("object");
    const now = Date.now();
    onTestFinished(() => hostClock.learn(now, now, now));
    hostClock.learn(now + 24 * 60 * 60 * 1000, now, now);
    expect(kept.veto(order)).toMatch(/a day \(UTC\), of which 10\.0 MB are used/);
  });

  test("it is not looked at more than once a minute", async () => {
    const { path, kept, changes } = await keeper("{}");
    writeFileSync(path, '{"types": []}');
    await kept.look();
    expect([changes(), kept.veto(ping)]).toEqual([0, undefined]);
  });

  test("of long lists a part is told", async () => {
    const rules = Array.from({ length: 150 }, (_, i) => `host${i}.example`);
    const { kept } = await keeper(JSON.stringify({ destinations: rules, forbidden_destinations: rules.slice(0, 110) }));
    expect(kept.report).toEqual({
      destinations: rules.slice(0, 100),
      forbidden_destinations: rules.slice(0, 100),
      rules_untold: 60,
    });
  });
});
