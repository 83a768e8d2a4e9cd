// Our voice run against the emulator's record: the MOS that each direction's true delays and losses give.
import { CODECS } from "../../../agent/voice/codecs.ts";
import { type PlayoutBuffer, playOut, type StreamPacket } from "../../../agent/voice/playout.ts";
import type { Family, Lab } from "./lab.ts";
import { number, type Options, probe, type Result } from "./ours.ts";
import { TARGET } from "./ping-rows.ts";
import { type Place, type Row, Sheet } from "./rows.ts";
import type { Packet } from "./trace.ts";

/** The lab's STAMP reflector. */
const PORT = 862;
/** The only link these settings impair, so that packets are told apart by their order. */
const IMPAIRED = "l2";
/** Of a MOS. */
const TOLERANCE = 0.1;

/** What truly happened to each packet of the stream, by direction. */
export interface VoiceTruth {
  up: StreamPacket[];
  down: StreamPacket[];
}

const fateOf = (packet: Packet): StreamPacket => ({
  sent_ms: packet.in_us / 1000,
  transit_ms: packet.fate === "o" ? (packet.out_us - packet.in_us) / 1000 : null,
});

/** The stream in the record; `before` packets of the run only asked for the reflector's count. Nothing overtakes. */
export function voiceTruth(
  trace: readonly Packet[],
  family: Family,
  { before, sent }: { before: number; sent: number },
): VoiceTruth {
  const on = (direction: Packet["direction"]) =>
    trace
      .filter((p) => p.protocol === "udp" && p.family === family && p.link === IMPAIRED && p.direction === direction)
      .filter((p) => (direction === "up" ? p.b : p.a) === PORT)
      .sort((a, b) => a.in_us - b.in_us);
  const up = on("up");
  const arrivedBefore = up.slice(0, before).filter((p) => p.fate === "o").length;
  const stream = up.slice(before, before + sent);
  const arrived = stream.filter((p) => p.fate === "o").length;
  return {
    up: stream.map(fateOf),
    down: on("down")
      .slice(arrivedBefore, arrivedBefore + arrived)
      .map(fateOf),
  };
}

/** R and MOS by the equations of ITU-T G.107 (06/2015), written down apart from the product's. */
function mosByHand(delay_ms: number, loss_pct: number, burst: number, { ie, bpl }: { ie: number; bpl: number }): number {
  const x = Math.log(Math.max(1, delay_ms / 100)) / Math.log(2);
  const idd = 25 * ((1 + x ** 6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2);
  const r = Math.max(0, 93.2 - idd - (ie + ((95 - ie) * loss_pct) / (loss_pct / burst + bpl)));
  return Math.max(1, 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r));
}

/** Mean run of packets not played over the mean run of random loss. */
function burstByHand(played: readonly boolean[]): number {
  const missing = played.filter((each) => !each).length;
  const runs = played.filter((each, i) => !each && played[i - 1] !== false).length;
  if (runs === 0 || missing === played.length) return 1;
  return Math.max(1, (missing / runs) * (1 - missing / played.length));
}

/** With a fixed buffer everything follows from the record by hand. */
function fixedMos(
  stream: readonly StreamPacket[],
  half_ms: number,
  buffer_ms: number,
  codec: { ie: number; bpl: number; ms: number },
) {
  const least = Math.min(...stream.map(({ transit_ms }) => transit_ms ?? Number.POSITIVE_INFINITY));
  const played = stream.map(({ transit_ms }) => typeof transit_ms === "number" && transit_ms - least <= buffer_ms);
  const loss = (100 * played.filter((each) => !each).length) / played.length;
  return mosByHand(half_ms + buffer_ms + codec.ms, loss, burstByHand(played), codec);
}

/** The adaptive buffer is the product's own, fed with the true times. */
function adaptiveMos(stream: readonly StreamPacket[], half_ms: number, codec: { ie: number; bpl: number; ms: number }) {
  const buffer: PlayoutBuffer = { kind: "adaptive", least_ms: 20 };
  const played = playOut(stream, buffer);
  if (played === undefined) return null;
  const burst = Math.max(1, played.burst_ratio ?? 1);
  return mosByHand(half_ms + played.buffer_ms + codec.ms, played.effective_loss_pct, burst, codec);
}

/** Coding and packing of 20 ms (ITU-T G.114 table I.4), and the 3.75 ms of G.711's concealment. */
const CODEC_MS = { g711: 23.875, g729: 35 } as const;

export interface VoiceSetting {
  name: string;
  family: Family;
  codec: keyof typeof CODEC_MS;
  /** Undefined: adaptive. */
  buffer_ms: number | undefined;
  duration_s: number;
}

const lossOf = (stream: readonly StreamPacket[]): number =>
  (100 * stream.filter(({ transit_ms }) => transit_ms === null).length) / stream.length;

const extraOf = (result: Result): number => {
  const extra = result.detail.extra_packets as { opening?: number } | undefined;
  return extra?.opening ?? 0;
};

/** A machine too busy to send on time gives no figures, and is asked once more. */
function heldUp(place: Place): Row[] {
  const sheet = new Sheet({ ...place, chance: true });
  sheet.judge("sent on time", true, false, false);
  return sheet.rows;
}

/** One run at what the lab is set to, judged by what the emulator did in it. */
export async function voiceRows(lab: Lab, { name, family, codec, buffer_ms, duration_s }: VoiceSetting): Promise<Row[]> {
  const options: Options = { codec, duration: duration_s, ...(buffer_ms === undefined ? {} : { "buffer-ms": buffer_ms }) };
  const result = await probe(lab, "voip", TARGET[family], options);
  const sent = number(result, "voip_sent") ?? 0;
  const { up, down } = voiceTruth(await lab.trace(), family, { before: extraOf(result), sent });
  const least = (stream: readonly StreamPacket[]) => Math.min(...stream.flatMap(({ transit_ms }) => transit_ms ?? []));
  const half = (least(up) + least(down)) / 2;
  const figures = { ...CODECS[codec], ms: CODEC_MS[codec] };
  const mosOf = (stream: readonly StreamPacket[]) =>
    buffer_ms === undefined ? adaptiveMos(stream, half, figures) : fixedMos(stream, half, buffer_ms, figures);
  const [mosUp, mosDown] = [mosOf(up), mosOf(down)];
  const place = { bar: "voice", setting: `${name}, ${codec}, buffer ${buffer_ms ?? "adaptive"}`, family };
  if (result.reasons.voip_mos_est === "host_overloaded") return heldUp(place);
  const sheet = new Sheet(place);
  sheet.equal("packets sent", (duration_s * 1000) / 20, sent);
  sheet.equal("loss up %", lossOf(up), number(result, "voip_loss_up_pct"));
  sheet.equal("loss down %", lossOf(down), number(result, "voip_loss_down_pct"));
  sheet.near("MOS up", mosUp, number(result, "voip_mos_up"), TOLERANCE);
  sheet.near("MOS down", mosDown, number(result, "voip_mos_down"), TOLERANCE);
  const worse = mosUp === null || mosDown === null ? null : Math.min(mosUp, mosDown);
  sheet.near("MOS", worse, number(result, "voip_mos_est"), TOLERANCE);
  return sheet.rows;
}
