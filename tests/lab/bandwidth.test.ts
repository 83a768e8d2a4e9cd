// Bars 8 and 9: throughput against the emulator's rate and iperf3 in the same run, and what the queue does to delay meanwhile.

import { iperf } from "./harness/iperf.ts";
import type { Family, Lab } from "./harness/lab.ts";
import { labTest, random, report } from "./harness/lab-test.ts";
import { number, type Options, probe, type Result } from "./harness/ours.ts";
import { TARGET } from "./harness/ping-rows.ts";
import { atBest, type Row, Sheet } from "./harness/rows.ts";

/** Of an Ethernet frame with time stamps on, what is left for the application. */
const GOODPUT: Readonly<Record<Family, number>> = { 4: 1448 / 1514, 6: 1428 / 1514 };
const SLICE_S = 0.25;
const IPERF = { streams: 8, seconds: 4 } as const;

const url = (family: Family) => (family === 4 ? `http://${TARGET[4]}/` : `http://[${TARGET[6]}]/`);

/** The lab's links are quiet; what the emulator itself does there must not pass for a busy line. */
const measure = (lab: Lab, family: Family, options: Options = {}): Promise<Result> =>
  probe(lab, "bandwidth", url(family), { "skip-above-mbps": 0, ...options });

interface Rates {
  name: string;
  up: number;
  down: number;
  delay_ms: number;
  family: Family;
}

const shapeOf = ({ up, down, delay_ms }: Rates): string[] => [
  ...["l2", `delay=${delay_ms}ms`],
  ...["l2", "dir=up", `rate=${up}mbit`, "queue=50ms"],
  ...["l2", "dir=down", `rate=${down}mbit`, "queue=50ms"],
];

async function rateRows(lab: Lab, rates: Rates): Promise<Row[]> {
  await lab.shape(...shapeOf(rates));
  const { family, name } = rates;
  const result = await measure(lab, family);
  const sheet = new Sheet({ bar: "8", setting: name, family });
  for (const direction of ["down", "up"] as const) {
    const truth = rates[direction] * GOODPUT[family];
    const ours = number(result, `bw_${direction}_mbps`);
    const peer = await iperf(lab, family, direction, IPERF);
    sheet.near(`${direction} Mbit/s`, truth, ours, 0.03 * truth, { name: "iperf3", value: peer });
    sheet.atMost(`${direction}, never above the link`, rates[direction], ours);
    const off = (value: number | null) => (value === null ? null : (100 * Math.abs(value - truth)) / truth);
    sheet.atMost(`${direction} error %`, (off(peer) ?? 0) + 2, off(ours), { name: "iperf3", value: off(peer) });
  }
  return sheet.rows;
}

const drawn = (index: number): Rates => {
  const [up, down, delay_ms] = [random.integer(3, 100), random.integer(3, 200), random.integer(1, 40)];
  return { name: `random ${index}: ${down} down, ${up} up, ${2 * delay_ms} ms`, up, down, delay_ms, family: random.pick([4, 6]) };
};

const RATES: readonly Rates[] = [
  { name: "5 Mbit/s", up: 5, down: 5, delay_ms: 10, family: 4 },
  { name: "50 Mbit/s", up: 50, down: 50, delay_ms: 10, family: 6 },
  { name: "200 Mbit/s", up: 200, down: 200, delay_ms: 5, family: 4 },
  ...[1, 2, 3].map(drawn),
];

for (const rates of RATES) {
  labTest(`bandwidth: ${rates.name}`, async (lab) => report(await atBest(() => rateRows(lab, rates))));
}

