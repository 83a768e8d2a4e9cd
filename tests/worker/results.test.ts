// Reading what was measured: pages, filters, single results with their host, and series with hand-computed values.
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { SeriesReply } from "#contract/api";
import { type Result, resultSchema } from "#contract/result";
import type { RegisterReply } from "#contract/wire";
import { type Asker, agentOf, asAdmin, byText, createTest, hostSample, pingResult, problemOf, register, upload } from "./edge.ts";

let admin: Asker;
let client: RegisterReply;

beforeAll(async () => {
  admin = await asAdmin();
});
beforeEach(async () => {
  client = await register();
});

type Page = { items: Result[]; next_cursor: string | null };
const page = (query: string) => admin.get<Page>(`/api/v1/results?${query}`);
const store = (results: object[], hosts: object[] = [], to = results.length + hosts.length, who = client) =>
  agentOf(who).post("/api/agent/v1/upload", { boot: "b", from: 1, to, results, hosts });
const seqs = (items: Result[]) => items.map(({ seq }) => seq);
const minute = (at: number) => Math.floor(at / 60_000) * 60_000;

/** Every page of a list, with how many items each held. */
async function pages(query: string): Promise<{ items: Result[]; sizes: number[] }> {
  const all: { items: Result[]; sizes: number[] } = { items: [], sizes: [] };
  for (let cursor: string | null = ""; cursor !== null; ) {
    const { items, next_cursor }: Page = await page(`${query}${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`);
    all.items.push(...items);
    all.sizes.push(items.length);
    cursor = next_cursor;
    if (all.sizes.length > 200) throw new Error("the pages never end");
  }
  return all;
}

describe("pages", () => {
  test("newest first, in the shape of the contract", async () => {
    await agentOf(client).post("/api/agent/v1/upload", upload(1, 5));
    const { items, next_cursor } = await page(`client_id=${client.client_id}`);
    expect([seqs(items), next_cursor]).toEqual([[5, 4, 3, 2, 1], null]);
    for (const item of items) resultSchema.strict().parse(item);
    expect(items[0]).toMatchObject({
      id: `${client.client_id}.5`,
      client_id: client.client_id,
      reasons: { ping_rtt_p95: "too_few_samples" },
    });
  });

  test.each([1, 2, 7, 100])("of %d cover one client's results exactly once, over several uploads", async (limit) => {
    for (let from = 1; from <= 16; from += 5) await agentOf(client).post("/api/agent/v1/upload", upload(from, from + 4));
    const { items, sizes } = await pages(`client_id=${client.client_id}&limit=${limit}`);
    expect(seqs(items)).toEqual(Array.from({ length: 20 }, (_, index) => 20 - index));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(limit);
  });

  test.each([1, 3, 10])("of %d cover a test of several clients exactly once, newest first", async (limit) => {
    const others = [client, await register(), await register()];
    const { id } = await createTest(admin, { client_ids: others.map(({ client_id }) => client_id) });
    const start = Date.now() - 600_000;
    const measured: [string, number][] = [];
    for (const [which, who] of others.entries()) {
      const results = Array.from({ length: 4 + 3 * which }, (_, index) =>
        pingResult(index + 1, { test_id: id, started_at: start + index * 7000 + which * 1000 }),
      );
      await store(results, [], results.length, who);
      for (const result of results) measured.push([`${who.client_id}.${result.seq}`, Number(result.started_at)]);
    }
    const { items } = await pages(`test_id=${id}&limit=${limit}`);
    expect(items.map((item) => item.id)).toEqual(measured.sort(([, a], [, b]) => b - a).map(([one]) => one));
  });

  test.each([1, 2, 3])("of %d lose nothing where a client's clock jumped back between two results", async (limit) => {
    const other = await register();
    const { id } = await createTest(admin, { client_ids: [client.client_id, other.client_id] });
    const at = Date.now() - 600_000;
    const times = [5, 20, 10, 40, 30].map((seconds) => at + seconds * 1000);
    await store(times.map((started_at, index) => pingResult(index + 1, { test_id: id, started_at })));
    await store([pingResult(1, { test_id: id, started_at: at + 15_000 })], [], 1, other);
    const { items } = await pages(`test_id=${id}&limit=${limit}`);
    expect(items.map((item) => item.id).sort(byText)).toEqual(
      [...[1, 2, 3, 4, 5].map((seq) => `${client.client_id}.${seq}`), `${other.client_id}.1`].sort(byText),
    );
  });

  test("cover sixty clients, more than are asked at once", async () => {
    const fleet = await Promise.all(Array.from({ length: 60 }, () => register({ site: "many" })));
    const { id } = await createTest(admin, { selector: { site: "many" } });
    await Promise.all(fleet.map((who) => store([pingResult(1, { test_id: id }), pingResult(2, { test_id: id })], [], 2, who)));
    const { items } = await pages(`test_id=${id}&limit=17`);
    expect(new Set(items.map((item) => item.id)).size).toBe(120);
    expect(items.length).toBe(120);
  });
});

