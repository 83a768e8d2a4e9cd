// What the streams of one search prove together: loss of packets that fit, and which sizes vanish more than that explains. Pure.
import { wilsonInterval } from "../statistics.ts";
import type { SizeEvidence } from "./mtu-belief.ts";
import type { BeyondBurst, Refusal } from "./mtu-beyond.ts";
import type { EchoStream, SentProbe } from "./mtu-echo.ts";

/** A vanished packet counts only when another came through this close to it, ms: a burst of loss takes everything. */
const WITNESS_MS = 150;
/** Round trips from which on they, and not the time-out, say how long to wait. */
const RTTS_KNOWN = 2;
const WAIT_LEAST_MS = 100;
/** From this many large packets on, their own loss counts where it is worse. */
const OWN_LEAST = 10;

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
function resolved(stream: EchoStream, probe: SentProbe, wait_ms: number, now: number): boolean {
  return probe.answered || probe.sentAt + wait_ms <= (stream.endedAt ?? now);
}

/** What to look at: only silence since `since` counts, since before it the search's own packets may have filled a queue. */
export interface View {
  readonly wait_ms: number;
  readonly since: number;
  readonly now: number;
}

/** Loss of packets that are known to fit: the small ones, and the large ones, which may fare worse. */
export function fittingLoss(control: EchoStream, large: readonly EchoStream[], view: View): LossView {
  const small = counted([control], view);
  const big = counted(large, view);
  const sent = small.sent + big.sent;
  const lost = small.lost + big.lost;
  const high = (wilsonInterval(lost, sent)?.high ?? 100) / 100;
  const own = big.sent >= OWN_LEAST ? big.lost / big.sent : 0;
  return { sent, lost, believed: (lost + 1) / (sent + 2), atMost: Math.max(high, own) };
}

function counted(streams: readonly EchoStream[], { wait_ms, since, now }: View): { sent: number; lost: number } {
  const known = streams.flatMap((stream) =>
    [...stream.probes.values()].filter((probe) => probe.sentAt >= since && resolved(stream, probe, wait_ms, now)),
  );
  return { sent: known.length, lost: known.filter((probe) => !probe.answered).length };
}

/** When packets came through, ascending: what vanished near none of these moments proves nothing. */
export function witnesses(streams: readonly EchoStream[]): number[] {
  return streams
    .flatMap((stream) => [...stream.probes.values()].flatMap((probe) => (probe.answered ? [probe.sentAt] : [])))
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
  view: View & { readonly witnesses: readonly number[] },
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
      if (probe.answered) entry.passed = true;
      // Once the kernel refuses the size, nothing is sent any more that could be answered.
      else if (stream.localLimit === null && resolved(stream, probe, view.wait_ms, view.now)) {
        if (probe.sentAt >= view.since && witnessed(view.witnesses, probe.sentAt)) entry.vanished += 1;
      }
    }
  }
  for (const burst of bursts) if (burst.passed) of(burst.size).passed = true;
  for (const refusal of refusals) of(refusal.size).refused = true;
  return known;
}

/** Small packets looked at for a queue. */
const RECENT = 5;
const QUEUE_MS = 80;

/**
 * Milliseconds that the last small packets waited in a queue, 0 when they did not: even the fastest of them took far longer
 * than the fastest of all.
 */
export function queueing(control: EchoStream, since: number): number {
  const timed = [...control.probes.values()].flatMap(({ sentAt, rtt }) => (rtt === null ? [] : [{ sentAt, rtt }]));
  const recent = timed
    .filter(({ sentAt }) => sentAt >= since)
    .sort((a, b) => a.sentAt - b.sentAt)
    .slice(-RECENT);
  if (recent.length < RECENT) return 0;
  const fastest = (probes: readonly { rtt: number }[]) => Math.min(...probes.map(({ rtt }) => rtt));
  const wait = fastest(recent) - fastest(timed);
  return wait > QUEUE_MS + fastest(timed) ? wait : 0;
}
