// A result the edge cannot accept is acked, counted, kept aside and shown. It blocks nothing, and its neighbours are stored.
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ClientDetail } from "#contract/api";
import type { RegisterReply } from "#contract/wire";
import { type Asker, agentOf, asAdmin, connect, hostSample, pingResult, register, upload } from "./edge.ts";

let admin: Asker;
let client: RegisterReply;

beforeAll(async () => {
  admin = await asAdmin();
});
beforeEach(async () => {
  client = await register({ tags: { streamswarm: "local" } });
});

const send = (body: unknown) => agentOf(client).post("/api/agent/v1/upload", body);
const detail = () => admin.get<ClientDetail>(`/api/v1/clients/${client.client_id}`);
const ledger = () => admin.get(`/api/v1/clients/${client.client_id}/ledger`);
const stored = async () =>
  (await admin.get<{ items: { seq: number }[] }>(`/api/v1/results?client_id=${client.client_id}`)).items.map(({ seq }) => seq);

describe("one invalid result between two valid ones", () => {
  const metrics = pingResult(1).metrics as object;
  test.each<[string, unknown, string]>([
    ["a metric of the wrong kind", { metrics: { ...metrics, ping_rtt_median: "12 ms" } }, "metrics.ping_rtt_median"],
    ["a flag where a number belongs", { metrics: { ...metrics, ping_sent: true } }, "metrics.ping_sent"],
    ["NaN as text", { metrics: { ...metrics, ping_loss_pct: "NaN" } }, "metrics.ping_loss_pct"],
    ["a metric that is a list", { metrics: { ping_sent: [5] } }, "metrics.ping_sent"],
    ["no status", { status: undefined }, "status"],
    ["a status of no list", { status: "great" }, "status"],
    ["no start", { started_at: undefined }, "started_at"],
    ["a start as text", { started_at: "2026-01-01T00:00:00Z" }, "started_at"],
    ["a negative duration", { duration_ms: -1 }, "duration_ms"],
    ["an error of unknown source", { error: { code: "no_reply", source: "gremlins", message: "" } }, "error.source"],
    ["a destination that is an object", { destination: { host: "a" } }, "destination"],
    ["a test id without end", { test_id: "x".repeat(65) }, "test_id"],
  ])("%s", async (_, change, field) => {
    const results = [pingResult(1), pingResult(2, change as Record<string, unknown>), pingResult(3)];
    expect(await send(upload(1, 3, { results }))).toEqual({ ack: 3 });
    const { rejected, last_seq } = await detail();
    expect({ last_seq, count: rejected.count }).toEqual({ last_seq: 3, count: 1 });
    expect(rejected.recent).toEqual([expect.objectContaining({ seq: 2 })]);
    expect(rejected.recent[0]?.reason).toContain(field);
    expect(rejected.recent[0]?.excerpt).toContain('"seq":2');
    expect(await stored()).toEqual([3, 1]);
    expect(await send(upload(4, 4))).toEqual({ ack: 4 });
    expect(await ledger()).toMatchObject({ last_seq: 4, results: 3, rejected: 1, missing: [], duplicates: 0 });
  });

  test("infinity, as a number too large for JSON", async () => {
    const results = [pingResult(1), pingResult(2, { duration_ms: 123_456 }), pingResult(3)];
    const overflowing = JSON.stringify(upload(1, 3, { results })).replace("123456", "1e999");
    const response = await agentOf(client).send("POST", "/api/agent/v1/upload", overflowing);
    expect(await response.json()).toEqual({ ack: 3 });
    expect((await detail()).rejected).toMatchObject({ count: 1, recent: [{ seq: 2 }] });
  });

  test.each<[string, unknown]>([
    ["null", null],
    ["text", "result"],
    ["a list", []],
    ["no number", pingResult(2, { seq: undefined })],
    ["a broken number", pingResult(2, { seq: 1.5 })],
    ["a number as text", pingResult(2, { seq: "2" })],
    ["a number after the range", pingResult(99)],
  ])("%s takes the number that is missing", async (_, item) => {
    expect(await send(upload(1, 3, { results: [pingResult(1), item, pingResult(3)] }))).toEqual({ ack: 3 });
    expect((await detail()).rejected).toMatchObject({ count: 1, recent: [{ seq: 2 }] });
    expect(await ledger()).toMatchObject({ results: 2, rejected: 1, missing: [], duplicates: 0 });
    expect(await send(upload(4, 4))).toEqual({ ack: 4 });
  });

  test("a host sample can be invalid as well", async () => {
    const hosts = [hostSample(1), hostSample(2, { metrics: { cpu_percent: "busy" } }), hostSample(3)];
    expect(await send(upload(1, 3, { results: [], hosts }))).toEqual({ ack: 3 });
    expect(await ledger()).toMatchObject({ hosts: 2, rejected: 1, missing: [] });
    expect((await detail()).host?.seq).toBe(3);
  });

  test("over the socket it is acked just the same", async () => {
    const { socket } = await connect(client.token);
    socket.send({ type: "upload", ...upload(1, 3, { results: [pingResult(1), { seq: 2 }, pingResult(3)] }) });
    expect(await socket.next("ack")).toEqual({ type: "ack", to: 3 });
    expect((await detail()).rejected.count).toBe(1);
  });
});

