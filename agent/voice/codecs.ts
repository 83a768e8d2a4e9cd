// What each codec sends and how it suffers. Ie and Bpl: ITU-T G.113 (09/2024) Appendix I, table I.4 (planning values).
// Codecs that table does not hold (Opus, iLBC, AMR) are left out: a figure borrowed from a relative would be an invention, and
// wideband ones live on another scale (G.107.1).
import type { VoiceCodecName } from "#contract/test-types/voip";

export interface VoiceCodec {
  readonly name: VoiceCodecName;
  readonly label: string;
  /** Voice in one packet, ms, and the bytes it takes. */
  readonly packet_ms: number;
  readonly payload_bytes: number;
  /** Codec frame and look-ahead, ms. */
  readonly frame_ms: number;
  readonly lookahead_ms: number;
  /** Delay that the concealment of lost packets adds at the receiver, ms. */
  readonly concealment_ms: number;
  readonly ie: number;
  readonly bpl: number;
  /** Results with it are labelled: only G.711 with concealment and G.729A are in wide use with the packets of the table. */
  readonly provisional: boolean;
  readonly source: string;
}

/** Fixed RTP header without extensions (RFC 3550 section 5.1). */
export const RTP_HEADER_BYTES = 12;

const TABLE = "ITU-T G.113 (09/2024) Appendix I, table I.4";

/** Frames, look-ahead and payload: RFC 3551 section 4.5 and the codecs' own Recommendations; 3.75 ms: G.711 Appendix I. */
export const CODECS: { readonly [Name in VoiceCodecName]: VoiceCodec } = {
  g711: {
    name: "g711",
    label: "G.711 with loss concealment (G.711 Appendix I)",
    packet_ms: 20,
    payload_bytes: 160,
    frame_ms: 0.125,
    lookahead_ms: 0,
    concealment_ms: 3.75,
    ie: 0,
    bpl: 25.1,
    provisional: false,
    source: `${TABLE} (for packets of 10 ms; it has none of 20 ms)`,
  },
  g729: {
    name: "g729",
    label: "G.729A with voice activity detection",
    packet_ms: 20,
    payload_bytes: 20,
    frame_ms: 10,
    lookahead_ms: 5,
    concealment_ms: 0,
    ie: 11,
    bpl: 19,
    provisional: false,
    source: TABLE,
  },
  "g711-noplc": {
    name: "g711-noplc",
    label: "G.711 without loss concealment",
    packet_ms: 20,
    payload_bytes: 160,
    frame_ms: 0.125,
    lookahead_ms: 0,
    concealment_ms: 0,
    ie: 0,
    bpl: 4.3,
    provisional: true,
    source: `${TABLE} (for packets of 10 ms; it has none of 20 ms)`,
  },
  "g723.1": {
    name: "g723.1",
    label: "G.723.1 at 6.3 kbit/s with voice activity detection",
    packet_ms: 30,
    payload_bytes: 24,
    frame_ms: 30,
    lookahead_ms: 7.5,
    concealment_ms: 0,
    ie: 15,
    bpl: 16.1,
    provisional: true,
    source: TABLE,
  },
  "gsm-efr": {
    name: "gsm-efr",
    label: "GSM enhanced full rate",
    packet_ms: 20,
    payload_bytes: 31,
    frame_ms: 20,
    lookahead_ms: 0,
    concealment_ms: 0,
    ie: 5,
    bpl: 10,
    provisional: true,
    source: TABLE,
  },
};

/** Bytes of one packet above UDP. */
export const packetBytes = (codec: VoiceCodec): number => RTP_HEADER_BYTES + codec.payload_bytes;

/**
 * Delay of coding and packing, ms: the frames of one packet, one more to work on the last, the look-ahead (ITU-T G.114 (05/2003)
 * table I.4, its lower figure), and the concealment at the far end.
 */
export function codecDelay({ packet_ms, frame_ms, lookahead_ms, concealment_ms }: VoiceCodec): number {
  return packet_ms + frame_ms + lookahead_ms + concealment_ms;
}
