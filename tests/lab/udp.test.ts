// Bars 2 and 7: UDP by STAMP. Loss by direction equals the emulator's count; variation belongs to its direction; a wrong clock
// at the reflector changes the offset and nothing else.
import { beforeAll, inject } from "vitest";
import { FAMILIES, type Family, Lab } from "./harness/lab.ts";
import { FULL, labTest, random, report } from "./harness/lab-test.ts";
import { number } from "./harness/ours.ts";
import { type Floor, measureFloor } from "./harness/ping-rows.ts";
import { atBest, inTurn, type Row, Sheet } from "./harness/rows.ts";
import { clockRows, lossRows, timeRows, udpRun } from "./harness/udp-rows.ts";

let floor: Floor;
beforeAll(async () => {
  if (inject("labMissing") === null) floor = await measureFloor(new Lab(inject("labId")));
});

/** Packets of a run that counts losses. */
const COUNT = FULL ? 500 : 250;

interface Setting {
  name: string;
  shape: readonly string[];
}

const seed = () => `seed=${random.integer(1, 100_000)}`;

function drawLoss(index: number): Setting {
  const delays = ["l1", "dir=up", `delay=${random.integer(0, 80)}ms`, "l3", "dir=down", `delay=${random.integer(0, 80)}ms`];
  const up = ["l2", "dir=up", `loss=${random.integer(0, 20)}%`, seed()];
  const down = ["l2", "dir=down", `loss=${random.integer(0, 20)}%`, seed()];
  const shape = [...delays, ...up, ...down];
  console.log(`UDP random ${index}: ${shape.join(" ")}`);
  return { name: `random ${index}`, shape };
}

const LOSSES: readonly Setting[] = [
  { name: "no loss", shape: ["l2", "delay=10ms"] },
  { name: "2 % each way", shape: ["l2", "delay=10ms", "loss=2%", seed()] },
  { name: "10 % up", shape: ["l2", "delay=10ms", "l2", "dir=up", "loss=10%", seed()] },
  { name: "bursts down", shape: ["l2", "delay=10ms", "l2", "dir=down", "loss-burst=1%,30%", seed()] },
  ...[1, 2, 3].map(drawLoss),
];

for (const { name, shape } of LOSSES) {
  labTest(`UDP: loss by direction, ${name}`, async (lab) => {
    const run = async () => {
      await lab.shape(...shape);
      // The lab's reflector has one count for all its sessions: of two at once, neither could be told apart.
      return inTurn((family) => lossRows(lab, name, family, COUNT));
    };
    report(await atBest(run));
  });
}

const TIMES: readonly Setting[] = [
  { name: "24 ms", shape: ["l1", "delay=2ms", "l2", "delay=10ms"] },
  { name: "20 ms up, 5 ms down", shape: ["l2", "dir=up", "delay=20ms", "l2", "dir=down", "delay=5ms"] },
];

for (const { name, shape } of TIMES) {
  labTest(`UDP: round trip, ${name}`, async (lab) => {
    const run = (family: Family) =>
      atBest(async () => {
        await lab.shape(...shape);
        const path = (await lab.truth()).paths.A;
        return timeRows(lab, floor, { setting: name, family, path });
      });
    report(await inTurn(run));
  });
}

/** Mean |D| of two independent uniform ±5 ms: 10/3 ms. */
const MEAN_ABS_D = 10 / 3;

async function variationRows(lab: Lab, family: Family, jittered: "up" | "down", offset_ms: number): Promise<Row[]> {
  const setting = `±5 ms ${jittered}, reflector's clock ${offset_ms} ms off`;
  const words = ["l2", "delay=10ms", "l2", `dir=${jittered}`, "jitter=5ms", seed(), "net", `clock-offset=${offset_ms}`];
  await lab.shape(...words);
  const result = await udpRun(lab, family, { count: 500 });
  const sheet = new Sheet({ bar: "7", setting, family });
  const other = jittered === "up" ? "down" : "up";
  sheet.near("mean |D|", MEAN_ABS_D, number(result, `udp_ipdv_mean_${jittered}`), 0.5);
  sheet.atMost("mean |D| of the other direction", 0.6, number(result, `udp_ipdv_mean_${other}`));
  sheet.near("rtt median", 20 + floor.rtt[family], number(result, "udp_rtt_median"), 1);
  return [...sheet.rows, ...clockRows(setting, family, result, offset_ms)];
}

const OFFSETS = [0, 500, -500, ...[1, 2, 3].map(() => random.integer(-2000, 2000))];
for (const [index, offset] of OFFSETS.entries()) {
  const jittered = index % 2 === 0 ? "up" : "down";
  // The short form takes the families in turn.
  const families = FULL ? FAMILIES : [FAMILIES[index % 2] ?? 4];
  labTest(`UDP: variation ${jittered}, clock ${offset} ms off`, async (lab) => {
    for (const family of families) report(await atBest(() => variationRows(lab, family, jittered, offset)));
  });
}
