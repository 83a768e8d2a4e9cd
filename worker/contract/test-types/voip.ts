import { z } from "zod";
import { checkEndpoint, ipVersion } from "../destination.ts";
import { metricsOf } from "../metrics.ts";
import type { FieldError } from "../problem.ts";
import { defineTestType, familyMismatch, hostContact, type Traffic } from "./define.ts";
import { ipVersionField, timeoutField } from "./fields.ts";
import { STAMP_AROUND_S, STAMP_BYTES_MIN, streamTraffic } from "./stamp.ts";
import { CONNECTION_BYTES, ipBytes, TLS_BYTES } from "./traffic.ts";

/** Ports of SIP (RFC 3261 section 19.1.2). */
export const SIP_PORT = { udp: 5060, tcp: 5060, tls: 5061 } as const;

/** What the stream stands for; `g711` and `g729` have settled figures, the others are labelled provisional. */
export const VOICE_CODECS = ["g711", "g729", "g711-noplc", "g723.1", "gsm-efr"] as const;
export type VoiceCodecName = (typeof VOICE_CODECS)[number];

export const SIP_TRANSPORTS = ["udp", "tcp", "tls"] as const;
export type SipTransport = (typeof SIP_TRANSPORTS)[number];

/** For finding addresses and loading code, and for what goes around the stream, seconds. */
const AROUND_S = 3 + STAMP_AROUND_S.opening + STAMP_AROUND_S.closing;

const voipParams = z.strictObject({
  codec: z.enum(VOICE_CODECS).default("g711").describe("Codec whose packets are sent and whose weaknesses are assumed"),
  duration: z.number().min(1).max(300).default(10).describe("Seconds the stream lasts"),
  buffer_ms: z
    .number()
    .int()
    .min(20)
    .max(500)
    .optional()
    .describe("Playout buffer of fixed length, milliseconds; default one that adapts itself to the jitter"),
  sip: z.string().min(1).max(300).optional().describe("SIP server to ask with OPTIONS as well: host or host:port"),
  sip_transport: z.enum(SIP_TRANSPORTS).optional().describe("Transport for SIP; default udp"),
  ip_version: ipVersionField,
  timeout: timeoutField(3, 32, "Seconds to wait for the last packets, and for the SIP server"),
});
export type VoipParams = z.output<typeof voipParams>;

function checkVoip(destination: string, params: VoipParams, interval_s?: number): FieldError[] {
  const endpoint = checkEndpoint(destination);
  const errors: FieldError[] = endpoint.ok
    ? familyMismatch(endpoint.version, params.ip_version)
    : [{ path: "destination", message: endpoint.message }];
  if (interval_s !== undefined && params.duration >= interval_s) {
    const message = `is ${params.duration} s, which does not fit into the interval of ${interval_s} s`;
    errors.push({ path: "params.duration", message });
  }
  return [...errors, ...checkSip(params)];
}

function checkSip({ sip, sip_transport, ip_version }: VoipParams): FieldError[] {
  if (sip === undefined) {
    return sip_transport === undefined
      ? []
      : [{ path: "params.sip_transport", message: "is for a SIP server; name one with sip" }];
  }
  const server = checkEndpoint(sip);
  if (!server.ok) return [{ path: "params.sip", message: server.message }];
  const literal = ipVersion(server.host);
  if (literal === 0 || ip_version === undefined || literal === ip_version) return [];
  return [{ path: "params.sip", message: `is an IPv${literal} address, but ip_version is ${ip_version}` }];
}

/** The most packets a second, and the longest: G.711 every 20 ms with its RTP header (RFC 3551, 3550). */
const VOICE = { spacing: 0.02, payload: 172 } as const;
/** OPTIONS and its answer over UDP, sent anew until nobody waits any more (RFC 3261 17.1.2.2). */
const SIP_BYTES = 11 * ipBytes(1200) * 2 + CONNECTION_BYTES + TLS_BYTES;

function traffic({ codec, duration, sip }: VoipParams): Traffic {
  const payload = codec.startsWith("g711") ? VOICE.payload : STAMP_BYTES_MIN.authenticated;
  const stream = streamTraffic(Math.max(1, Math.round(duration / VOICE.spacing)), VOICE.spacing, payload);
  return { ...stream, bytes: stream.bytes + (sip === undefined ? 0 : SIP_BYTES) };
}

export const voip = defineTestType({
  type: "voip",
  label: "Voice",
  summary: "A stream like a call's, both directions judged by the E-model (R factor, estimated MOS); SIP OPTIONS where asked for",
  destination: {
    hint: "A STAMP reflector (RFC 8762): a host name or an IP address, with or without a port.",
    example: "reflector.example or 192.0.2.10:8862",
  },
  params: voipParams,
  metrics: metricsOf("voip"),
  headline: ["voip_mos_est", "voip_r_factor", "voip_effective_loss_down_pct", "voip_one_way_delay_est_ms"],
  default_interval_s: 60,
  peer: "reflector",
  check: checkVoip,
  contacts: (destination, { sip }) => [
    ...hostContact(checkEndpoint(destination)),
    ...(sip === undefined ? [] : hostContact(checkEndpoint(sip))),
  ],
  traffic,
  deadline_ms: ({ duration, timeout, sip }) => (duration + timeout + AROUND_S + (sip === undefined ? 0 : timeout + 1)) * 1000,
});
