// An office loses its line and its management line, and gets them back: no target is called down for that time, the host says
// how long it was cut off. Then the two cases that must not be taken for it: a dead target, and a dead line beside a live edge.
import { setTimeout as pause } from "node:timers/promises";
import { afterAll } from "vitest";
import { pageOf, type SeriesReply } from "#contract/api";
import { eventSchema } from "#contract/events";
import { type Result, resultSchema } from "#contract/result";
import { until } from "../support/wait.ts";
import { LabFleet } from "./harness/fleet.ts";
import type { Lab } from "./harness/lab.ts";
import { labTest, report } from "./harness/lab-test.ts";
import { TARGET } from "./harness/ping-rows.ts";
import { bound, Sheet } from "./harness/rows.ts";

const OFFICE = "agent";
const CUT_MS = 20_000;
/** How far the told span may be from the true one. */
const SPAN_MS = 3000;
/** Other sources than the measuring host. */
const ELSEWHERE: readonly string[] = ["target", "network", "resolver"];

const events = pageOf(eventSchema);
const results = pageOf(resultSchema);

/** Tests of every kind of probe that a cut line can hurt, by their intervals in seconds. */
const TESTS = [
  { name: "ping", type: "ping", destination: TARGET[4], interval_s: 3, params: { count: 5, timeout: 1 } },
  { name: "tcp", type: "tcp", destination: `${TARGET[4]}:7`, interval_s: 2, params: {} },
  { name: "http", type: "http", destination: `http://${TARGET[4]}/`, interval_s: 5, params: {} },
  { name: "dns", type: "dns", destination: "target.lab", interval_s: 4, params: {} },
] as const;

type Cut = "pulled" | "silent";

class Scene {
  readonly #lab: Lab;
  readonly fleet: LabFleet;

  constructor(lab: Lab, fleet: LabFleet) {
    this.#lab = lab;
    this.fleet = fleet;
  }