describe("filters", () => {
  test("by test, by status, by time, together", async () => {
    const [one, two] = [await createTest(admin), await createTest(admin)];
    const at = minute(Date.now()) - 600_000;
    const results = [1, 2, 3, 4, 5, 6].map((seq) =>
      pingResult(seq, {
        test_id: seq % 2 === 0 ? two.id : one.id,
        started_at: at + seq * 1000,
        status: seq > 4 ? "failed" : "ok",
        error: seq > 4 ? { code: "no_reply", source: "target", message: "no reply" } : null,
      }),
    );
    await store(results);
    const mine = (query: string) => page(`client_id=${client.client_id}${query}`).then(({ items }) => seqs(items));
    const time = (seconds: number) => encodeURIComponent(new Date(at + seconds * 1000).toISOString());
    expect(await mine(`&test_id=${two.id}`)).toEqual([6, 4, 2]);
    expect(await mine("&status=failed")).toEqual([6, 5]);
    expect(await mine(`&status=failed&test_id=${one.id}`)).toEqual([5]);
    expect(await mine(`&from=${time(3)}`)).toEqual([6, 5, 4, 3]);
    expect(await mine(`&to=${time(3)}`)).toEqual([3, 2, 1]);
    expect(await mine(`&from=${time(2)}&to=${time(5)}`)).toEqual([5, 4, 3, 2]);
    expect(await mine(`&from=${at + 2000}&to=${at + 5000}`)).toEqual([5, 4, 3, 2]);
    expect(await mine(`&from=${time(7)}`)).toEqual([]);
    expect(await mine("&test_id=no-such-test")).toEqual([]);
    const filtered = await pages(`client_id=${client.client_id}&test_id=${one.id}&limit=1`);
    expect(seqs(filtered.items)).toEqual([5, 3, 1]);
  });

  test.each(["test_id=0000000000000000", "client_id=0000000000000000"])("%s of nothing is 404", async (query) => {
    expect(await problemOf(await admin.send("GET", `/api/v1/results?${query}`))).toMatchObject({ status: 404 });
  });
});

describe("one result", () => {
  test("comes with the host as it was nearest in time", async () => {
    const at = Date.now() - 100_000;
    const host = (seq: number, seconds: number) =>
      hostSample(seq, { started_at: at + seconds * 1000, metrics: { cpu_percent: seconds } });
    const results = [pingResult(4, { started_at: at + 14_000 }), pingResult(5, { started_at: at + 16_000 })];
    await store(results, [host(1, 0), host(2, 10), host(3, 20)]);
    const cpu = async (seq: number) => (await admin.get<Result>(`/api/v1/results/${client.client_id}.${seq}`)).host?.cpu_percent;
    expect([await cpu(4), await cpu(5)]).toEqual([10, 20]);
    const { items } = await page(`client_id=${client.client_id}`);
    expect(items.map((item) => item.host?.cpu_percent)).toEqual([20, 10]);
  });

  test("a number that is a host sample, not there yet, or not a number: 404", async () => {
    await store([pingResult(1)], [hostSample(2)]);
    for (const seq of ["2", "3", "0", "-1", "1.1", "x", "", "1e0"]) {
      const response = await admin.send("GET", `/api/v1/results/${client.client_id}.${seq}`);
      expect([seq, response.status]).toEqual([seq, 404]);
    }
  });

  test("keeps null apart from zero, with the reason, and every part the agent sent", async () => {
    const error = { code: "no_reply", source: "target", message: "5 requests, no reply" };
    const sent = pingResult(1, {
      status: "failed",
      error,
      address: null,
      metrics: { ping_sent: 5, ping_received: 0, ping_loss_pct: 100, ping_rtt_median: null },
      reasons: { ping_rtt_median: "timeout" },
      detail: { replies: [], ünïcode: "…" },
      flags: ["slow"],
    });
    await store([sent]);
    const {
      metrics,
      reasons,
      detail,
      flags,
      address,
      error: said,
      status,
    } = await admin.get<Result>(`/api/v1/results/${client.client_id}.1`);
    expect({ metrics, reasons, detail, flags, address, error: said, status }).toEqual({
      metrics: sent.metrics,
      reasons: sent.reasons,
      detail: sent.detail,
      flags: ["slow"],
      address: null,
      error,
      status: "failed",
    });
  });
});

