// Bar 12: a rewritten DSCP is found at its hop; ECN that works, that is cleared and that is blocked are told apart.
import { FAMILIES, type Family, type Lab } from "./harness/lab.ts";
import { labTest, random, report } from "./harness/lab-test.ts";
import { probe } from "./harness/ours.ts";
import { TARGET } from "./harness/ping-rows.ts";
import { atBest, inTurn, type Row, Sheet } from "./harness/rows.ts";

const PORT = 80;
const DELAY = ["l2", "delay=5ms"] as const;

async function dscpRows(
  lab: Lab,
  family: Family,
  { sent, rewritten, hops }: { sent: number; rewritten: number | "keep"; hops: number },
): Promise<Row[]> {
  const setting = `DSCP ${sent}, rewritten to ${rewritten}, ${hops} hops`;
  await lab.shape(...DELAY, "net", `dscp=${rewritten}`, `hops=${hops}`);
  const result = await probe(lab, "qos", TARGET[family], { dscp: sent, port: PORT });
  const sheet = new Sheet({ bar: "12", setting, family, chance: true });
  // r1 rewrites what it forwards: the hop behind it is the first to quote the new value.
  const changed = rewritten !== "keep" && rewritten !== sent;
  sheet.equal("bleached at hop", changed ? hops - 1 : null, result.metrics.qos_bleached_at_hop);
  sheet.equal("preserved", !changed, result.metrics.qos_preserved);
  return sheet.rows;
}

const DSCPS: readonly { sent: number; rewritten: number | "keep"; hops: number }[] = [
  { sent: 46, rewritten: "keep", hops: 3 },
  { sent: 46, rewritten: 0, hops: 3 },
  ...[1, 2, 3].map(() => ({ sent: random.integer(1, 63), rewritten: random.integer(0, 63), hops: random.integer(3, 8) })),
];

for (const setting of DSCPS) {
  labTest(`QoS: DSCP ${setting.sent} becomes ${setting.rewritten}, ${setting.hops} hops`, async (lab) => {
    report(await inTurn((family) => atBest(() => dscpRows(lab, family, setting))));
  });
}

const ECNS: readonly { name: "keep" | "clear" | "drop-syn"; capable: boolean | null; blocked: boolean }[] = [
  { name: "keep", capable: true, blocked: false },
  { name: "clear", capable: null, blocked: false },
  { name: "drop-syn", capable: null, blocked: true },
];

async function ecnRows(lab: Lab, family: Family, { name, capable, blocked }: (typeof ECNS)[number]): Promise<Row[]> {
  await lab.shape(...DELAY, "net", `ecn=${name}`);
  const result = await probe(lab, "qos", TARGET[family], { port: PORT });
  const sheet = new Sheet({ bar: "12", setting: `ECN ${name}`, family, chance: true });
  sheet.equal("blocked", blocked, result.metrics.ecn_blocked);
  if (capable !== null) sheet.equal("capable", capable, result.metrics.ecn_capable);
  if (name !== "drop-syn") {
    const cleared = name === "clear" ? 2 : null;
    sheet.equal("cleared at hop", cleared, result.metrics.ecn_cleared_at_hop);
  }
  return sheet.rows;
}

for (const setting of ECNS) {
  labTest(`QoS: ECN ${setting.name}`, async (lab) => {
    for (const family of FAMILIES) report(await atBest(() => ecnRows(lab, family, setting)));
  });
}