  get #id(): string {
    return this.fleet.ids[OFFICE] ?? "";
  }

  /** Both lines of the office: `pulled` on its own side, which takes its routes, or `silent` beyond it, where nothing tells it. */
  async lines(how: Cut, state: "up" | "down"): Promise<void> {
    const [link, node] = how === "pulled" ? (["mgmt0", OFFICE] as const) : ([`m-${OFFICE}`, "edge"] as const);
    const measured = how === "pulled" ? `state=${state}` : `loss=${state === "down" ? "100%" : "0"}`;
    await Promise.all([this.#lab.change("l1", measured), this.#lab.exec(["ip", "link", "set", link, state], { node })]);
  }

  async results(from: number, to: number): Promise<Result[]> {
    const range = `from=${new Date(from).toISOString()}&to=${new Date(to).toISOString()}`;
    const { items } = await this.fleet.api.get(`/results?client_id=${this.#id}&${range}&limit=1000`, results);
    return items.filter(({ test_id }) => test_id !== null);
  }

  async eventsSince(moment: number): Promise<number> {
    const { items } = await this.fleet.api.get(`/events?client_id=${this.#id}`, events);
    return items.filter(({ opened_at }) => Date.parse(opened_at) >= moment).length;
  }

  /** Seconds cut off that each host sample of a time tells, by its moment. */
  async cutOff(from: number, to: number): Promise<{ t: number; seconds: number }[]> {
    const { series }: SeriesReply = await this.fleet.api.series({
      client_id: this.#id,
      metric: "agent_cut_off_s",
      from: new Date(from).toISOString(),
      to: new Date(to).toISOString(),
      points: "2000",
    });
    const [column] = series;
    return (column?.t ?? []).map((t, index) => ({ t, seconds: column?.max[index] ?? 0 }));
  }

  /** Waits until every test has an ok result that began after a moment. */
  async fine(since: number): Promise<void> {
    await until(
      "a good result of every test",
      60_000,
      () => this.fleet.api.client(this.#id),
      ({ latest }) =>
        TESTS.every(({ type }) =>
          latest.some((one) => one.type === type && one.status === "ok" && Date.parse(one.started_at) >= since),
        ),
    );
  }
}

const began = ({ started_at }: Result): number => Date.parse(started_at);
const ended = (result: Result): number => began(result) + result.duration_ms;
const blames = ({ status, error }: Result): boolean => status !== "ok" && ELSEWHERE.includes(error?.source ?? "");
const isCutOff = ({ error, flags }: Result): boolean => error?.code === "cut_off" && flags.includes("cut_off");

async function bothLines(scene: Scene, how: Cut): Promise<Sheet> {
  const from = Date.now();
  await scene.lines(how, "down");
  const down = (from + Date.now()) / 2;
  await pause(CUT_MS);
  const before = Date.now();
  await scene.lines(how, "up");
  const up = (before + Date.now()) / 2;
  const isLate = (one: Result) => began(one) > up + 1000 * intervalOf(one);
  // What was measured meanwhile is delivered with the first connection after it.
  const all = await until(
    "a stored result of every test, an interval after the return",
    60_000,
    () => scene.results(from - 10_000, Date.now()),
    (some) => TESTS.every(({ type }) => some.some((one) => one.type === type && isLate(one))),
  );
  const hurt = all.filter((result) => ended(result) >= from && began(result) <= before);
  const sheet = new Sheet({ bar: "cut off", setting: `both lines ${how} for ${CUT_MS / 1000} s`, family: 4 });
  const lost = hurt.filter(({ status }) => status !== "ok");
  sheet.judge("results of that time", bound("≥ 10"), lost.length, lost.length >= 10);
  sheet.equal("of them, types", TESTS.length, new Set(lost.map(({ type }) => type)).size);
  sheet.equal("of them, that blame somebody else", 0, lost.filter(blames).length);
  sheet.equal("of them, not told as cut off", 0, lost.filter((one) => !isCutOff(one)).length);
  const late = all.filter(isLate);
  sheet.equal(
    "results after the return, an interval later",
    "all ok",
    late.every(({ status }) => status === "ok") ? "all ok" : "not",
  );
  sheet.equal("events opened", 0, await scene.eventsSince(from - 10_000));
  const told = (await scene.cutOff(from - SPAN_MS, Date.now())).filter(({ seconds }) => seconds > 0);
  const [first] = told;
  const since = first === undefined ? Number.NaN : first.t - first.seconds * 1000;
  const total = told.reduce((sum, { seconds }) => sum + seconds, 0) * 1000;
  sheet.judge("begin told, ms from the truth", bound(`± ${SPAN_MS}`), since - down, Math.abs(since - down) <= SPAN_MS);
  sheet.judge(
    "time told, ms from the truth",
    bound(`± ${SPAN_MS}`),
    total - (up - down),
    Math.abs(total - (up - down)) <= SPAN_MS,
  );
  return sheet;
}

const intervalOf = ({ type }: Result): number => TESTS.find((test) => test.type === type)?.interval_s ?? 5;

/** A fault that is not the host's: results say so, and nothing is told as cut off. */
async function notCutOff(scene: Scene, setting: string, fault: () => Promise<void>, ms: number): Promise<Sheet> {
  const from = Date.now();
  await fault();
  const broken = Date.now();
  await pause(ms);
  const now = Date.now();
  const hurt = (await scene.results(broken, now)).filter(({ status }) => status === "failed");
  const sheet = new Sheet({ bar: "cut off", setting, family: 4 });
  sheet.judge("failed pings and connects", bound("≥ 3"), hurt.length, hurt.length >= 3);
  const blaming = hurt.filter(blames).length;
  sheet.equal("of them, the target or its network is blamed", hurt.length, blaming);
  sheet.equal("of them, flagged", 0, hurt.filter(({ flags }) => flags.includes("cut_off")).length);
  const told = await scene.cutOff(from, now);
  sheet.equal(
    "seconds told as cut off",
    0,
    told.reduce((sum, { seconds }) => sum + seconds, 0),
  );
  return sheet;
}

let shared: Scene | undefined;

/** The office at work: every test was fine a moment ago. One fleet serves the whole file, as it takes long to start. */
async function atWork(lab: Lab): Promise<Scene> {
  if (shared === undefined) {
    await lab.shape("l2", "delay=5ms");
    shared = new Scene(lab, await LabFleet.start(lab, [OFFICE]));
    for (const test of TESTS) await shared.fleet.api.createTest({ ...test, selector: { all: true } });
  }
  await shared.fine(Date.now());
  return shared;
}

afterAll(() => shared?.fleet.stop());

for (const how of ["silent", "pulled"] as const) {
  labTest(`cut off: both lines of an office are ${how}`, async (lab) => {
    const sheet = await bothLines(await atWork(lab), how);
    report(sheet.rows);
  });
}

labTest("not cut off: a dead target", async (lab) => {
  const scene = await atWork(lab);
  const died = Date.now();
  const sheet = await notCutOff(scene, "the target dies", () => lab.change("l3", "state=down"), 12_000);
  const opened = await scene.eventsSince(died);
  sheet.judge("events opened", bound("≥ 1"), opened, opened >= 1);
  await lab.change("l3", "state=up");
  report(sheet.rows);
});

labTest("not cut off: a dead line beside a live edge", async (lab) => {
  const scene = await atWork(lab);
  const sheet = await notCutOff(scene, "its line dies, the edge is reached", () => lab.change("l1", "loss=100%"), 12_000);
  await lab.change("l1", "loss=0");
  report(sheet.rows);
});
