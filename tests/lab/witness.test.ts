// A fault on one office's access link, then a dead target: what the witnesses saw is stored within ten seconds, and says whose fault it is.
import type { z } from "zod";
import { pageOf } from "#contract/api";
import { eventDetailSchema, eventSchema } from "#contract/events";
import { until } from "../support/wait.ts";
import { LabFleet, OFFICES } from "./harness/fleet.ts";
import type { Lab } from "./harness/lab.ts";
import { labTest, report } from "./harness/lab-test.ts";
import { TARGET } from "./harness/ping-rows.ts";
import { bound, Sheet } from "./harness/rows.ts";

type Detail = z.output<typeof eventDetailSchema>;

const WITHIN_MS = 10_000;
const events = pageOf(eventSchema);
const VICTIM = "agent";

/** Every office watches the target, and knows the way to it. */
async function watchTarget(fleet: LabFleet): Promise<string> {
  const shared = { destination: TARGET[4], selector: { all: true } };
  const path = await fleet.api.createTest({ ...shared, name: "path", type: "traceroute", interval_s: 300 });
  const ping = { count: 5, timeout: 1 };
  const made = await fleet.api.createTest({ ...shared, name: "target", type: "ping", interval_s: 5, params: ping });
  await until(
    "a good result of both tests from every office",
    60_000,
    () => Promise.all(Object.values(fleet.ids).map((id) => fleet.api.client(id))),
    (clients) =>
      clients.every(({ latest }) =>
        [path.id, made.id].every((id) => latest.some(({ test_id, status }) => test_id === id && status === "ok")),
      ),
  );
  return made.id;
}

/** The event of a client's test that opened since, once its witnesses have spoken. */
async function complete(fleet: LabFleet, testId: string, clientId: string, since: number): Promise<Detail> {
  const listed = () => fleet.api.get(`/events?client_id=${clientId}&test_id=${testId}`, events);
  const { items } = await until("a complete event", 45_000, listed, (page) =>
    page.items.some(({ opened_at, completed_at }) => Date.parse(opened_at) >= since && completed_at !== null),
  );
  const found = items.find(({ opened_at }) => Date.parse(opened_at) >= since);
  return fleet.api.get(`/events/${found?.id}`, eventDetailSchema);
}

const tookMs = ({ opened_at, completed_at }: Detail) => Date.parse(completed_at ?? "") - Date.parse(opened_at);

async function accessFault(lab: Lab, fleet: LabFleet, testId: string): Promise<Sheet> {
  const since = Date.now();
  await lab.change("l1", "loss=100%");
  const event = await complete(fleet, testId, fleet.ids[VICTIM] ?? "", since);
  const { edge, siblings, diff, last_good } = event.evidence;
  const sheet = new Sheet({ bar: "witness", setting: "the victim's access link", family: 4 });
  sheet.equal("verdict", "access", event.verdict);
  sheet.atMost("ms from opened to complete", WITHIN_MS, tookMs(event));
  sheet.equal("the edge's own check", "ok", edge.state);
  sheet.equal("siblings that reach it", 2, siblings.filter(({ opinion, path }) => opinion === "fine" && path?.reached).length);
  sheet.equal("hops of the last good path", 3, last_good?.hops.length);
  sheet.equal("the victim's path", "stops", diff?.outcome);
  sheet.equal("it stops after hop", 0, diff?.stops_after_ttl);
  return sheet;
}

async function deadTarget(lab: Lab, fleet: LabFleet, testId: string): Promise<Sheet> {
  const since = Date.now();
  await lab.change("l3", "state=down");
  // The victim's test had its event a moment ago, and a test has one in five minutes at most.
  const others = OFFICES.filter((office) => office !== VICTIM);
  const seen = await Promise.all(others.map((office) => complete(fleet, testId, fleet.ids[office] ?? "", since)));
  const sheet = new Sheet({ bar: "witness", setting: "a dead target", family: 4 });
  for (const [index, event] of seen.entries()) {
    const who = others[index] ?? "";
    sheet.equal(`verdict at ${who}`, "target", event.verdict);
    sheet.atMost(`ms from opened to complete at ${who}`, WITHIN_MS, tookMs(event));
    const { edge, siblings } = event.evidence;
    sheet.equal(`the edge's check at ${who}`, "failed", edge.state);
    const against = siblings.filter(({ opinion }) => opinion === "fine").length;
    sheet.judge(`siblings at ${who}`, bound("≥ 1, none reaches it"), siblings.length, siblings.length > 0 && against === 0);
  }
  return sheet;
}

labTest("witnesses: an access fault and a dead target", async (lab) => {
  await lab.shape("l2", "delay=5ms");
  const fleet = await LabFleet.start(lab);
  try {
    const testId = await watchTarget(fleet);
    const access = await accessFault(lab, fleet, testId);
    await lab.change("l1", "loss=0");
    const open = () => fleet.api.get(`/events?test_id=${testId}&open=true`, events);
    await until("the event to close", 30_000, open, ({ items }) => items.length === 0);
    const target = await deadTarget(lab, fleet, testId);
    report([...access.rows, ...target.rows]);
  } finally {
    await fleet.stop();
  }
});