test("a number twice in one upload: the first item stays, none is lost, none double", async () => {
  const results = [pingResult(1), pingResult(2, { duration_ms: 22 }), pingResult(2, { duration_ms: 33 }), pingResult(3)];
  expect(await send(upload(1, 3, { results, hosts: [hostSample(3)] }))).toEqual({ ack: 3 });
  expect(await ledger()).toMatchObject({ results: 3, hosts: 0, rejected: 0, missing: [], duplicates: 0 });
  expect(await admin.get(`/api/v1/results/${client.client_id}.2`)).toMatchObject({ duration_ms: 22 });
});

test("metrics and fields of a newer agent are dropped, the rest of the result is stored", async () => {
  const newer = pingResult(1, {
    metrics: { ping_sent: 5, ping_received: 5, ping_quantum_flux: 3 },
    reasons: { ping_rtt_p95: "too_few_samples", ping_rtt_p99: "moon_phase", ping_quantum_flux: "x" },
    hologram: true,
  });
  expect(await send(upload(1, 1, { results: [newer], mood: "fine" }))).toEqual({ ack: 1 });
  const result = await admin.get<Record<string, unknown>>(`/api/v1/results/${client.client_id}.1`);
  expect(result.metrics).toEqual({ ping_sent: 5, ping_received: 5 });
  expect(result.reasons).toEqual({ ping_rtt_p95: "too_few_samples", ping_rtt_p99: "unsupported" });
  expect(result).not.toHaveProperty("hologram");
  expect(await detail()).toMatchObject({ ignored: 2, rejected: { count: 0 } });
});

test("an item above 64 KiB is kept aside with the beginning of what it said", async () => {
  const large = pingResult(2, { detail: { log: "x".repeat(70 * 1024) } });
  expect(await send(upload(1, 3, { results: [pingResult(1), large, pingResult(3)] }))).toEqual({ ack: 3 });
  const [aside] = (await detail()).rejected.recent;
  expect(aside).toMatchObject({ seq: 2, reason: expect.stringContaining("65536 bytes") });
  expect(aside?.excerpt.length).toBe(2048);
  expect(await stored()).toEqual([3, 1]);
});

test("ranges a full outbox dropped are accounted for as dropped, not as missing", async () => {
  const results = [pingResult(1), pingResult(1000)];
  expect(await send(upload(1, 1000, { results, dropped: [[2, 900], [901, 999]] }))).toEqual({ ack: 1000 }); // biome-ignore format: one line reads better
  expect(await ledger()).toMatchObject({ last_seq: 1000, results: 2, dropped: 998, rejected: 0, missing: [], duplicates: 0 });
  expect(await send(upload(1001, 1001))).toEqual({ ack: 1001 });
});

test("dropped ranges that overlap, run backwards or reach outside count each number once", async () => {
  const dropped = [[1, 3], [2, 4], [9, 7], [0, 2], [5, 5000]]; // biome-ignore format: one line reads better
  expect(await send(upload(1, 10, { results: [], dropped }))).toEqual({ ack: 10 });
  expect(await ledger()).toMatchObject({ last_seq: 10, results: 0, dropped: 10, missing: [], duplicates: 0 });
});

test("a short hole is kept aside number by number, a long one becomes a dropped range", async () => {
  expect(await send(upload(1, 5, { results: [pingResult(1), pingResult(5)] }))).toEqual({ ack: 5 });
  expect((await detail()).rejected.recent.map(({ seq }) => seq)).toEqual([4, 3, 2]);
  expect(await send({ boot: "b", from: 6, to: 2_000_000, results: [] })).toEqual({ ack: 2_000_000 });
  expect(await ledger()).toMatchObject({ results: 2, rejected: 3, dropped: 1_999_995, missing: [], duplicates: 0 });
});

test("twenty of the newest are shown, newest first, and all are counted", async () => {
  for (let from = 1; from <= 41; from += 20) {
    const results = Array.from({ length: 20 }, (_, index) => ({ seq: from + index }));
    await send(upload(from, from + 19, { results }));
  }
  const { rejected } = await detail();
  expect(rejected.count).toBe(60);
  expect(rejected.recent.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, index) => 60 - index));
});
