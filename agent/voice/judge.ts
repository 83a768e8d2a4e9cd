// A call of two streams, each judged for the ears at its end. Pure.
import { heedsBursts, mosOf, ratingOf } from "#contract/e-model";
import { jitterRfc3550 } from "../statistics.ts";
import { codecDelay, type VoiceCodec } from "./codecs.ts";
import { type Playout, type PlayoutBuffer, playOut, type StreamPacket } from "./playout.ts";

/** One direction as its listener hears it. */
export interface Hearing {
  readonly playout: Playout;
  /** RFC 3550 section 6.4.1, ms; undefined with fewer than two packets, and where only round trips are known. */
  readonly jitter_ms: number | undefined;
  /** Mouth to ear, ms: half the fastest round trip, the buffer, the codec. */
  readonly delay_ms: number;
  readonly rating: number;
  readonly mos: number;
}

/** What the transit times of a call's streams are: those of one direction, or whole round trips in both streams. */
export type Timing = "one_way" | "round_trip";

export interface Call {
  readonly timing: Timing;
  readonly up: Hearing;
  readonly down: Hearing;
  /** The one with the lower rating. */
  readonly worse: "up" | "down";
  /** Half the fastest round trip, ms. */
  readonly half_round_trip_ms: number;
}

/** Bursts the model was tried with: any where less than 2 % is missing, else up to BurstR 2 (ITU-T G.107 Annex A). */
const TRIED = { loss_pct: 2, burst_ratio: 2 } as const;

/** Whether the losses come in longer bursts than those the model was tried with, so that its figure is an extrapolation. */
export const beyondModel = ({ playout }: Hearing): boolean =>
  playout.effective_loss_pct >= TRIED.loss_pct && (playout.burst_ratio ?? 1) > TRIED.burst_ratio;

/** Over the packets in the order of their arrival. */
function jitterOf(stream: readonly StreamPacket[]): number | undefined {
  const arrived = stream.flatMap(({ sent_ms, transit_ms }) =>
    typeof transit_ms === "number" ? [{ at_ms: sent_ms + transit_ms, transit_ms }] : [],
  );
  return jitterRfc3550(arrived.sort((a, b) => a.at_ms - b.at_ms).map(({ transit_ms }) => transit_ms));
}

/** Timestamps of whole milliseconds and clocks that drift apart put half of a short round trip this far below 0; not further. */
const READ_WITHIN_MS = 2.5;

/** The buffer asked for; one of at least a packet's length that adapts itself where none was. */
export const bufferOf = (fixed_ms: number | undefined, codec: VoiceCodec): PlayoutBuffer =>
  fixed_ms === undefined ? { kind: "adaptive", least_ms: codec.packet_ms } : { kind: "fixed", ms: fixed_ms };

/**
 * Judges both directions; undefined where no packet is known to have arrived in one of them, or where the times contradict each
 * other: the fastest ways there and back take less than no time. What a path delays one way is not measurable without common
 * clocks: half the round trip stands for either way. Queueing above the fastest round trip is not added, for the buffer holds
 * it: a packet that queued longer waits there the less. By round trips, each direction is judged as if all queueing were its own.
 */
export function judgeCall(
  up: readonly StreamPacket[],
  down: readonly StreamPacket[],
  codec: VoiceCodec,
  buffer: PlayoutBuffer,
  timing: Timing = "one_way",
): Call | undefined {
  const [playedUp, playedDown] = [playOut(up, buffer), playOut(down, buffer)];
  if (playedUp === undefined || playedDown === undefined) return undefined;
  // One way, the clocks' offset is in both with opposite signs.
  const sum_ms = playedUp.fastest_ms + playedDown.fastest_ms;
  const half_ms = timing === "one_way" ? sum_ms / 2 : sum_ms / 4;
  if (half_ms < -READ_WITHIN_MS) return undefined;
  const half_round_trip_ms = Math.max(0, half_ms);
  const hear = (playout: Playout, stream: readonly StreamPacket[]): Hearing => {
    const delay_ms = half_round_trip_ms + playout.buffer_ms + codecDelay(codec);
    const burst_ratio = heedsBursts(codec) ? (playout.burst_ratio ?? 1) : 1;
    const rating = ratingOf({ delay_ms, loss_pct: playout.effective_loss_pct, burst_ratio, ie: codec.ie, bpl: codec.bpl });
    const jitter_ms = timing === "one_way" ? jitterOf(stream) : undefined;
    return { playout, jitter_ms, delay_ms, rating, mos: mosOf(rating) };
  };
  const call = { timing, up: hear(playedUp, up), down: hear(playedDown, down), half_round_trip_ms };
  return { ...call, worse: call.up.rating < call.down.rating ? "up" : "down" };
}
