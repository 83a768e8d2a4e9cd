// What people see of a voice run: each second as it goes, the verdict on both directions at the end.
import { type Satisfaction, satisfactionOf } from "#contract/e-model";
import type { Measurement, Metrics } from "#contract/result";
import { cell, figure, lossTone, milliseconds, percent, type Row, type Tone } from "../rows.ts";
import type { AnsweredPacket } from "../stamp/sender.ts";
import { isSteady } from "../stamp/statistics.ts";
import { jitterRfc3550, median } from "../statistics.ts";
import type { SipOutcome } from "../voice/sip.ts";
import type { RunContext } from "./probe.ts";

const LABEL = 8;
/** Between two reports of progress, ms. */
const PROGRESS_MS = 500;

/** One row for each second of the stream, told when its answers have had a second to come. */
export class LiveVoice {
  readonly onSend: (seq: number) => void;
  readonly onReply: (packet: AnsweredPacket) => void;
  readonly #perSecond: number;
  readonly #context: RunContext;
  readonly #answers = new Map<number, AnsweredPacket[]>();
  #shown = 0;

  constructor(count: number, packet_ms: number, context: RunContext) {
    this.#perSecond = Math.round(1000 / packet_ms);
    this.#context = context;
    const step = Math.max(1, Math.round(PROGRESS_MS / packet_ms));
    this.onSend = (seq) => {
      if (seq % step === 0) context.progress(seq / count, `voice packet ${seq + 1} of ${count}`);
      // Answers of the second before the last one are all here, or so late that no buffer waits for them.
      if (seq % this.#perSecond === 0) this.#showUntil(seq / this.#perSecond - 1, count);
    };
    this.onReply = (packet) => {
      if (!context.watched) return;
      const second = Math.floor(packet.seq / this.#perSecond);
      const answers = this.#answers.get(second);
      if (answers === undefined) this.#answers.set(second, [packet]);
      else answers.push(packet);
    };
  }

  /** The stream is over: shows what is left of it. */
  end(sent: number): void {
    this.#showUntil(Math.ceil(sent / this.#perSecond), sent);
  }

  #showUntil(second: number, count: number): void {
    while (this.#context.watched && this.#shown < second) {
      this.#show(this.#shown, Math.min(this.#perSecond, count - this.#shown * this.#perSecond));
      this.#shown += 1;
    }
  }

  #show(second: number, sent: number): void {
    const answers = this.#answers.get(second) ?? [];
    this.#answers.delete(second);
    const lost = Math.max(0, sent - answers.length);
    const times = answers.flatMap(({ rtt_ms }) => (rtt_ms === null ? [] : [rtt_ms]));
    const steady = isSteady(answers.map((answer) => ({ fate: "answered", answer })));
    const jitter = (transits: number[]) => milliseconds(steady ? jitterRfc3550(transits) : undefined);
    this.#context.show([
      figure(`${second + 1} s`, LABEL, "dim"),
      cell(`rtt ${milliseconds(median(times))}`, 14),
      cell(`jitter up ${jitter(answers.map(({ t1, t2 }) => t2 - t1))}`, 19),
      cell(`down ${jitter(answers.map(({ t3, t4 }) => t4 - t3))}`, 13),
      cell(lost === 0 ? "none missing" : `${lost} of ${sent} missing`, 16, lossTone((100 * lost) / Math.max(1, sent))),
    ]);
  }
}

/** The SIP server's answer, in the columns of the seconds that follow; the final rows say more. */
export function sipRow(sip: SipOutcome): Row {
  const label = figure("SIP", LABEL, "dim");
  if (!sip.ok) return [label, cell(sip.error.code.replaceAll("_", " "), 14, "bad")];
  const tone: Tone = sip.status >= 500 ? "bad" : sip.status >= 300 ? "warn" : "good";
  return [label, cell(`${sip.status}`, 14, tone), cell(`after ${milliseconds(sip.rtt_ms)}`, 19)];
}

const TONES: Readonly<Record<Satisfaction, Tone>> = {
  "very satisfied": "good",
  satisfied: "good",
  "some users dissatisfied": "warn",
  "many users dissatisfied": "warn",
  "nearly all users dissatisfied": "bad",
  "not recommended": "bad",
};

const decimals = (value: unknown, digits: number): string => (typeof value === "number" ? value.toFixed(digits) : "–");

function verdictCells(mos: unknown, rating: unknown): Row {
  if (typeof rating !== "number") return [cell("MOS –", 8, "dim"), cell("R –", 6, "dim"), cell("not known", 0, "dim")];
  const words = satisfactionOf(rating);
  return [cell(`MOS ${decimals(mos, 2)}`, 8, TONES[words]), cell(`R ${decimals(rating, 1)}`, 6), cell(words, 24, TONES[words])];
}

