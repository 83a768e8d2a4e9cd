// A finished udp test on a terminal: both directions side by side, and what the clocks allow to say.
import type { Measurement, Metrics } from "#contract/result";
import { cell, figure, lossTone, milliseconds, percent, type Row, type Tone } from "../rows.ts";
import { bars } from "./ping-view.ts";

const LABEL = 16;
const VALUE = 12;

type Value = Metrics[keyof Metrics];

const isNumber = (value: unknown): value is number => typeof value === "number";

/** One line of the table: up, down, both ways, and a remark. */
const line = (label: string, figures: readonly (readonly [text: string, tone: Tone])[], remark = ""): Row => [
  cell(label, LABEL, "dim"),
  ...figures.map(([text, tone]) => figure(text, VALUE, tone)),
  cell(remark, 0, "dim"),
];

const plain = (text: string): readonly [string, Tone] => [text, text === "–" ? "dim" : "plain"];
const time = (value: Value | undefined) => plain(milliseconds(value));
const none = ["", "dim"] as const;
const count = (value: Value | undefined): readonly [string, Tone] =>
  isNumber(value) ? [String(value), value === 0 ? "plain" : "warn"] : plain("–");

function lossRows(metrics: Metrics, detail: Measurement["detail"]): Row[] {
  const [low, high] = [metrics.udp_loss_ci_low, metrics.udp_loss_ci_high];
  const sure = isNumber(low) && isNumber(high) ? `true loss ${low.toFixed(1)} to ${high.toFixed(1)} % (95 % sure)` : "";
  const loss = (value: Value | undefined) => [percent(value), lossTone(value)] as const;
  const rows = [line("loss", [loss(metrics.udp_loss_up_pct), loss(metrics.udp_loss_down_pct), loss(metrics.udp_loss_pct)], sure)];
  const [sent, received] = [metrics.udp_sent, metrics.udp_received];
  if (isNumber(sent) && isNumber(received) && sent > received) {
    const lost = [count(metrics.udp_lost_up), count(metrics.udp_lost_down), count(sent - received)];
    rows.push(line("packets lost", lost, unknownWay(metrics, detail)));
  }
  return rows;
}

/** Why lost packets have no direction, where they have none. */
function unknownWay(metrics: Metrics, { numbering }: Measurement["detail"]): string {
  if (numbering === "stateless") return "the reflector does not count, so it cannot be said which way";
  if (numbering === "unusable") return "the reflector's numbers do not fit this stream, so it cannot be said which way";
  const unknown = metrics.udp_lost_unattributed;
  return isNumber(unknown) && unknown > 0 ? `of ${unknown} it is not known which way` : "";
}

function delayRows({ metrics, reasons }: Pick<Measurement, "metrics" | "reasons">): Row[] {
  if (!isNumber(metrics.udp_rtt_median)) {
    const timeless = reasons.udp_rtt_median === "unsupported";
    return timeless
      ? [line("delay, median", [plain("–"), plain("–"), plain("–")], "the reflector's timestamps cannot be true")]
      : [];
  }
  const uneven = reasons.udp_jitter_rfc3550_up === "unsupported";
  const spread = [
    `min ${milliseconds(metrics.udp_rtt_min)}`,
    ...(isNumber(metrics.udp_rtt_p95) ? [`p95 ${milliseconds(metrics.udp_rtt_p95)}`] : []),
    `max ${milliseconds(metrics.udp_rtt_max)}`,
  ].join("  ·  ");
  return [
    line("delay, median", [time(metrics.udp_owd_up_ms), time(metrics.udp_owd_down_ms), time(metrics.udp_rtt_median)], spread),
    line(
      "jitter",
      [time(metrics.udp_jitter_rfc3550_up), time(metrics.udp_jitter_rfc3550_down), none],
      uneven ? "the reflector's clock was set or does not run" : "RFC 3550",
    ),
    line("± neighbours", [time(metrics.udp_ipdv_mean_up), time(metrics.udp_ipdv_mean_down), none], "mean of |D|, RFC 3393"),
    line("p95 over minimum", [time(metrics.udp_pdv_p95_up), time(metrics.udp_pdv_p95_down), none], "RFC 5481"),
  ];
}

