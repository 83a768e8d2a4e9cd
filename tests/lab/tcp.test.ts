// Bar 6: connect times, the kernel's round trip, retransmissions, and three ways of not connecting.
import { beforeAll, inject } from "vitest";
import { type Family, Lab } from "./harness/lab.ts";
import { labTest, report } from "./harness/lab-test.ts";
import { number, probe } from "./harness/ours.ts";
import { watchSockets } from "./harness/peers.ts";
import { type Floor, measureFloor, TARGET } from "./harness/ping-rows.ts";
import { atBest, bound, inTurn, type Row, Sheet, together } from "./harness/rows.ts";
import { connectRows } from "./harness/tcp-rows.ts";
import { segmentTruth } from "./harness/trace.ts";

let floor: Floor;
beforeAll(async () => {
  if (inject("labMissing") === null) floor = await measureFloor(new Lab(inject("labId")));
});

const CONNECTS: readonly { name: string; shape: readonly string[] }[] = [
  { name: "clean", shape: [] },
  { name: "24 ms", shape: ["l1", "delay=2ms", "l2", "delay=10ms"] },
  { name: "300 ms, asymmetric", shape: ["l2", "dir=up", "delay=200ms", "l2", "dir=down", "delay=100ms"] },
];

for (const { name, shape } of CONNECTS) {
  labTest(`TCP: connect, ${name}`, async (lab) => {
    report(
      await atBest(async () => {
        await lab.shape(...shape);
        return inTurn((family) => connectRows(lab, floor, name, family, { configured: true }));
      }),
    );
  });
}

const DISCARD = 9;
const SENDS: readonly { name: string; shape: readonly string[]; bytes: number }[] = [
  { name: "2 % loss", shape: ["l2", "delay=10ms", "l2", "dir=up", "loss=2%", "net", "cc=reno"], bytes: 1_500_000 },
  {
    name: "full queue",
    shape: ["l2", "delay=10ms", "l2", "dir=up", "rate=10mbit", "queue=20kb", "net", "cc=reno"],
    bytes: 1_000_000,
  },
];

async function sendRows(lab: Lab, setting: string, family: Family, bytes: number): Promise<Row[]> {
  const work = probe(lab, "tcp", TARGET[family], { port: DISCARD, count: 1, "send-bytes": bytes });
  const peer = await watchSockets(lab, DISCARD, family, work);
  const ours = number(await work, "tcp_retrans_segs");
  const truth = segmentTruth(await lab.trace(), family, DISCARD);
  const sheet = new Sheet({ bar: "6", setting: `send ${bytes} bytes, ${setting}`, family });
  const beside = { name: "ss", value: peer.retransmitted };
  const wanted = bound(`${truth.lost} lost + dropped, ${truth.needless} sent needlessly`);
  const good = ours !== null && truth.lost > 0 && Math.abs(ours - truth.lost) <= truth.needless;
  sheet.judge("retransmitted segments", wanted, ours, good, beside);
  return sheet.rows;
}

for (const { name, shape, bytes } of SENDS) {
  labTest(`TCP: retransmissions, ${name}`, async (lab) => {
    report(
      await atBest(async () => {
        await lab.shape(...shape);
        return together((family) => sendRows(lab, name, family, bytes));
      }),
    );
  });
}

const FAILURES: readonly { name: string; shape: readonly string[]; port: number; code: string }[] = [
  { name: "closed port", shape: [], port: 81, code: "refused" },
  { name: "SYNs filtered, host answers ping", shape: ["net", "filter=tcp-syn-80"], port: 80, code: "filtered" },
  { name: "nothing answers", shape: ["l3", "loss=100%"], port: 80, code: "no_reply" },
];

for (const { name, shape, port, code } of FAILURES) {
  labTest(`TCP: ${name}`, async (lab) => {
    await lab.shape("l2", "delay=5ms", ...shape);
    report(
      await together(async (family) => {
        const result = await probe(lab, "tcp", TARGET[family], { port, count: 2, timeout: 1.5 });
        const sheet = new Sheet({ bar: "6", setting: name, family });
        sheet.equal("error", code, result.error?.code);
        sheet.equal("connect time", null, number(result, "tcp_connect_ms"));
        return sheet.rows;
      }),
    );
  });
}
