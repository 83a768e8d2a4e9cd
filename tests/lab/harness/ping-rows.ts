// One run of our ping beside its peers, judged against what the emulator counted.
import { FAMILIES, type Family, type Lab } from "./lab.ts";
import { number, probe, type Result } from "./ours.ts";
import { type PingPlan, type PingReading, packetLength, pingPeers } from "./peers.ts";
import { type Peer, type Row, Sheet } from "./rows.ts";
import { median, type PingTruth, pingTruths } from "./trace.ts";

export const TARGET: Readonly<Record<Family, string>> = { 4: "10.77.100.1", 6: "fd77:100::1" };

/** What the path costs without any impairment, by family, ms. */
export interface Floor {
  /** Median of 100 pings. */
  rtt: Readonly<Record<Family, number>>;
  /** The part of it that the emulator does not see: the kernels at both ends. */
  ends: Readonly<Record<Family, number>>;
}

async function floorOf(lab: Lab, family: Family): Promise<number> {
  const { stdout } = await lab.exec(["ping", `-${family}`, "-n", "-c", "100", "-i", "0.02", TARGET[family]]);
  const rtts = [...stdout.matchAll(/time=([\d.]+)/g)].map((match) => Number(match[1]));
  const middle = median(rtts);
  if (middle === null || rtts.length < 95) throw new Error(`the lab lost pings with nothing set: ${stdout.slice(-300)}`);
  return middle;
}

export async function measureFloor(lab: Lab): Promise<Floor> {
  await lab.shape();
  const rtt = { 4: await floorOf(lab, 4), 6: await floorOf(lab, 6) };
  const trace = await lab.trace();
  const seen = (family: Family) => pingTruths(trace, family, packetLength("iputils", family), 2000)[0]?.median_ms ?? 0;
  return { rtt, ends: { 4: rtt[4] - seen(4), 6: rtt[6] - seen(6) } };
}

export interface PingSetting {
  name: string;
  /** Words of `netlab.sh set`, or a preset's name. */
  shape: readonly string[] | string;
  plan?: Partial<PingPlan>;
  /** Constant delay: the median must be the configured RTT plus the floor. Jitter may move it by more. */
  median_tolerance?: number;
}

const PLAN: PingPlan = { count: 20, interval: 0.2, timeout: 2 };

export async function apply(lab: Lab, shape: readonly string[] | string): Promise<void> {
  if (typeof shape === "string") await lab.preset(shape);
  else await lab.shape(...shape);
}

interface Side {
  family: Family;
  ours: Result;
  peers: PingReading[];
}

/** Our ping and its peers at the same time, both families at the same time. */
export async function pingRows(lab: Lab, floor: Floor, setting: PingSetting): Promise<Row[]> {
  const plan = { ...PLAN, ...setting.plan };
  await apply(lab, setting.shape);
  const truth = await lab.truth();
  const sides: Side[] = await Promise.all(
    FAMILIES.map(async (family) => {
      const [ours, peers] = await Promise.all([
        probe(lab, "ping", TARGET[family], { ...plan }),
        pingPeers(lab, family, TARGET[family], plan),
      ]);
      return { family, ours, peers };
    }),
  );
  const trace = await lab.trace();
  return sides.flatMap((side) => {
    const truthOf = (tool: "ours" | PingReading["tool"]) =>
      pingTruths(trace, side.family, packetLength(tool, side.family), plan.timeout * 1000)[0];
    const mine = truthOf("ours");
    if (mine === undefined) throw new Error(`our ping sent nothing: ${JSON.stringify(side.ours.error)}`);
    const rows = [
      ...countRows(setting.name, side, mine, truthOf),
      ...timeRows(setting, side, mine, { floor, truthOf, rtt_ms: truth.paths.A.rtt_ms }),
      ...wallRows(setting.name, side, mine, plan),
    ];
    return rows;
  });
}

type TruthOf = (tool: "ours" | PingReading["tool"]) => PingTruth | undefined;

function countRows(setting: string, { family, ours, peers }: Side, truth: PingTruth, truthOf: TruthOf): Row[] {
  const sheet = new Sheet({ bar: "2", setting, family });
  sheet.equal("sent", truth.sent, number(ours, "ping_sent"));
  const misses = peers.map(({ tool, received }) => ({
    tool,
    received,
    miss: Math.abs(received - (truthOf(tool)?.received ?? 0)),
  }));
  const best = misses.sort((a, b) => a.miss - b.miss)[0];
  // Each tool's packets met their own fate, so a peer's figure is how far it is off its own truth.
  const peer: Peer | undefined = best && { name: best.tool, value: best.miss === 0 ? "exact" : `off by ${best.miss}` };
  sheet.equal("received", truth.received, number(ours, "ping_received"), peer);
  const loss = truth.sent === 0 ? null : (100 * truth.lost) / truth.sent;
  sheet.equal("loss %", loss, number(ours, "ping_loss_pct"));
  const exact = new Sheet({ bar: "3", setting, family });
  exact.equal("duplicates", truth.duplicates, number(ours, "ping_dup"));
  exact.equal("out of order", truth.reordered, number(ours, "ping_out_of_order"));
  exact.equal("longest burst", truth.longest_burst, number(ours, "ping_loss_burst_max"));
  return [...sheet.rows, ...exact.rows];
}

interface Timing {
  floor: Floor;
  truthOf: TruthOf;
  rtt_ms: number;
}

/** Half a millisecond of a median of whole milliseconds would hide behind ±1; measurement.md's bars are these. */
const toleranceFor = (rtt_ms: number) => (rtt_ms < 100 ? 0.3 : 1);

function timeRows(setting: PingSetting, { family, ours, peers }: Side, truth: PingTruth, timing: Timing): Row[] {
  const { floor, truthOf, rtt_ms } = timing;
  const sheet = new Sheet({ bar: "1", setting: setting.name, family });
  const mine = number(ours, "ping_rtt_median");
  if (truth.median_ms === null) {
    sheet.equal("rtt median", null, mine);
    return sheet.rows;
  }
  const wanted = (own: PingTruth | undefined) => (own?.median_ms == null ? null : own.median_ms + floor.ends[family]);
  const off = (value: number | null, own: number | null) => (value === null || own === null ? null : Math.abs(value - own));
  const errors = peers
    .map(({ tool, median_ms }) => ({ tool, error: off(median_ms, wanted(truthOf(tool))) }))
    .filter((peer): peer is { tool: PingReading["tool"]; error: number } => peer.error !== null)
    .sort((a, b) => a.error - b.error);
  const [best] = errors;
  if (setting.median_tolerance !== undefined) {
    const tolerance = setting.median_tolerance;
    sheet.near("rtt median, as configured", rtt_ms + floor.rtt[family], mine, tolerance);
  }
  const own = wanted(truth);
  sheet.near("rtt median, as it was", own, mine, toleranceFor(own ?? 0));
  if (best === undefined) return sheet.rows;
  sheet.atMost("|rtt error|", best.error + 0.3, off(mine, own), { name: best.tool, value: best.error });
  return sheet.rows;
}

function wallRows(setting: string, { family, ours }: Side, truth: PingTruth, plan: PingPlan): Row[] {
  const sheet = new Sheet({ bar: "wall", setting, family });
  // The last thing that a run must wait for: a reply, or the end of a lost one's time-out.
  const ends = truth.rtts.map((rtt, index) => index * plan.interval * 1000 + (rtt ?? plan.timeout * 1000));
  sheet.atMost("wall time ms", 1.1 * Math.max(...ends), ours.duration_ms);
  return sheet.rows;
}
