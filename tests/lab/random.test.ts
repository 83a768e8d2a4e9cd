// The same bars at settings drawn at random: delay, loss, bursts, MTU and number of hops.
import { beforeAll, inject } from "vitest";
import { FAMILIES, Lab } from "./harness/lab.ts";
import { labTest, random, report } from "./harness/lab-test.ts";
import { mtuRows } from "./harness/mtu-rows.ts";
import { heardRows, trace } from "./harness/path-rows.ts";
import { type Floor, measureFloor, pingRows } from "./harness/ping-rows.ts";
import type { Random } from "./harness/random.ts";
import { atBest, inTurn, type Row, together } from "./harness/rows.ts";
import { connectRows } from "./harness/tcp-rows.ts";
import { answeredFrom } from "./harness/trace.ts";

const SETTINGS = 5;
const RTT_MAX_MS = 400;
const LOSS_MAX_PCT = 20;
/** The links between agent and target. */
const PATH = ["l1", "l2", "l3"] as const;

interface Drawn {
  name: string;
  shape: string[];
}

const words = (link: string, direction: string, setting: string): string[] => [link, `dir=${direction}`, setting];

function drawDelays(draw: Random): string[] {
  let left = draw.integer(0, RTT_MAX_MS);
  return PATH.flatMap((link) =>
    ["up", "down"].flatMap((direction) => {
      const delay = draw.integer(0, left);
      left -= delay;
      return words(link, direction, `delay=${delay}ms`);
    }),
  );
}

/** Round-trip loss of up to the limit, in one direction or both, or in bursts of as much on average. */
function drawLoss(draw: Random): string[] {
  const kind = draw.pick(["none", "up", "down", "both", "burst"]);
  const total = draw.integer(1, LOSS_MAX_PCT);
  const link = draw.pick(PATH);
  if (kind === "none") return [];
  const seed = [link, `seed=${draw.integer(1, 100_000)}`];
  if (kind === "both") return [link, `loss=${total / 2}%`, ...seed];
  if (kind !== "burst") return [...words(link, kind, `loss=${total}%`), ...seed];
  const leave = draw.integer(30, 70);
  const enter = Math.round((leave * total) / (100 - total) / 2);
  return [link, `loss-burst=${Math.max(1, enter)}%,${leave}%`, ...seed];
}

function draw(): Drawn {
  const shape = [...drawDelays(random), ...drawLoss(random)];
  if (random.chance(0.7)) shape.push(random.pick(PATH), `mtu=${random.integer(1280, 1500)}`);
  shape.push("net", `hops=${random.integer(3, 8)}`);
  return { name: shape.join(" "), shape };
}

// Drawn before any test runs, so that the same seed gives the same settings whichever tests are chosen.
const DRAWN = Array.from({ length: SETTINGS }, (_, index) => ({ ...draw(), short: `random ${index + 1}` }));

let floor: Floor;
beforeAll(async () => {
  if (inject("labMissing") !== null) return;
  floor = await measureFloor(new Lab(inject("labId")));
  for (const { short, name } of DRAWN) console.log(`${short}: ${name}`);
});

async function routeRows(lab: Lab, setting: string): Promise<Row[]> {
  await lab.reset();
  const truth = await lab.truth();
  const results = await Promise.all(FAMILIES.map((family) => trace(lab, family)));
  const packets = await lab.trace();
  return FAMILIES.flatMap((family, index) => {
    const result = results[index];
    return result === undefined ? [] : heardRows(setting, family, result, truth, answeredFrom(packets, family));
  });
}

for (const { short, shape } of DRAWN) {
  labTest(`${short}: ping`, async (lab) => report(await atBest(() => pingRows(lab, floor, { name: short, shape }))));
  labTest(`${short}: TCP`, async (lab) => {
    const run = async () => {
      await lab.shape(...shape);
      return inTurn((family) => connectRows(lab, floor, short, family, { configured: false }));
    };
    report(await atBest(run));
  });
  labTest(`${short}: route`, async (lab) => {
    await lab.shape(...shape);
    report(await atBest(() => routeRows(lab, short)));
  });
  labTest(`${short}: path MTU`, async (lab) => {
    const run = async () => {
      await lab.shape(...shape);
      return together((family) => mtuRows(lab, short, family, { blackhole: false }));
    };
    report(await atBest(run));
  });
}
