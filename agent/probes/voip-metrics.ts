// The metrics of a voice run. Pure.
import { E_MODEL, satisfactionOf } from "#contract/e-model";
import type { Reason } from "#contract/metrics";
import { voip } from "#contract/test-types/voip";
import type { StampRun } from "../stamp/sender.ts";
import { roundTrips } from "../stamp/statistics.ts";
import { median, round3 } from "../statistics.ts";
import { packetBytes, type VoiceCodec } from "../voice/codecs.ts";
import type { Call, Hearing } from "../voice/judge.ts";
import type { SipOutcome } from "../voice/sip.ts";
import { MetricSheet } from "./probe.ts";
import { decided, lateness } from "./udp-metrics.ts";

export interface VoipReading {
  readonly codec: VoiceCodec;
  /** Absent where nothing could be sent. */
  readonly run: StampRun | undefined;
  readonly call: Call | undefined;
  /** Whether every lost packet's direction is known. */
  readonly split: boolean;
  /** Why there is no call to judge. */
  readonly reason: Reason;
  /** Absent where no SIP server was named. */
  readonly sip: SipOutcome | undefined;
}

const rounded = (value: number | undefined): number | undefined => (value === undefined ? undefined : round3(value));

/** What is known of one direction by itself. */
interface Known {
  /** Which way each packet was lost; a reflector that keeps no count of its own cannot say it. */
  readonly loss: boolean;
  /** How long packets took; one whose clock does not run evenly cannot say it. */
  readonly times: boolean;
}

function setHearing(sheet: MetricSheet, way: "up" | "down", hearing: Hearing, { loss, times }: Known): void {
  const { playout, jitter_ms, rating, mos } = hearing;
  sheet.set(`voip_late_${way}_pct`, times ? round3(playout.late_pct) : undefined, "unsupported");
  sheet.set(`voip_jitter_${way}`, rounded(jitter_ms), times ? "too_few_samples" : "unsupported");
  sheet.set(`voip_loss_${way}_pct`, loss ? round3(playout.loss_pct) : undefined, "unsupported");
  const both = loss && times;
  const known = <Value>(value: Value) => (both ? value : undefined);
  sheet.set(`voip_mos_${way}`, known(round3(mos)), "unsupported");
  sheet.set(`voip_r_${way}`, known(round3(rating)), "unsupported");
  sheet.set(`voip_effective_loss_${way}_pct`, known(round3(playout.effective_loss_pct)), "unsupported");
  sheet.set(`voip_burst_ratio_${way}`, known(rounded(playout.burst_ratio)), both ? "not_applicable" : "unsupported");
}

function setSip(sheet: MetricSheet, sip: SipOutcome | undefined): void {
  const reason = sip === undefined ? "not_applicable" : sip.ok ? "timeout" : sip.reason;
  sheet.set("sip_options_rtt", sip?.ok ? round3(sip.rtt_ms) : undefined, reason);
  sheet.set("sip_status", sip?.ok ? sip.status : undefined, reason);
}

/** Round trips of the packets answered in time, in the order of sending, ms. */
export const roundTripsOf = ({ packets }: Pick<StampRun, "packets">): number[] =>
  roundTrips(packets).filter((rtt_ms) => rtt_ms !== null);

/**
 * Every voip metric of a run, value or null with its reason. Packets count as in udp: sent are those whose fate is known, received
 * those answered within the time-out. A later answer counts as late in its direction, for the network did deliver it.
 */
export function voipMetrics({ codec, run, call, split, reason, sip }: VoipReading): MetricSheet {
  const sheet = new MetricSheet();
  sheet.set("voip_codec", codec.name, reason);
  sheet.set("voip_model", E_MODEL, reason);
  setSip(sheet, sip);
  if (run !== undefined) {
    const packets = decided(run.packets);
    sheet.set("voip_sent", packets.length, reason);
    sheet.set("voip_received", packets.filter(({ fate }) => fate === "answered").length, reason);
    sheet.set("voip_rtt_median", rounded(median(roundTripsOf(run))), reason);
  }
  if (call !== undefined) {
    const worse = call[call.worse];
    sheet.set("voip_mos_est", round3(worse.mos), reason);
    sheet.set("voip_r_factor", round3(worse.rating), reason);
    sheet.set("voip_one_way_delay_est_ms", round3(worse.delay_ms), reason);
    sheet.set("voip_buffer_ms", round3(worse.playout.buffer_ms), reason);
    const known = { loss: split, times: call.timing === "one_way" };
    setHearing(sheet, "up", call.up, known);
    setHearing(sheet, "down", call.down, known);
  }
  sheet.fill(voip.metrics, reason);
  return sheet;
}

const hearingDetail = ({ playout, delay_ms, rating }: Hearing) => ({
  verdict: satisfactionOf(rating),
  lost: playout.lost,
  late: playout.late,
  buffer_ms: round3(playout.buffer_ms),
  mouth_to_ear_ms: round3(delay_ms),
});

/** How the figures came about: the codec's, the model's assumptions, and what was on the wire. */
export function voipDetail({ codec, run, call, split }: VoipReading, fixed_ms: number | undefined): Record<string, unknown> {
  const { label, ie, bpl, packet_ms, provisional, source } = codec;
  const like = packetBytes(codec);
  return {
    scale: "MOS-CQE (ITU-T P.800.1): an estimate of conversational quality by calculation, not the opinion of listeners",
    assumed: "narrowband handsets, echo cancelled, no advantage factor; half the round trip is taken for either way",
    codec: { label, ie, bpl, packet_ms, provisional, source },
    buffer: fixed_ms === undefined ? "adaptive" : "fixed",
    // Node sets no DS field of UDP sockets, so the stream travels as best effort whatever calls are marked with (often EF, 46).
    marking: "none (DSCP 0): the path may treat real calls better",
    packet_bytes: { codec_with_rtp: like, sent: run?.packet_bytes ?? null },
    ...(call === undefined
      ? {}
      : {
          half_round_trip_ms: round3(call.half_round_trip_ms),
          judged_by: call.timing === "one_way" ? "the times of each direction" : "whole round trips, for both directions",
          ...(call.timing === "one_way" ? { worse: call.worse, up: hearingDetail(call.up), down: hearingDetail(call.down) } : {}),
        }),
    ...(run === undefined
      ? {}
      : {
          loss_numbering: run.loss.numbering,
          loss_split: split,
          unattributed: run.loss.unattributed,
          // They only ask for the reflector's count and are part of no figure.
          extra_packets: { opening: run.extra.opening.sent, closing: run.extra.closing.sent },
          send_late_p95_ms: rounded(lateness(run.packets)) ?? null,
          duplicates: run.duplicates,
          rejected: run.rejected,
          errors: run.errors,
        }),
  };
}

export function sipDetail(sip: SipOutcome | undefined, where: string | undefined): Record<string, unknown> {
  if (sip === undefined) return {};
  if (!sip.ok) return { sip: { asked: where ?? null, error: sip.error } };
  const { status, reason, server, retransmissions, connect_ms, certificate_error } = sip;
  const connection = { connect_ms: connect_ms === null ? null : round3(connect_ms), certificate_error };
  return { sip: { asked: where ?? null, status, reason, server: server ?? null, retransmissions, ...connection } };
}