/** What is only worth a row where it happened. */
function oddRows(metrics: Metrics): Row[] {
  const triples: [string, Value | undefined, Value | undefined, Value | undefined, string][] = [
    ["duplicates", metrics.udp_dup_up, metrics.udp_dup_down, metrics.udp_dup, ""],
    [
      "out of order",
      metrics.udp_reordered_up,
      metrics.udp_reordered_down,
      metrics.udp_reordered,
      `at most ${metrics.udp_reorder_extent} places late`,
    ],
  ];
  const rows = triples
    .filter(([, ...values]) => values.some((value) => isNumber(value) && value > 0))
    .map(([label, up, down, both, remark]) => line(label, [count(up), count(down), count(both)], remark));
  const singles: [string, Value | undefined, string][] = [
    ["late", metrics.udp_late, "after the time-out, counted as lost"],
    ["not ours", metrics.udp_invalid, "datagrams that answer nothing that was sent; counted nowhere"],
  ];
  for (const [label, value, remark] of singles) {
    if (isNumber(value) && value > 0) rows.push(line(label, [none, none, count(value)], remark));
  }
  if (isNumber(metrics.udp_loss_burst_max) && metrics.udp_loss_burst_max > 1) {
    const remark = `longest of ${metrics.udp_loss_runs}; random loss would give a burst ratio of 1, here ${metrics.udp_burst_ratio ?? "–"}`;
    rows.push(line("loss burst", [none, none, count(metrics.udp_loss_burst_max)], remark));
  }
  return rows;
}

const signed = (value: number): string => `${value < 0 ? "−" : "+"}${milliseconds(Math.abs(value))}`;

function clockRow(metrics: Metrics): Row[] {
  const [offset, error] = [metrics.clock_offset_est_ms, metrics.clock_offset_err_ms];
  if (!isNumber(offset) || !isNumber(error)) return [];
  const why = isNumber(metrics.udp_owd_err_ms)
    ? `one-way delays are good to ${milliseconds(metrics.udp_owd_err_ms)}`
    : metrics.udp_clock_synced === true
      ? "not known well enough for one-way delays"
      : "no one-way delays: not both clocks are known to be synchronised";
  const text = `reflector's clock ${signed(offset)} (± ${milliseconds(error)})  ·  ${why}`;
  return [[cell("clocks", LABEL, "dim"), cell(text, 0, "dim")]];
}

interface Profile {
  readonly up: (number | null)[];
  readonly down: (number | null)[];
  readonly lost: number[];
}

const isProfile = (value: unknown): value is Profile =>
  typeof value === "object" &&
  value !== null &&
  ["up", "down", "lost"].every((name) => Array.isArray((value as Record<string, unknown>)[name]));

/** How many were lost in each column, as one digit. */
const digits = (counts: readonly number[]): string =>
  counts.map((lost) => (lost === 0 ? "·" : lost > 9 ? "+" : String(lost))).join("");

/** The stream from left to right. */
function pictureRows({ profile }: Measurement["detail"]): Row[] {
  if (!isProfile(profile) || profile.up.length < 2 || !profile.up.some(isNumber)) return [];
  const picture = (label: string, columns: (number | null)[]): Row => {
    const most = Math.max(0, ...columns.filter(isNumber));
    return [cell(label, LABEL, "dim"), cell(`${bars(columns)}  up to ${milliseconds(most)} over the minimum`)];
  };
  const rows = [picture("delay up", profile.up), picture("delay down", profile.down)];
  if (profile.lost.some((lost) => lost > 0)) rows.push([cell("lost", LABEL, "dim"), cell(digits(profile.lost), 0, "warn")]);
  return rows;
}

/** Rows of the result; none where nothing was measured, since the head has said why. */
export function udpView({ metrics, reasons, detail }: Measurement): readonly Row[] {
  if (!isNumber(metrics.udp_sent)) return [];
  const answered = `${metrics.udp_received} of ${metrics.udp_sent} answered`;
  const header: Row = [
    cell(answered, LABEL, "bold"),
    figure("up ↑", VALUE, "bold"),
    figure("down ↓", VALUE, "bold"),
    figure("both", VALUE, "bold"),
    cell(""),
  ];
  if (metrics.udp_received === 0) return [header, ...lossRows(metrics, detail)];
  return [
    header,
    ...lossRows(metrics, detail),
    ...delayRows({ metrics, reasons }),
    ...oddRows(metrics),
    ...clockRow(metrics),
    ...pictureRows(detail),
  ];
}
