// Voice: packets like a codec's to a STAMP reflector and back, each direction played out and judged by the E-model.
import type { ResultError, Status } from "#contract/result";
import { STAMP_PORT } from "#contract/test-types/stamp";
import { SIP_PORT, type VoipParams } from "#contract/test-types/voip";
import { runStamp, type StampRun } from "../stamp/sender.ts";
import { isSteady } from "../stamp/statistics.ts";
import { CODECS, packetBytes, type VoiceCodec } from "../voice/codecs.ts";
import { beyondModel, bufferOf, type Call, judgeCall } from "../voice/judge.ts";
import type { PlayoutBuffer } from "../voice/playout.ts";
import type { SipOutcome } from "../voice/sip.ts";
import { streamsOf } from "../voice/streams.ts";
import { type Endpoint, type Failure, findEndpoint, STOPPED, showEndpoint } from "./endpoint.ts";
import type { Outcome, Probe, RunContext } from "./probe.ts";
import { streamFailure } from "./udp-failure.ts";
import { isVoid } from "./udp-metrics.ts";
import { roundTripsOf, sipDetail, type VoipReading, voipDetail, voipMetrics } from "./voip-metrics.ts";
import { LiveVoice, sipRow, voipView } from "./voip-rows.ts";

/** Kept for the end of the run, ms. */
const RESERVE_MS = 100;
/** Voice a judgement needs, ms. */
const LEAST_MS = 900;

async function run(destination: string, params: VoipParams, context: RunContext): Promise<Outcome> {
  const { budget } = context;
  const codec = CODECS[params.codec];
  const sip = await askSip(params, context);
  if (sip !== undefined) context.show(sipRow(sip.outcome));
  const base = { codec, run: undefined, call: undefined, split: false, sip: sip?.outcome };
  const found = await findEndpoint(destination, { port: STAMP_PORT, ip_version: params.ip_version }, budget.signal);
  if (budget.stopped) return report({ ...base, reason: STOPPED.reason }, params, { failure: STOPPED });
  if (!found.ok) return report({ ...base, reason: found.reason }, params, { failure: found, sip });
  const { endpoint } = found;
  const stamped = await stream(endpoint, params, codec, context);
  const conditions = { endpoint, keyed: context.session !== undefined, stopped: budget.stopped };
  const spoiled = streamFailure(stamped, conditions);
  const { up, split } = streamsOf(stamped);
  const enough = up.length * codec.packet_ms >= LEAST_MS && !isVoid(stamped.packets);
  const call = enough ? judge(stamped, codec, bufferOf(params.buffer_ms, codec)) : undefined;
  const trouble = spoiled ?? (enough && call === undefined ? timeless(endpoint) : undefined);
  const reason = trouble?.reason ?? "too_few_samples";
  const reading = { codec, run: stamped, call, split, reason, sip: sip?.outcome };
  return report(reading, params, { endpoint, failure: trouble, sip });
}

/** Answers without a usable time among them give no call. */
function timeless(endpoint: Endpoint): Failure {
  const message = `${showEndpoint(endpoint)} answers with timestamps that cannot be true, so nothing can be judged; look at what listens there`;
  return { error: { code: "bad_response", source: "target", message }, reason: "unsupported" };
}

/**
 * The call by the times of each way; where the reflector's clock was set, ticks coarsely or stands still these mean nothing, and
 * the round trips by this host's own clock have to do.
 */
function judge(stamped: StampRun, codec: VoiceCodec, buffer: PlayoutBuffer): Call | undefined {
  const { up, down } = streamsOf(stamped);
  const call = isSteady(stamped.packets) ? judgeCall(up, down, codec, buffer) : undefined;
  if (call !== undefined || roundTripsOf(stamped).length === 0) return call;
  const around = streamsOf(stamped, "round_trip");
  return judgeCall(around.up, around.down, codec, buffer, "round_trip");
}

interface Asked {
  readonly outcome: SipOutcome;
  /** The server, as people write it. */
  readonly shown: string;
}

