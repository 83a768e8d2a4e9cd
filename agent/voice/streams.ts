// The two streams of a call, from the packets that went around and came back or did not. Pure.
import type { StampPacket, StampRun } from "../stamp/sender.ts";
import type { Timing } from "./judge.ts";
import type { StreamPacket } from "./playout.ts";

export interface Streams {
  readonly up: readonly StreamPacket[];
  readonly down: readonly StreamPacket[];
  /**
   * Whether the reflector's count says of every lost packet which way it was lost. Where it does not, such packets are missing
   * in both streams: each direction then looks worse than it is, and the worse one as bad as it may be.
   */
  readonly split: boolean;
}

type Lost = "lost_up" | "lost_down" | "lost";

/**
 * Names a direction for packets of which only their number per direction is known: within each run of such packets the first
 * ones are taken as lost on the way up, in the proportion of the whole, so that bursts stay bursts.
 */
function fatesOf({ packets, loss }: Pick<StampRun, "packets" | "loss">): Map<number, Lost> {
  const fates = new Map<number, Lost>(loss.fates);
  if (loss.up === null || loss.down === null || loss.unattributed > 0) return fates;
  const named = [...loss.fates.values()];
  const upLeft = loss.up - named.filter((fate) => fate === "lost_up").length;
  const share = upLeft / Math.max(1, named.filter((fate) => fate === "lost").length);
  let run: number[] = [];
  let seen = 0;
  let given = 0;
  for (const seq of [...packets.map((packet) => packet.seq), -1]) {
    if (fates.get(seq) === "lost") {
      run.push(seq);
      continue;
    }
    seen += run.length;
    const up = Math.round(seen * share) - given;
    given += up;
    for (const [i, each] of run.entries()) fates.set(each, i < up ? "lost_up" : "lost_down");
    run = [];
  }
  return fates;
}

/** A packet that left later than this tells that the process was held up, ms. */
const HELD_UP_MS = 5;
/** What arrived meanwhile is read within this time after, ms. */
const CATCH_UP_MS = 3;

/**
 * Moments, in whole milliseconds of the stream, at which answers were read that may have waited: the process had been held up,
 * as the packet shows that was due meanwhile. When they arrived nobody knows; the wait is not the network's.
 */
function catchingUp(packets: readonly StampPacket[]): Set<number> {
  const moments = new Set<number>();
  for (const { sent_ms, late_ms } of packets) {
    if (late_ms <= HELD_UP_MS) continue;
    for (let i = 0; i <= CATCH_UP_MS; i++) moments.add(Math.floor(sent_ms) + i);
  }
  return moments;
}

/**
 * Splits a run into its streams. The far end's speech is what the reflector sent, at the times it sent it; packets that this
 * host sent late count from when they were sent, for that delay is not the network's. By `round_trip` both streams hold the time
 * from sending to the answer, which is this host's own and needs no clock of the reflector's.
 */
export function streamsOf(run: Pick<StampRun, "packets" | "loss">, timing: Timing = "one_way"): Streams {
  const fates = fatesOf(run);
  const split = ![...fates.values()].includes("lost");
  const waited = catchingUp(run.packets);
  const up: StreamPacket[] = [];
  const down: StreamPacket[] = [];
  for (const packet of run.packets) {
    const { seq, sent_ms, answer } = packet;
    if (packet.fate === "undecided") continue;
    if (answer !== null) {
      const { t1, t2, t3, t4 } = answer;
      const timed = answer.rtt_ms !== null;
      const read_ms = Math.floor(sent_ms + t4 - t1);
      if (timing === "round_trip") {
        const around = { sent_ms, transit_ms: waited.has(read_ms) ? undefined : t4 - t1 };
        up.push(around);
        down.push(around);
        continue;
      }
      up.push({ sent_ms, transit_ms: timed ? t2 - t1 : undefined });
      down.push({
        sent_ms: timed ? sent_ms + t3 - t1 : sent_ms,
        transit_ms: timed && !waited.has(read_ms) ? t4 - t3 : undefined,
      });
      continue;
    }
    const fate = fates.get(seq);
    // What never got there was never sent back.
    if (fate !== "lost_up") down.push({ sent_ms, transit_ms: null });
    up.push({ sent_ms, transit_ms: fate === "lost_down" ? undefined : null });
  }
  return { up, down, split };
}
