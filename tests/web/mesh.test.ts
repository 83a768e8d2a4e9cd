import { expect, test } from "vitest";
import type { SeriesReply, TestDetail } from "#contract/api";
import type { Result } from "#contract/result";
import { baselines, bySite, firstPair, type Mesh, meshOf, meshVerdict, pairKey, worsening } from "../../web/state/mesh.ts";
import { result } from "./make.ts";

type Client = TestDetail["clients"][number];

const udp = (rtt: number | null, patch: Partial<Result> = {}): Result =>
  result(1, { type: "udp", metrics: { udp_rtt_median: rtt, udp_loss_pct: 0 }, ...patch });

const client = (
  id: string,
  site: string,
  peers: readonly (readonly [string, Result | null])[],
  patch: Partial<Client> = {},
): Client => ({
  id,
  name: `${id}-gw`,
  site,
  status: "online",
  latest: null,
  peers: peers.map(([peer_id, latest]) => ({ peer_id, name: `${peer_id}-gw`, latest })),
  peers_left_out: 0,
  ...patch,
});

const meshWith = (clients: Client[], usual: ReadonlyMap<string, number> = new Map()) => meshOf({ type: "udp", clients }, usual);
const cell = (mesh: Mesh, from: string, to: string) =>
  mesh.rows.flatMap(({ cells }) => cells).find((one) => one?.from.id === from && one.to.id === to);

test("rows and columns stand in the same order, by site; nobody measures itself", () => {
  const mesh = meshWith([
    client("b", "Osaka", [["a", udp(80)]]),
    client("a", "Lyon", [
      ["b", udp(80)],
      ["z", null],
    ]),
  ]);
  expect(mesh.rows.map((row) => row.client.id)).toEqual(["a", "b"]);
  expect(mesh.peers.map(({ id }) => id)).toEqual(["a", "b", "z"]);
  expect(mesh.rows[0]?.cells.map((one) => one?.value ?? null)).toEqual([null, 80, null]);
  expect(mesh.metric).toBe("udp_rtt_median");
});

test.each([
  [20, 20, 1],
  [60, 20, 3],
  [5, 20, 1],
  // A quiet LAN: many times worse, and nobody could tell.
  [0.9, 0.2, 1],
  [6, 0.5, 12],
  [20, 0, 0],
])("%s ms where %s is usual is %s times worse", (value, usual, times) =>
  expect(worsening("udp_rtt_median", value, usual)).toBeCloseTo(times),
);

test("of what is better when higher, less is worse", () => {
  expect(worsening("bw_down_mbps", 10, 40)).toBe(4);
  expect(worsening("bw_down_mbps", 40, 10)).toBe(0.25);
  expect(worsening("bw_down_mbps", 0, 10)).toBe(Number.POSITIVE_INFINITY);
});

test("a cell is judged by failure, loss, and its own pair's usual value", () => {
  const failed = udp(null, { status: "failed", error: { code: "no_reply", source: "network", message: "no answer" } });
  const lossy = udp(20, { metrics: { udp_rtt_median: 20, udp_loss_pct: 4.8 } });
  const usual = new Map([
    [pairKey("a", "b"), 20],
    [pairKey("a", "c"), 20],
    [pairKey("a", "d"), 20],
  ]);
  const peers = [
    ["b", udp(22)],
    ["c", udp(40)],
    ["d", udp(100)],
    ["e", failed],
    ["f", lossy],
    ["g", null],
    ["h", udp(500)],
  ] as const;
  const mesh = meshWith([client("a", "Lyon", peers)], usual);
  const tone = (to: string) => cell(mesh, "a", to)?.tone;
  expect([..."bcdefgh"].map(tone)).toEqual(["ok", "warn", "bad", "bad", "warn", "none", "ok"]);
  expect(cell(mesh, "a", "d")?.why).toBe("usually 20 ms");
  expect(cell(mesh, "a", "e")?.why).toBe("no reply");
  expect(cell(mesh, "a", "f")?.why).toBe("4.8 % lost");
  expect(firstPair(mesh)?.to.id).toBe("d");
});

