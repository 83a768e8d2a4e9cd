// Our UDP run against the emulator's record: loss by direction, times, and what a reflector's wrong clock may change.
import type { Family, Lab, PathTruth } from "./lab.ts";
import { number, type Options, probe, type Result } from "./ours.ts";
import { type Floor, TARGET } from "./ping-rows.ts";
import { bound, type Row, Sheet } from "./rows.ts";
import type { Packet } from "./trace.ts";

/** The lab's STAMP reflector. */
const PORT = 862;
/** The link that loses packets in these settings; the others must be clean, so that packets are told apart by their order. */
const LOSSY = "l2";

export interface DirectionTruth {
  sent: number;
  lost: number;
}

/**
 * What was lost each way of the `count` packets of one run's stream. The `opening` packets before it and those after it only
 * settle which way the first and the last ones were lost.
 */
export function udpTruth(
  trace: readonly Packet[],
  family: Family,
  { count, opening }: { count: number; opening: number },
): { up: DirectionTruth; down: DirectionTruth } {
  const on = (direction: Packet["direction"]) =>
    trace
      .filter((p) => p.protocol === "udp" && p.family === family && p.link === LOSSY && p.direction === direction)
      .filter((p) => (direction === "up" ? p.b : p.a) === PORT)
      .sort((a, b) => a.in_us - b.in_us);
  const lostOf = (packets: readonly Packet[]) => packets.filter((packet) => packet.fate !== "o").length;
  const all = on("up");
  const before = all.slice(0, opening);
  const up = all.slice(opening, opening + count);
  const lostUp = lostOf(up);
  // Nothing overtakes on the way, so the replies come in the order of the packets that arrived.
  const first = before.length - lostOf(before);
  const down = on("down").slice(first, first + up.length - lostUp);
  return {
    up: { sent: up.length, lost: lostUp },
    down: { sent: down.length, lost: lostOf(down) },
  };
}

const share = ({ sent, lost }: DirectionTruth) => (sent === 0 ? null : (100 * lost) / sent);

/** A run whose packets left late says so and gives no figures; everything else is judged. */
export async function udpRun(lab: Lab, family: Family, options: Options): Promise<Result> {
  return probe(lab, "udp", TARGET[family], { port: PORT, ...options });
}

/** Packets a run sent before its stream, as it tells. */
function openingOf({ detail }: Result): number {
  const { extra } = detail as { extra?: { opening?: { sent?: number } } };
  return extra?.opening?.sent ?? 0;
}

export async function lossRows(lab: Lab, setting: string, family: Family, count: number): Promise<Row[]> {
  const result = await udpRun(lab, family, { count });
  const truth = udpTruth(await lab.trace(), family, { count, opening: openingOf(result) });
  // A busy machine makes a run void, which is chance; whatever it gives figures of is judged.
  const sheet = new Sheet({ bar: "2", setting, family, chance: result.reasons.udp_loss_pct === "host_overloaded" });
  sheet.equal("sent", truth.up.sent, number(result, "udp_sent"));
  sheet.equal("received", truth.down.sent - truth.down.lost, number(result, "udp_received"));
  sheet.equal("loss up %", share(truth.up), number(result, "udp_loss_up_pct"));
  sheet.equal("loss down %", share(truth.down), number(result, "udp_loss_down_pct"));
  return sheet.rows;
}

/** Median round trip of a run at constant or jittered delay. */
export async function timeRows(
  lab: Lab,
  floor: Floor,
  { setting, family, path }: { setting: string; family: Family; path: PathTruth },
): Promise<Row[]> {
  const result = await udpRun(lab, family, { count: 500 });
  const sheet = new Sheet({ bar: "7", setting, family });
  sheet.near("rtt median", path.rtt_ms + floor.rtt[family], number(result, "udp_rtt_median"), 1);
  return [...sheet.rows, ...clockRows(setting, family, result, 0)];
}

/** One-way delay is nobody's to give without disciplined clocks; the offset's bound must hold the truth. */
export function clockRows(setting: string, family: Family, result: Result, offset_ms: number): Row[] {
  const sheet = new Sheet({ bar: "7", setting, family });
  sheet.equal("one-way delay up", null, number(result, "udp_owd_up_ms"));
  const estimate = number(result, "clock_offset_est_ms");
  const error = number(result, "clock_offset_err_ms");
  const off = estimate === null || error === null ? null : Math.abs(estimate - offset_ms);
  const shown = `${estimate} ± ${error}`;
  sheet.judge("clock offset within its bound", bound(String(offset_ms)), shown, off !== null && error !== null && off <= error);
  return sheet.rows;
}