describe("series", () => {
  const series = (query: string) => admin.get<SeriesReply>(`/api/v1/series?client_id=${client.client_id}&${query}`);
  const rtt = (seq: number, at: number, value: number | null, sent = 10, received = 10) =>
    pingResult(seq, { started_at: at, metrics: { ping_sent: sent, ping_received: received, ping_rtt_median: value } });

  test("buckets hold count, least, median, 95th percentile, most and loss, computed by hand", async () => {
    const start = minute(Date.now()) - 1_800_000;
    const values = [30, 10, 20, 40];
    const twenty = Array.from({ length: 20 }, (_, index) => index + 1);
    const results = [
      ...values.map((value, index) => rtt(index + 1, start + index * 1000, value)),
      ...twenty.map((value, index) => rtt(index + 5, start + 120_000 + index * 1000, value, 10, value === 20 ? 5 : 10)),
      rtt(25, start + 180_000, null, 10, 0),
      rtt(26, start + 240_000, 7, 30, 29),
      rtt(27, start + 241_000, null, 10, 0),
    ];
    await store(results);
    const { resolution_s, series: found } = await series(`metric=ping_rtt_median&from=${start}&to=${start + 600_000}&points=10`);
    expect(resolution_s).toBe(60);
    expect(found).toEqual([
      {
        client_id: client.client_id,
        test_id: "starter-ping",
        peer_id: null,
        metric: "ping_rtt_median",
        unit: "ms",
        // The second minute is absent: nothing was measured in it.
        t: [start, start + 120_000, start + 180_000, start + 240_000],
        count: [4, 20, 1, 2],
        min: [10, 1, null, 7],
        median: [25, 10.5, null, 7],
        // Nearest rank: ceil(0.95 * 4) = 4th, ceil(0.95 * 20) = 19th.
        p95: [40, 19, null, 7],
        max: [40, 20, null, 7],
        // 5 of 200; all; 11 of 40, not the mean of 3.3 % and 100 %.
        loss_pct: [0, 2.5, 100, 27.5],
      },
    ]);
  });

  test("tests stay apart, metrics too, and one asked twice is counted once", async () => {
    const [one, two] = [await createTest(admin), await createTest(admin)];
    const at = minute(Date.now()) - 600_000;
    await store([1, 2, 3].map((seq) => pingResult(seq, { test_id: seq === 3 ? two.id : one.id, started_at: at + seq })));
    const { series: found } = await series("metric=ping_rtt_min&metric=ping_rtt_max&metric=ping_rtt_min&points=2000");
    const seen = found.map(({ test_id, metric, count, max }) => [test_id, metric, count, max].join(" "));
    const wanted = [
      [one.id, "ping_rtt_max", [2], [0.09]],
      [one.id, "ping_rtt_min", [2], [0.03]],
      [two.id, "ping_rtt_max", [1], [0.09]],
      [two.id, "ping_rtt_min", [1], [0.03]],
    ];
    expect(seen.sort(byText)).toEqual(wanted.map((row) => row.join(" ")).sort(byText));
    const { series: only } = await series(`metric=ping_rtt_min&test_id=${two.id}`);
    expect(only.map(({ test_id }) => test_id)).toEqual([two.id]);
  });

  test("a test id with blanks stays whole", async () => {
    await store([pingResult(1, { test_id: "lab bench 2" })]);
    const { series: found } = await series("metric=ping_rtt_median");
    expect(found).toMatchObject([{ test_id: "lab bench 2", metric: "ping_rtt_median", unit: "ms" }]);
  });

  test("marks the buckets in which the measuring host explains the figures, and no others", async () => {
    const { id } = await createTest(admin, { client_ids: [client.client_id] });
    const at = minute(Date.now()) - 600_000;
    const run = (seq: number, minutes: number, ...flags: string[]) =>
      pingResult(seq, { test_id: id, started_at: at + minutes * 60_000, flags });
    const results = [
      run(1, 0),
      run(2, 1, "host_overloaded", "route_changed"),
      run(3, 1, "host_overloaded"),
      run(4, 3, "clock_step", "host_overloaded"),
      run(5, 4),
    ];
    await store(results, [hostSample(6, { started_at: at + 60_000, flags: ["cut_off"] })]);
    const range = `from=${at}&to=${at + 300_000}&points=5`;
    const mark = (flag: string, minutes: number[], test_id: string | null = id) => ({
      client_id: client.client_id,
      test_id,
      peer_id: null,
      flag,
      t: minutes.map((n) => at + n * 60_000),
    });
    const { marks } = await series(`metric=ping_rtt_median&${range}`);
    expect(marks).toEqual([mark("host_overloaded", [1, 3]), mark("clock_step", [3])]);
    expect((await series(`metric=cpu_percent&${range}`)).marks).toEqual([mark("cut_off", [1], null)]);
    expect((await series(`metric=http_ttfb_ms&${range}`)).marks).toEqual([]);
  });

  test("a test of several clients has a series for each", async () => {
    const other = await register();
    const { id } = await createTest(admin, { client_ids: [client.client_id, other.client_id] });
    for (const who of [client, other]) await store([pingResult(1, { test_id: id })], [], 1, who);
    const { series: found } = await admin.get<SeriesReply>(`/api/v1/series?test_id=${id}&metric=ping_rtt_median`);
    expect(found.map(({ client_id }) => client_id).sort(byText)).toEqual([client.client_id, other.client_id].sort(byText));
  });

  test("of the host belong to no test and carry no loss", async () => {
    const at = minute(Date.now()) - 600_000;
    const host = (seq: number, cpu: number | null) => hostSample(seq, { started_at: at + seq, metrics: { cpu_percent: cpu } });
    await store([], [host(1, 10), host(2, 30), host(3, null)]);
    const { series: found } = await series(`metric=cpu_percent&from=${at}&to=${at + 60_000}&points=1`);
    expect(found).toEqual([
      expect.objectContaining({
        test_id: null,
        peer_id: null,
        metric: "cpu_percent",
        unit: "%",
        count: [2],
        min: [10],
        median: [20],
        max: [30],
      }),
    ]);
    expect(found[0]).not.toHaveProperty("loss_pct");
  });

  test.each([
    [3_600_000, 60, 60],
    [86_400_000, 500, 300],
    [86_400_000, 2000, 60],
    [1000, 2000, 1],
    [34_300_800_000, 2000, 21_600],
  ])("over %d ms in at most %d points have buckets of %d s", async (range, points, resolution_s) => {
    const to = Date.now();
    const reply = await series(`metric=cpu_percent&from=${to - range}&to=${to}&points=${points}`);
    expect(reply.resolution_s).toBe(resolution_s);
    expect(range / 1000 / reply.resolution_s).toBeLessThanOrEqual(points);
  });

  test.each([
    ["metric=ping_rtt_quantum", "metric"],
    ["metric=__proto__", "metric"],
    ["metric=constructor", "metric"],
    ["points=10", "metric"],
    ["metric=cpu_percent&from=2000&to=1000", "from"],
    ["metric=cpu_percent&from=1000&to=1000", "from"],
    [Array.from({ length: 17 }, (_, index) => `metric=x${index}`).join("&"), "metric"],
  ])("%s is refused and named", async (query, path) => {
    const problem = await problemOf(await admin.send("GET", `/api/v1/series?client_id=${client.client_id}&${query}`));
    expect(problem).toMatchObject({ status: 400, code: "bad_query" });
    expect(problem.errors.map((error) => error.path)).toContain(path);
  });
});
