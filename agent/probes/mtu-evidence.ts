// What the streams of one search prove together: loss of packets that fit, and which sizes vanish more than that explains. Pure.
import { wilsonInterval } from "../statistics.ts";
import type { SizeEvidence } from "./mtu-belief.ts";
import type { BeyondBurst, Refusal } from "./mtu-beyond.ts";
import type { EchoStream } from "./mtu-echo.ts";

/** A vanished packet counts only when another came through this close to it, ms: a burst of loss takes everything. */
const WITNESS_MS = 150;
/** Round trips from which on they, and not the time-out, say how long to wait. */
const RTTS_KNOWN = 2;
const WAIT_LEAST_MS = 100;
/** Own losses of a size, from this many packets on, may say more than the pool. */
const OWN_LEAST = 5;

export interface LossView {
  readonly sent: number;
  readonly lost: number;
  /** Share to reckon with, 0 to 1 (Laplace's rule of succession). */
  readonly believed: number;
  /** Upper end of the 95 % interval, 0 to 1. */
  readonly atMost: number;
}

/** Milliseconds after which an unanswered probe has vanished. */
export function patience(rtts: readonly number[], timeout_ms: number): number {
  return rtts.length < RTTS_KNOWN ? timeout_ms : Math.max(WAIT_LEAST_MS, 60 + 1.25 * Math.max(...rtts));
}

/** Answered or vanished for certain: as long as its stream still listened when its time was over. */
function resolved(stream: EchoStream, probe: { sentAt: number; rtt: number | null }, wait_ms: number, now: number): boolean {
  return probe.rtt !== null || probe.sentAt + wait_ms <= (stream.endedAt ?? now);
}

/** Loss of packets that are known to fit. */
export function fittingLoss(streams: readonly EchoStream[], wait_ms: number, now: number): LossView {
  let sent = 0;
  let lost = 0;
  let worstOwn = 0;
  for (const stream of streams) {
    const known = [...stream.probes.values()].filter((probe) => resolved(stream, probe, wait_ms, now));
    const own = known.filter((probe) => probe.rtt === null).length;
    sent += known.length;
    lost += own;
    if (known.length >= OWN_LEAST) worstOwn = Math.max(worstOwn, own / known.length);
  }
  const high = (wilsonInterval(lost, sent)?.high ?? 100) / 100;
  return { sent, lost, believed: (lost + 1) / (sent + 2), atMost: Math.max(high, worstOwn) };
}

/** When packets came through, ascending: what vanished near none of these moments proves nothing. */
export function witnesses(streams: readonly EchoStream[]): number[] {
  return streams
    .flatMap((stream) => [...stream.probes.values()].flatMap((probe) => (probe.rtt === null ? [] : [probe.sentAt])))
    .sort((a, b) => a - b);
}

function witnessed(moments: readonly number[], at: number): boolean {
  let [low, high] = [0, moments.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((moments[middle] ?? 0) < at - WITNESS_MS) low = middle + 1;
    else high = middle;
  }
  return (moments[low] ?? Number.POSITIVE_INFINITY) <= at + WITNESS_MS;
}

/** What is known of each size tried. */
export function sizeEvidence(
  streams: readonly EchoStream[],
  bursts: readonly BeyondBurst[],
  refusals: readonly Refusal[],
  view: { wait_ms: number; now: number; witnesses: readonly number[] },
): Map<number, SizeEvidence> {
  const known = new Map<number, { size: number; passed: boolean; refused: boolean; vanished: number }>();
  const of = (size: number) => {
    const entry = known.get(size) ?? { size, passed: false, refused: false, vanished: 0 };
    known.set(size, entry);
    return entry;
  };
  for (const stream of streams) {
    const entry = of(stream.size);
    for (const probe of stream.probes.values()) {
      if (probe.rtt !== null) entry.passed = true;
      // Once the kernel refuses the size, nothing is sent any more that could be answered.
      else if (stream.localLimit === null && resolved(stream, probe, view.wait_ms, view.now)) {
        if (witnessed(view.witnesses, probe.sentAt)) entry.vanished += 1;
      }
    }
  }
  for (const burst of bursts) if (burst.passed) of(burst.size).passed = true;
  for (const refusal of refusals) of(refusal.size).refused = true;
  return known;
}