labTest("bandwidth: a lossy path tells one stream from many", async (lab) => {
  const run = async () => {
    await lab.shape("l2", "delay=10ms", "rate=50mbit", "queue=50ms", "loss=0.5%", "net", "cc=reno");
    const result = await measure(lab, 4, { direction: "down" });
    const truth = 50 * GOODPUT[4];
    const sheet = new Sheet({ bar: "8", setting: "reno, 0.5 % loss", family: 4, chance: true });
    const [many, one] = [number(result, "bw_down_mbps"), number(result, "bw_single_down_mbps")];
    sheet.judge("eight streams", `≥ ${(0.9 * truth).toFixed(1)}`, many, many !== null && many >= 0.9 * truth);
    sheet.judge("one stream", `< ${(0.4 * truth).toFixed(1)}`, one, one !== null && one < 0.4 * truth);
    return sheet.rows;
  };
  report(await atBest(run));
});

async function bloatRows(lab: Lab, setting: string, shape: readonly string[], within: readonly [number, number]): Promise<Row[]> {
  await lab.shape(...shape);
  const result = await measure(lab, 4, { direction: "down" });
  const sheet = new Sheet({ bar: "9", setting, family: 4, chance: true });
  const bloat = number(result, "bloat_down_ms");
  const [low, high] = within;
  sheet.judge("loaded p95 - idle, ms", `${low} to ${high}`, bloat, bloat !== null && bloat >= low && bloat <= high);
  const idle = number(result, "rtt_idle_ms");
  const loaded = number(result, "rtt_loaded_down_p95");
  const difference = idle === null || loaded === null ? null : loaded - idle;
  sheet.near("it is their difference", bloat, difference, 0.01);
  return sheet.rows;
}

interface Bloat {
  name: string;
  shape: readonly string[];
  within: readonly [number, number];
}

function drawnQueue(index: number): Bloat {
  const [queue, rate] = [random.integer(150, 400), random.integer(10, 40)];
  const shape = ["l2", "delay=10ms", `rate=${rate}mbit`, `queue=${queue}ms`, "net", "cc=reno"];
  return { name: `random ${index}: ${queue} ms queue at ${rate} Mbit/s`, shape, within: [0.8 * queue, 1.1 * queue + 10] };
}

const BLOATS: readonly Bloat[] = [
  { name: "500 ms queue", shape: ["l2", "delay=10ms", "rate=20mbit", "queue=500ms", "net", "cc=reno"], within: [430, 560] },
  { name: "5 ms queue", shape: ["l2", "delay=10ms", "rate=50mbit", "queue=5ms", "net", "cc=reno"], within: [0, 15] },
  ...[1, 2, 3].map(drawnQueue),
];

for (const { name, shape, within } of BLOATS) {
  labTest(`bandwidth: delay under load, ${name}`, async (lab) => report(await atBest(() => bloatRows(lab, name, shape, within))));
}

labTest("bandwidth: the byte budget holds, a steady line ends early", async (lab) => {
  const run = async () => {
    await lab.shape("l2", "delay=5ms", "rate=50mbit", "queue=50ms");
    const budget = 10_000_000;
    const result = await measure(lab, 4, { "max-bytes": budget });
    const packets = (await lab.trace()).filter((p) => p.protocol === "tcp" && p.link === "l1" && (p.a === 80 || p.b === 80));
    const wire = packets.reduce((sum, packet) => sum + packet.length, 0);
    const slice = (50e6 / 8) * SLICE_S;
    const sheet = new Sheet({ bar: "8", setting: "budget of 10 MB", family: 4 });
    sheet.atMost("bytes, as told", budget + slice, number(result, "bw_bytes"));
    // Headers and acknowledgements come on top of what the budget counts.
    sheet.atMost("bytes on the wire", 1.06 * (budget + slice), wire);
    await lab.shape("l2", "delay=5ms", "rate=20mbit", "queue=50ms");
    const steady = await measure(lab, 4, { direction: "down", duration: 8 });
    const early = new Sheet({ bar: "8", setting: "steady 20 Mbit/s", family: 4 });
    // Two phases, with many streams and with one, that would take 8 s each.
    early.atMost("run ms", 13_000, steady.duration_ms);
    return [...sheet.rows, ...early.rows];
  };
  report(await atBest(run));
});