/** The SIP server is asked before the stream begins, so that neither disturbs the other's times. */
async function askSip(
  { sip, sip_transport = "udp", ip_version, timeout }: VoipParams,
  { budget, measuring }: RunContext,
): Promise<Asked | undefined> {
  if (sip === undefined) return undefined;
  const found = await findEndpoint(sip, { port: SIP_PORT[sip_transport], ip_version }, budget.signal);
  if (!found.ok) {
    const { error, reason } = found;
    return { outcome: { ok: false, error: { ...error, message: `SIP server: ${error.message}` }, reason }, shown: sip };
  }
  const { askOptions, prepareSip } = await import("../voice/sip.ts");
  await prepareSip(sip_transport);
  const part = budget.part("sip", timeout * 1000, RESERVE_MS);
  measuring();
  const outcome = await askOptions({ endpoint: found.endpoint, transport: sip_transport }, part.signal);
  if (!outcome.ok && part.signal.aborted) budget.hit("sip");
  return { outcome, shown: showEndpoint(found.endpoint) };
}

async function stream(endpoint: Endpoint, params: VoipParams, codec: VoiceCodec, context: RunContext): Promise<StampRun> {
  if (params.sip === undefined) context.measuring();
  const count = Math.max(1, Math.round((params.duration * 1000) / codec.packet_ms));
  const live = new LiveVoice(count, codec.packet_ms, context);
  const stamped = await runStamp({
    address: endpoint.address,
    port: endpoint.port,
    count,
    interval_ms: codec.packet_ms,
    packet_bytes: packetBytes(codec),
    timeout_ms: params.timeout * 1000,
    session: context.session,
    // The reserve leaves time to judge what came before the deadline.
    signal: context.budget.part("stream", context.budget.left(), RESERVE_MS).signal,
    onSend: live.onSend,
    onReply: live.onReply,
  });
  live.end(stamped.packets.length);
  return stamped;
}

/** What is wrong with the SIP server's part, which leaves the stream's figures alone. */
function sipError(sip: Asked | undefined): ResultError | undefined {
  if (sip === undefined) return undefined;
  if (!sip.outcome.ok) return sip.outcome.error;
  const { status, reason } = sip.outcome;
  if (status < 500 || status >= 600) return undefined;
  const message = `SIP server ${sip.shown} answered ${status} ${reason}: it is there and does not work`;
  return { code: "bad_response", source: "target", message };
}

function statusOf(reading: VoipReading, error: ResultError | null): Status {
  if (error === null) return "ok";
  return reading.call !== undefined || reading.sip?.ok === true ? "partial" : "failed";
}

function flagsOf({ codec, run: stamped, call, split, sip }: VoipReading): string[] {
  const flags: string[] = [];
  if (stamped !== undefined) flags.push("dscp_not_set");
  if (stamped !== undefined && stamped.stepped_ms !== 0) flags.push("clock_stepped");
  if (stamped !== undefined && stamped.packet_bytes > packetBytes(codec)) flags.push("packets_longer_than_codec");
  if (codec.provisional) flags.push("provisional_codec");
  if (call !== undefined && !split) flags.push("loss_not_split");
  if (call?.timing === "round_trip") flags.push("judged_by_round_trip");
  if (call !== undefined && [call.up, call.down].some(beyondModel)) flags.push("bursts_beyond_model");
  if (sip?.ok && sip.retransmissions > 0) flags.push("sip_retransmitted");
  if (sip?.ok && sip.certificate_error !== null) flags.push("sip_certificate_invalid");
  return flags;
}

function report(
  reading: VoipReading,
  params: VoipParams,
  { endpoint, failure, sip }: { endpoint?: Endpoint; failure?: Failure | undefined; sip?: Asked | undefined },
): Outcome {
  const error = failure?.error ?? sipError(sip) ?? null;
  const sheet = voipMetrics(reading);
  const where =
    endpoint === undefined ? {} : { port: endpoint.port, resolve_ms: endpoint.resolve_ms, resolved_by: endpoint.resolved_by };
  return {
    address: endpoint?.address ?? null,
    status: statusOf(reading, error),
    error: error === null ? null : { ...error, message: error.message.slice(0, 1000) },
    metrics: sheet.metrics,
    reasons: sheet.reasons,
    detail: { ...where, ...voipDetail(reading, params.buffer_ms), ...sipDetail(sip?.outcome, sip?.shown) },
    flags: flagsOf(reading),
  };
}

/** Voice over a STAMP path (RFC 8762), rated by ITU-T G.107; SIP OPTIONS (RFC 3261 section 11). */
export const voip: Probe<"voip"> = {
  places: () => ({ sockets: 1 }),
  run,
  view: voipView,
};
