import { expect, test } from "vitest";
import { clientVerdict } from "../../web/client-verdict.ts";
import { currentLatency, fleetHealth } from "../../web/health.ts";
import { fleetProblems, slowest } from "../../web/problems.ts";
import { testVerdict } from "../../web/run-verdict.ts";
import { applyFleetFrame, fleetMap } from "../../web/state/fleet.ts";
import { filterFromText, shownClients, sortFromText, sortText } from "../../web/state/fleet-table.ts";
import { fleetVerdict } from "../../web/verdict.ts";
import { clientDetail, fleetClient, iso, NOW, result } from "./make.ts";

const offline = fleetClient({
  id: "b",
  name: "osaka",
  status: "offline",
  status_reason: "closed",
  status_since: iso(NOW - 1_800_000),
});

test("nothing wrong", () => {
  expect(fleetVerdict([], NOW).tone).toBe("none");
  expect(fleetVerdict([fleetClient()], NOW)).toEqual({ tone: "ok", text: "lyon-gw-01 is online; nothing is failing." });
  expect(fleetVerdict([fleetClient(), fleetClient({ id: "c" })], NOW).text).toBe("All 2 clients are online; nothing is failing.");
});

test("offline says since when and why", () => {
  const verdict = fleetVerdict([fleetClient(), offline], NOW);
  expect(verdict.text).toMatch(/^osaka is offline since \d\d:30 \(connection closed\)\.$/);
  expect(verdict.tone).toBe("none");
});

test("failing tests and loss are named; retired clients are not", () => {
  const failing = fleetClient({ id: "c", name: "kiel", failing: 2 });
  const lossy = fleetClient({ id: "d", name: "rome", headline: { ping_loss_pct: 4.8 } });
  const retired = fleetClient({ id: "e", name: "old", status: "retired", failing: 9 });
  expect(fleetVerdict([failing, lossy, retired], NOW)).toEqual({
    tone: "bad",
    text: "2 tests failing on kiel; rome lost 4.8 % of packets in its worst test.",
  });
});

test("an offline client's old failures are not failing now", () => {
  expect(fleetVerdict([{ ...offline, failing: 3 }], NOW).text).not.toContain("failing");
});

test("a client's sentence says what it waits for, and both tests that fail", () => {
  const never = clientDetail({ status: "never_seen", status_reason: "registered", last_seen_at: null });
  expect(clientVerdict(never, NOW).text).toMatch(/^lyon-gw-01 registered at \d\d:00 and has not connected yet\.$/);
  const retired = clientDetail({ status: "retired", status_reason: "retired" });
  expect(clientVerdict(retired, NOW).text).toMatch(/^lyon-gw-01 is retired since \d\d:00\.$/);
  const failed = (destination: string) => result(1, { destination, status: "failed" });
  expect(clientVerdict(clientDetail({ latest: [failed("a"), failed("b")] }), NOW).text).toBe(
    "lyon-gw-01 is online, but ping to a and ping to b failed in the last run.",
  );
});

test("a name written from right to left does not turn the sentence", () => {
  const turning = fleetClient({ name: "\u202egnihtemos" });
  expect(fleetVerdict([turning], NOW).text).toBe("\u2068\u202egnihtemos\u2069 is online; nothing is failing.");
});

test("status has a shape and a word", () => {
  expect(fleetHealth(fleetClient())).toMatchObject({ tone: "ok", word: "online" });
  expect(fleetHealth(offline)).toMatchObject({ tone: "none", word: "offline" });
  expect(fleetHealth(fleetClient({ failing: 1 }))).toMatchObject({ tone: "bad", word: "1 test failing" });
  expect(fleetHealth(fleetClient({ headline: { ping_loss_pct: 1 } })).tone).toBe("warn");
});

const running = { up: true, enabled: true, now: NOW };

test("a test's sentence is about its newest run", () => {
  expect(testVerdict(result(1), "lyon", running)).toEqual({
    tone: "ok",
    text: "crm.example answers in 12.5 ms, without loss. Measured from lyon.",
  });
  const lost = result(1, { status: "partial", metrics: { ping_rtt_median: 12.5, ping_loss_pct: 10 } });
  expect(testVerdict(lost, "lyon", running)).toMatchObject({ tone: "bad" });
  const failed = result(1, { status: "failed", error: { code: "no_reply", source: "target", message: "No reply" } });
  expect(testVerdict(failed, "lyon", running).text).toBe("No reply. Cause: the destination's side. Measured from lyon.");
});

test("what is not measured now is not told as now", () => {
  expect(testVerdict(result(-60), "lyon", { ...running, up: false })).toMatchObject({ tone: "none" });
  expect(testVerdict(result(-60), "lyon", { ...running, enabled: false }).text).toMatch(/^The test is paused\. At /);
});

