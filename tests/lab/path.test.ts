// Bar 4: the hop list, equal-cost paths, changes of the route, hops that are silent or answer seldom.

import { FAMILIES, type Family, type Lab } from "./harness/lab.ts";
import { FULL, labTest, report } from "./harness/lab-test.ts";
import { number, type Result } from "./harness/ours.ts";
import { bestPeer, hopsOf, ourRoute, route, tally, trace, trueHops } from "./harness/path-rows.ts";
import { pathPeers } from "./harness/peers.ts";
import { apply, TARGET } from "./harness/ping-rows.ts";
import { atBest, bound, type Row, Sheet, together } from "./harness/rows.ts";

const SETTINGS: readonly { name: string; shape: readonly string[] | string }[] = [
  { name: "clean", shape: "clean" },
  { name: "dsl", shape: "dsl" },
  { name: "silent hop", shape: ["l2", "delay=5ms", "net", "silent=r2"] },
  { name: "path MTU 1400", shape: "pmtu" },
  { name: "lossy 2 %", shape: "lossy" },
  { name: "8 hops, 2 silent", shape: ["l1", "delay=1ms", "l2", "delay=8ms", "net", "hops=8", "silent=x2,x5"] },
];

/** Of 50 runs 49 must be exact. The short form makes few, and all 50 as soon as one misses. */
const MANY = 50;
const FEW = 3;

async function hopRows(lab: Lab, setting: string, family: Family): Promise<Row[]> {
  const truth = route(trueHops(await lab.truth(), family));
  const once = async () => ourRoute(await trace(lab, family));
  let ours = await tally(FULL ? MANY : FEW, truth, once);
  if (ours.exact < ours.runs) ours = await tally(MANY, truth, once, ours);
  const peers = await pathPeers(lab, family, TARGET[family]);
  const wanted = ours.runs === MANY ? MANY - 1 : ours.runs;
  const sheet = new Sheet({ bar: "4", setting, family });
  const said = ours.wrong === null ? ours.exact : `${ours.exact}, once ${ours.wrong}`;
  const exact = bound(`≥ ${wanted} of ${ours.runs}: ${truth}`);
  sheet.judge("exact hop lists", exact, said, ours.exact >= wanted, bestPeer(peers, truth));
  return sheet.rows;
}

for (const { name, shape } of SETTINGS) {
  labTest(`route: ${name}`, async (lab) => {
    await apply(lab, shape);
    report(await together((family) => hopRows(lab, name, family)));
  });
}

interface Flow {
  flow: number;
  path: (string | null)[];
}

/** Every flow keeps to one path through both next hops' TTL. */
function flowsAreStable(result: Result, nextHops: readonly string[]): boolean {
  const flows = (result.detail.flows ?? []) as Flow[];
  const second = flows.map((flow) => flow.path[1] ?? null);
  return flows.length > 1 && second.every((address) => address !== null && nextHops.includes(address));
}

async function ecmpRows(lab: Lab, mode: string, family: Family): Promise<Row[]> {
  const truth = trueHops(await lab.truth(), family);
  const result = await trace(lab, family, { rounds: 3, interval: 0.5 });
  const peers = await pathPeers(lab, family, TARGET[family]);
  // Six flows may all fall on one of the two ways: once in 32.
  const sheet = new Sheet({ bar: "4", setting: `equal-cost paths ${mode}`, family, chance: true });
  sheet.equal("route", route(truth), ourRoute(result), bestPeer(peers, route(truth)));
  sheet.equal("width", 2, number(result, "path_ecmp_width"));
  sheet.equal("every flow has one path", true, flowsAreStable(result, truth[1] ?? []));
  const steady = new Sheet({ bar: "4", setting: `equal-cost paths ${mode}`, family });
  steady.equal("path changed", false, result.metrics.path_changed);
  return [...sheet.rows, ...steady.rows];
}

for (const mode of ["on", "both"]) {
  labTest(`route: equal-cost paths, ecmp=${mode}`, async (lab) => {
    await lab.shape("l1", "delay=1ms", "l2", "delay=5ms", "l4", "delay=15ms", "net", `ecmp=${mode}`);
    report(await atBest(() => together((family) => ecmpRows(lab, mode, family))));
  });
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

labTest("route: a change is reported once", async (lab) => {
  await lab.shape("l2", "delay=5ms", "l4", "delay=5ms", "net", "hops=4");
  const rounds = { rounds: 6, interval: 1, deadline: 60 };
  const watched = Promise.all(FAMILIES.map((family) => trace(lab, family, rounds)));
  await sleep(3000);
  await lab.change("net", "route=r3");
  const switched = Date.now();
  const truth = await lab.truth();
  const during = await watched;
  const after = await Promise.all(FAMILIES.map((family) => trace(lab, family, { rounds: 3, interval: 0.5 })));
  const rows = FAMILIES.flatMap((family, index) => {
    const sheet = new Sheet({ bar: "path change", setting: "r2 to r3", family });
    sheet.equal("during: changed", true, during[index]?.metrics.path_changed);
    const changes = (during[index]?.detail.changes ?? []) as { round: number }[];
    sheet.equal("during: changes told", 1, changes.length);
    // The first round that began after the switch saw nothing but the new route.
    const since = switched - Date.parse(during[index]?.started_at ?? "");
    sheet.atMost("during: round of the change", Math.ceil(since / (rounds.interval * 1000)) + 1, changes[0]?.round ?? null);
    sheet.equal("after: changed", false, after[index]?.metrics.path_changed);
    sheet.equal("after: route", route(trueHops(truth, family)), after[index] && ourRoute(after[index]));
    return sheet.rows;
  });
  report(rows);
});

labTest("route: a hop that answers seldom has no loss", async (lab) => {
  await lab.shape("l2", "delay=5ms", "net", "icmp-ratelimit=1000");
  const truth = await lab.truth();
  report(
    await together(async (family) => {
      const result = await trace(lab, family, { rounds: 2, interval: 0.5, flows: 2 });
      const sheet = new Sheet({ bar: "4", setting: "rate-limited answers", family });
      const lossy = Object.entries(result.metrics).filter(
        ([name, value]) => /loss/.test(name) && typeof value === "number" && value > 0,
      );
      sheet.equal("loss claimed", "none", lossy.map(([name]) => name).join(" ") || "none");
      sheet.equal("reached", true, result.metrics.path_reached);
      const limited = hopsOf(result).flatMap((hop) => hop.addrs);
      const strangers = limited.filter((address) => !trueHops(truth, family).flat().includes(address));
      sheet.equal("addresses that are not on the path", "none", strangers.join(" ") || "none");
      return sheet.rows;
    }),
  );
});