test("a pair that was not measured here is neither well nor failing, and says why", () => {
  const cutOff = udp(null, { status: "failed", error: { code: "cut_off", source: "agent", message: "It reached nothing" } });
  const mesh = meshWith([client("a", "Lyon", [["b", cutOff]]), client("b", "Osaka", [["a", udp(20)]])]);
  expect(cell(mesh, "a", "b")).toMatchObject({ tone: "none", why: "not measured: the client's own line was cut" });
  expect(meshVerdict(mesh)).toMatchObject({ tone: "ok", text: expect.stringContaining("1 pair has no current result") });
});

test("what an offline client measured last is no current figure", () => {
  const mesh = meshWith([client("a", "", [["b", udp(20)]], { status: "offline" }), client("b", "", [["a", udp(20)]])]);
  expect(cell(mesh, "a", "b")).toMatchObject({ tone: "none", value: 20 });
  expect(meshVerdict(mesh)).toEqual({
    tone: "ok",
    text: "All 1 measured pair answer as usual. 1 pair has no current result.",
  });
});

test("the mesh in a sentence: the worst pair, or none", () => {
  const worst = meshWith(
    [client("a", "", [["b", udp(90)]]), client("b", "", [["a", udp(20)]])],
    new Map([[pairKey("a", "b"), 20]]),
  );
  expect(meshVerdict(worst)).toEqual({
    tone: "bad",
    text: "1 of 2 pairs stands out; the worst is a-gw → b-gw: 90 ms, usually 20 ms.",
  });
  expect(meshVerdict(meshWith([])).tone).toBe("none");
  expect(meshVerdict(meshWith([client("a", "", [["b", null]])])).text).toBe("None of the 1 pair has been measured lately.");
});

const series = (median: (number | null)[], count: number[], patch: Partial<SeriesReply["series"][number]> = {}) => ({
  client_id: "a",
  test_id: "t",
  peer_id: "b",
  metric: "udp_rtt_median",
  unit: "ms",
  t: median.map((_, index) => index),
  count,
  min: median,
  median,
  p95: median,
  max: median,
  ...patch,
});

test("usual is the middle of a pair's day, once there is enough of it", () => {
  const reply = (one: SeriesReply["series"][number]) => ({ resolution_s: 3600, series: [one], marks: [] });
  const usual = (one: SeriesReply["series"][number]) => baselines(reply(one), "udp_rtt_median").get(pairKey("a", "b"));
  expect(usual(series([20, 22, 400], [10, 10, 10]))).toBe(22);
  expect(usual(series([20, null], [10, 10]))).toBe(20);
  expect(usual(series([20], [3]))).toBeUndefined();
  expect(usual(series([20], [60], { peer_id: null }))).toBeUndefined();
  expect(usual(series([20], [60], { metric: "udp_loss_pct" }))).toBeUndefined();
  expect(baselines(undefined, "udp_rtt_median").size).toBe(0);
});

test("by site, a cell is the worst pair between the two", () => {
  const mesh = meshWith([
    client("a", "Lyon", [
      ["b", udp(20)],
      ["c", udp(20, { metrics: { udp_rtt_median: 20, udp_loss_pct: 9 } })],
    ]),
    client("b", "Osaka", []),
    client("c", "Osaka", []),
  ]);
  const { sites, cells } = bySite(
    mesh,
    new Map([
      ["b", "Osaka"],
      ["c", "Osaka"],
    ]),
  );
  expect(sites).toEqual(["Lyon", "Osaka"]);
  expect(cells.get(pairKey("Lyon", "Osaka"))).toMatchObject({ pairs: 2, worst: { to: { id: "c" }, tone: "bad" } });
});
