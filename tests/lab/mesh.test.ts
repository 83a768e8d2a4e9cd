// Four offices measure each other by one test: every pair has its figure, and an impaired access link shows in its pairs only.
import { expect } from "vitest";
import { pageOf } from "#contract/api";
import { type Result, resultSchema } from "#contract/result";
import { until } from "../support/wait.ts";
import { LabFleet, OFFICES } from "./harness/fleet.ts";
import type { Lab } from "./harness/lab.ts";
import { labTest, random, report } from "./harness/lab-test.ts";
import { Sheet } from "./harness/rows.ts";

const PAIRS = OFFICES.length * (OFFICES.length - 1);
/** Delay of the first office's access link, each way; the others' links have none. */
const DELAY_MS = random.integer(5, 40);
/** Two ends in user space beside five other processes: a pair without delay reads below this. */
const NEAR_MS = 6;

const resultsPage = pageOf(resultSchema);

/** The newest good result of every pair, by `from>to`. */
async function newestByPair(fleet: LabFleet, testId: string): Promise<Map<string, Result>> {
  const found = new Map<string, Result>();
  const names = new Map(Object.entries(fleet.ids).map(([name, id]) => [id, name]));
  for (const [from, clientId] of Object.entries(fleet.ids)) {
    const { items } = await fleet.api.get(`/results?test_id=${testId}&client_id=${clientId}&limit=50`, resultsPage);
    for (const result of items.toReversed()) {
      const to = names.get(result.peer_id ?? "");
      if (to !== undefined && result.status === "ok") found.set(`${from}>${to}`, result);
    }
  }
  return found;
}

/** What the newest result of every pair says. */
async function statusByPair(fleet: LabFleet, testId: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const clientId of Object.values(fleet.ids)) {
    const { latest } = await fleet.api.client(clientId);
    for (const { test_id, peer_id, client_id, status } of latest) {
      if (test_id === testId) found.set([client_id, peer_id].map((id) => nameOf(fleet, id)).join(">"), status);
    }
  }
  return found;
}

const nameOf = (fleet: LabFleet, id: string | null) => Object.entries(fleet.ids).find(([, known]) => known === id)?.[0] ?? "";

async function meshRows(lab: Lab): Promise<void> {
  await lab.shape("l1", `delay=${DELAY_MS}ms`);
  const fleet = await LabFleet.start(lab);
  try {
    const made = await fleet.api.createTest({
      name: "office to office",
      type: "udp",
      destination: "mesh",
      interval_s: 10,
      params: { count: 100 },
      selector: { all: true },
    });
    const pairs = await until(
      "a good result of every pair",
      60_000,
      () => newestByPair(fleet, made.id),
      (seen) => seen.size === PAIRS,
    );
    const sheet = new Sheet({ bar: "mesh", setting: `4 offices, ${DELAY_MS} ms each way at the first`, family: 4 });
    for (const [pair, result] of [...pairs].sort(([a], [b]) => a.localeCompare(b))) {
      const truth = pair.includes("agent") ? 2 * DELAY_MS : 0;
      const rtt = result.metrics.udp_rtt_median;
      sheet.near(`rtt ${pair}`, truth + NEAR_MS / 2, typeof rtt === "number" ? rtt : null, NEAR_MS / 2);
      sheet.equal(`loss ${pair}`, 0, result.metrics.udp_loss_pct);
      expect(result.detail.peer).toMatchObject({ client_id: result.peer_id });
    }
    await lab.change("l1", "loss=100%");
    const cut = await until(
      "the pairs of the office that was cut off to fail, and no other",
      60_000,
      () => statusByPair(fleet, made.id),
      (seen) => [...seen].every(([pair, status]) => (status === "failed") === pair.includes("agent")),
    );
    sheet.equal("failing pairs once it is cut off", 6, [...cut.values()].filter((status) => status === "failed").length);
    report(sheet.rows);
  } finally {
    await fleet.stop();
  }
}

labTest("mesh: four offices by one test", meshRows);
