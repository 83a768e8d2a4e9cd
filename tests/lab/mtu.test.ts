// Bar 5: the path MTU, exact, with and without the routers' help.

import { FULL, labTest, report } from "./harness/lab-test.ts";
import { type MtuTruth, mtuRows } from "./harness/mtu-rows.ts";
import { atBest, together } from "./harness/rows.ts";

const BASE = ["l1", "delay=2ms", "l2", "delay=5ms"];
const HOLE = ["net", "icmp-blackhole=on"];
const SETTINGS: readonly (MtuTruth & { name: string; shape: readonly string[] })[] = [
  { name: "1500", shape: [], blackhole: false, limiting_ttl: null },
  { name: "1400", shape: ["l2", "mtu=1400"], blackhole: false, limiting_ttl: 1 },
  { name: "1400, black hole", shape: ["l2", "mtu=1400", ...HOLE], blackhole: true, limiting_ttl: 1 },
  { name: "silent 1450", shape: ["l2", "mtu-silent=1450"], blackhole: true, limiting_ttl: 1 },
  { name: "1400, then 1300", shape: ["l2", "mtu=1400", "l3", "mtu=1300"], blackhole: false, limiting_ttl: 2 },
  { name: "1400, 5 % loss", shape: ["l2", "mtu=1400", "loss=5%"], blackhole: false, limiting_ttl: 1 },
  { name: "1400, black hole, 5 % loss", shape: ["l2", "mtu=1400", "loss=5%", ...HOLE], blackhole: true, limiting_ttl: 1 },
  ...(FULL ? [{ name: "1280", shape: ["l3", "mtu=1280"], blackhole: false, limiting_ttl: 2 }] : []),
];

for (const { name, shape, ...truth } of SETTINGS) {
  labTest(`path MTU: ${name}`, async (lab) => {
    report(
      await atBest(async () => {
        // Anew before each try: kernels remember the path MTU they were told.
        await lab.shape(...BASE, ...shape);
        return together((family) => mtuRows(lab, name, family, truth));
      }),
    );
  });
}
