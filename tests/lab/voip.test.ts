// Voice: the MOS of each direction within 0.1 of the one that the emulator's own record of every packet gives.
import type { Family } from "./harness/lab.ts";
import { FULL, labTest, random, report } from "./harness/lab-test.ts";
import { atBest } from "./harness/rows.ts";
import { type VoiceSetting, voiceRows } from "./harness/voip-rows.ts";

interface Shaped extends VoiceSetting {
  shape: readonly string[];
}

const DURATION_S = FULL ? 10 : 6;
const seed = () => `seed=${random.integer(1, 100_000)}`;

const shaped = (name: string, shape: readonly string[], more: Partial<VoiceSetting> = {}): Shaped => ({
  name,
  shape,
  family: 4,
  codec: "g711",
  buffer_ms: undefined,
  duration_s: DURATION_S,
  ...more,
});

function draw(index: number): Shaped {
  const way = (direction: "up" | "down") => {
    const delay = random.integer(0, 200);
    const loss = random.pick([
      `loss=${random.integer(0, 20)}%`,
      `loss-burst=${random.integer(1, 3)}%,${random.integer(20, 60)}%`,
    ]);
    const jitter = `jitter=${random.integer(0, Math.min(60, delay))}ms`;
    const dist = `dist=${random.pick(["uniform", "normal"])}`;
    return ["l2", `dir=${direction}`, `delay=${delay}ms`, jitter, dist, loss, seed()];
  };
  const shape = [...way("up"), ...way("down")];
  const family: Family = random.pick([4, 6]);
  const codec = random.pick<"g711" | "g729">(["g711", "g729"]);
  const buffer_ms = random.pick([undefined, 20, 60, random.integer(20, 500)]);
  return shaped(`random ${index}: ${shape.join(" ")}`, shape, { family, codec, buffer_ms });
}

const SETTINGS: readonly Shaped[] = [
  shaped("clean 20 ms", ["l2", "delay=10ms"]),
  shaped("1 % each way", ["l2", "delay=20ms", "loss=1%", seed()], { family: 6 }),
  shaped("400 ms round trip", ["l2", "delay=200ms"], { codec: "g729" }),
  shaped("bursts up", ["l2", "delay=20ms", "l2", "dir=up", "loss-burst=2%,30%", seed()], { buffer_ms: 60 }),
  shaped("jitter beyond the buffer, down", ["l2", "delay=60ms", "l2", "dir=down", "jitter=40ms", seed()], { buffer_ms: 40 }),
  shaped("jitter, adaptive", ["l2", "delay=60ms", "jitter=40ms", "dist=normal", seed()], { codec: "g729" }),
  ...[1, 2, 3].map(draw),
];

for (const { shape, ...setting } of SETTINGS) {
  labTest(`voice: ${setting.name}`, async (lab) => {
    const run = async () => {
      await lab.shape(...shape);
      return voiceRows(lab, setting);
    };
    report(await atBest(run));
  });
}