test("a client that pings nothing shows the slowest of what else it measures", () => {
  const other = { tcp_connect_ms: 12, http_total_ms: 231 };
  expect(currentLatency(fleetClient({ headline: other }))).toEqual({ type: "http", metric: "http_total_ms", ms: 231 });
  expect(currentLatency(fleetClient({ headline: { ...other, ping_rtt_median: 5 } }))?.ms).toBe(5);
  expect(currentLatency(fleetClient({ headline: { ...other, ping_rtt_median: null } }))).toBeNull();
  expect(currentLatency({ ...offline, headline: other })).toBeNull();
});

test("a client's sentence tells what its one failing test says, or what a good one found", () => {
  const error = { code: "certificate", source: "target", message: "the certificate ended 3 days ago" } as const;
  const failing = result(1, { type: "tls", status: "failed", error });
  expect(clientVerdict(clientDetail({ latest: [failing] }), NOW).text).toBe(
    "lyon-gw-01 is online, but TLS to crm.example fails: The certificate ended 3 days ago. Cause: the destination's side.",
  );
  const ending = result(1, { type: "tls", metrics: { cert_days_left: 5, tls_authorized: true } });
  expect(clientVerdict(clientDetail({ latest: [ending] }), NOW)).toMatchObject({ tone: "bad" });
  const fine = result(1, { type: "http", metrics: { http_status: 200 } });
  expect(clientVerdict(clientDetail({ latest: [fine] }), NOW).text).toMatch(/its 1 test last answered\.$/);
});

test("live frames change the fleet; a new client appears, a gone one leaves", () => {
  const known = fleetMap([fleetClient()]);
  const joined = applyFleetFrame(known, { type: "summary", client: offline });
  expect([...joined.keys()]).toEqual(["a", "b"]);
  const changed = applyFleetFrame(joined, {
    type: "status",
    client_id: "b",
    status: "online",
    status_reason: "connected",
    status_since: iso(NOW),
    last_seen_at: null,
  });
  expect(changed.get("b")?.status).toBe("online");
  expect(joined.get("b")?.status).toBe("offline");
  expect(applyFleetFrame(changed, { type: "gone", client_id: "a" }).size).toBe(1);
  expect(applyFleetFrame(changed, { type: "snapshot", clients: [] }).size).toBe(0);
});

test("the table's search, filter and order", () => {
  const slow = fleetClient({ id: "c", name: "kiel", site: "Kiel", headline: { ping_rtt_median: 90 } });
  const fast = fleetClient({ id: "d", name: "rome", tags: { role: "gateway" }, headline: { ping_rtt_median: 5 } });
  const all = [fast, offline, slow];
  const ids = (filter: string, search: string, sort: string) =>
    shownClients(all, filterFromText(filter), search, sortFromText(sort)).map((client) => client.id);
  expect(ids("all", "", "-latency")).toEqual(["c", "d", "b"]);
  expect(ids("all", "", "latency")).toEqual(["d", "c", "b"]);
  expect(ids("all", "", "nonsense")).toEqual(["b", "c", "d"]);
  expect(ids("problems", "", "name")).toEqual(["b"]);
  expect(ids("all", "ROLE=gateway rome", "name")).toEqual(["d"]);
  expect(sortText(sortFromText("-latency"))).toBe("-latency");
});

test("problems come worst first, each about one client", () => {
  const all = [
    offline,
    fleetClient({ id: "c", name: "kiel", headline: { ping_loss_pct: 8, fs_used_pct: 97 } }),
    fleetClient({ id: "d", name: "rome", failing: 1, headline: { ping_loss_pct: 100 } }),
    fleetClient(),
  ];
  expect(fleetProblems(all, NOW).map((problem) => `${problem.tone} ${problem.title}`)).toEqual([
    "bad kiel: 8 % of packets lost",
    "bad rome: 1 test fails",
    "none osaka is offline, its targets are unknown",
    "warn kiel: disk 97 % full",
  ]);
  expect(fleetProblems([fleetClient()], NOW)).toEqual([]);
});

test("only clients that measure now are compared", () => {
  const fast = fleetClient({ id: "c", headline: { ping_rtt_median: 10 } });
  const slow = fleetClient({ id: "d", headline: { ping_rtt_median: 40 } });
  const bars = slowest([fast, slow, fleetClient(), { ...offline, headline: { ping_rtt_median: 900 } }], 8);
  expect(bars.map((bar) => [bar.client.id, bar.share])).toEqual([
    ["d", 1],
    ["c", 0.25],
  ]);
});