function directionRow(metrics: Metrics, way: "up" | "down", title: string): Row {
  const effective = metrics[`voip_effective_loss_${way}_pct`];
  const burst = metrics[`voip_burst_ratio_${way}`];
  return [
    cell(title, LABEL, "bold"),
    ...verdictCells(metrics[`voip_mos_${way}`], metrics[`voip_r_${way}`]),
    cell(`not played ${percent(effective)}`, 0, lossTone(effective)),
    cell(`lost ${percent(metrics[`voip_loss_${way}_pct`])}, late ${percent(metrics[`voip_late_${way}_pct`])}`),
    cell(typeof burst === "number" ? `burst ratio ${burst.toFixed(2)}` : "", 16),
    cell(`jitter ${milliseconds(metrics[`voip_jitter_${way}`])}`),
  ];
}

const field = (detail: unknown, name: string): unknown =>
  typeof detail === "object" && detail !== null ? (detail as Record<string, unknown>)[name] : undefined;

/** The finished run: the call, both directions, where the delay comes from, the SIP server. */
export function voipView({ metrics, detail, flags }: Measurement): readonly Row[] {
  const rows: Row[] = [];
  if (typeof metrics.voip_mos_est === "number") {
    rows.push(
      [cell("call", LABEL, "bold"), ...verdictCells(metrics.voip_mos_est, metrics.voip_r_factor)],
      directionRow(metrics, "up", "up"),
      directionRow(metrics, "down", "down"),
      delayRow(metrics, detail),
    );
  }
  if (typeof metrics.voip_sent === "number") rows.push(streamRow(metrics, detail));
  const sip = detail.sip;
  if (typeof metrics.sip_status === "number") {
    const answer = `${metrics.sip_status} ${String(field(sip, "reason") ?? "")} after ${milliseconds(metrics.sip_options_rtt)}`;
    rows.push([cell("SIP", LABEL, "bold"), cell(answer), cell(String(field(sip, "server") ?? ""), 0, "dim")]);
  } else if (sip !== undefined) {
    rows.push([cell("SIP", LABEL, "bold"), cell(String(field(field(sip, "error"), "message") ?? "no answer"), 0, "bad")]);
  }
  return [...rows, ...noteRows(metrics, detail, flags)];
}

/** What the figures stand on, in words; last, since they are wide. */
function noteRows(metrics: Metrics, detail: Record<string, unknown>, flags: readonly string[]): Row[] {
  const notes: string[] = [];
  if (typeof metrics.voip_mos_est === "number") {
    const label = String(field(detail.codec, "label") ?? metrics.voip_codec);
    const provisional = flags.includes("provisional_codec") ? ", whose figures are provisional" : "";
    notes.push(`MOS is an estimate (MOS-CQE) by ${metrics.voip_model} for ${label}${provisional}`);
  }
  if (flags.includes("loss_not_split")) {
    notes.push("it is not known which way packets were lost: the call is judged as if all were lost one way");
  }
  if (flags.includes("judged_by_round_trip")) {
    notes.push(
      "the reflector's clock was set, ticks coarsely or stands still: the call is judged by round trips, as if all delay variation were one way",
    );
  }
  return notes.map((note) => [cell("", LABEL), cell(note, 0, "dim")]);
}

function delayRow(metrics: Metrics, detail: Record<string, unknown>): Row {
  const total = metrics.voip_one_way_delay_est_ms;
  const half = detail.half_round_trip_ms;
  const buffer = metrics.voip_buffer_ms;
  const rest = [total, half, buffer].every((value) => typeof value === "number")
    ? Number(total) - Number(half) - Number(buffer)
    : undefined;
  return [
    cell("delay", LABEL, "bold"),
    cell(milliseconds(total), 8),
    cell("", 6),
    cell("mouth to ear", 24),
    cell(
      `half the round trip ${milliseconds(half)}, ${String(detail.buffer)} buffer ${milliseconds(buffer)}, codec ${milliseconds(rest)}`,
    ),
  ];
}

function streamRow(metrics: Metrics, detail: Record<string, unknown>): Row {
  const bytes = detail.packet_bytes;
  const [like, sent] = [field(bytes, "codec_with_rtp"), field(bytes, "sent")];
  const longer = typeof like === "number" && typeof sent === "number" && sent > like ? ` (the codec's have ${like})` : "";
  return [
    cell("stream", LABEL, "bold"),
    cell(`rtt ${milliseconds(metrics.voip_rtt_median)}`, 8),
    cell("", 6),
    cell(`${String(metrics.voip_received)} of ${String(metrics.voip_sent)} came back`, 24),
    cell(`${String(sent ?? "–")} bytes each${longer}, unmarked (DSCP 0)`, 0, "dim"),
  ];
}
