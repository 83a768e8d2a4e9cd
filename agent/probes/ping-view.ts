// A finished ping as a few rows for a terminal: loss with its certainty, round trips, jitter, bursts, who refused.
import type { Measurement, Metrics } from "#contract/result";
import { cell, figure, lossTone, milliseconds, percent, type Row, type Tone } from "../rows.ts";

const LABEL = 10;
const VALUE = 10;
/** Widest line of bars. */
const BARS = 60;
const LEVELS = "▁▂▃▄▅▆▇█";
/** Most numbers of lost requests named. */
const NAMED = 12;

const row = (label: string, value: string, tone: Tone, ...notes: string[]): Row => [
  cell(label, LABEL, "dim"),
  figure(value, VALUE, tone),
  cell(notes.filter((note) => note !== "").join("  ·  ")),
];

const number = (metrics: Metrics, name: keyof Metrics): number | undefined => {
  const value = metrics[name];
  return typeof value === "number" ? value : undefined;
};

/** `name value`, or nothing where it was not measured. */
const named = (name: string, value: unknown): string => (typeof value === "number" ? `${name} ${milliseconds(value)}` : "");

/** The round trips by request as bars from the shortest to the longest; a dot is one that was lost. */
export function bars(rtts: readonly (number | null)[]): string {
  const times = rtts.filter((rtt) => rtt !== null);
  const [low, high] = [Math.min(...times), Math.max(...times)];
  // Differences below a tenth of the round trip (or 0.1 ms) are no picture worth seeing.
  const span = Math.max(high - low, low / 10, 0.1);
  const width = Math.ceil(rtts.length / BARS);
  const columns = Array.from({ length: Math.ceil(rtts.length / width) }, (_, i) => rtts.slice(i * width, (i + 1) * width));
  const bar = (column: readonly (number | null)[]) => {
    if (column.includes(null)) return "·";
    const worst = Math.max(...column.filter((rtt) => rtt !== null));
    return LEVELS[Math.min(LEVELS.length - 1, Math.floor(((worst - low) / span) * LEVELS.length))] ?? "";
  };
  return columns.map(bar).join("");
}

/** `#1–4 #7`, the first of them where there are many. */
export function lostNumbers(answered: readonly boolean[]): string {
  const runs: string[] = [];
  for (let i = 0; i < answered.length; i++) {
    if (answered[i] !== false) continue;
    const first = i;
    while (answered[i + 1] === false) i += 1;
    runs.push(first === i ? `#${first + 1}` : `#${first + 1}–${i + 1}`);
  }
  return runs.length > NAMED ? `${runs.slice(0, NAMED).join(" ")} …` : runs.join(" ");
}

function lossRows(metrics: Metrics, rtts: readonly (number | null)[], tail_ms: unknown): Row[] {
  const loss = number(metrics, "ping_loss_pct");
  const [low, high] = [number(metrics, "ping_loss_ci_low"), number(metrics, "ping_loss_ci_high")];
  const sure = low === undefined || high === undefined ? "" : `true loss ${low.toFixed(1)} to ${high.toFixed(1)} % (95 % sure)`;
  const answered = `${metrics.ping_received} of ${metrics.ping_sent} answered`;
  const tail = typeof tail_ms === "number" ? `the last had only ${tail_ms} ms` : "";
  const rows = [row("loss", percent(loss), lossTone(loss), answered, sure, tail)];
  const bursts = number(metrics, "ping_loss_runs") ?? 0;
  if (bursts > 0 && Number(metrics.ping_received) > 0) {
    const missing = rtts.map((rtt) => rtt !== null);
    // A reply may have come without a time of its own: then these are not just the lost ones.
    const onlyLost = missing.filter((timed) => !timed).length === Number(metrics.ping_sent) - Number(metrics.ping_received);
    const longest = `longest ${metrics.ping_loss_burst_max}`;
    rows.push(row("bursts", String(bursts), "warn", longest, onlyLost ? lostNumbers(missing) : ""));
  }
  return rows;
}

function timeRows(metrics: Metrics, rtts: readonly (number | null)[]): Row[] {
  if (typeof metrics.ping_rtt_median !== "number") return [];
  const rows = [
    row(
      "round trip",
      milliseconds(metrics.ping_rtt_median),
      "bold",
      named("min", metrics.ping_rtt_min),
      named("p95", metrics.ping_rtt_p95),
      named("max", metrics.ping_rtt_max),
    ),
  ];
  if (typeof metrics.ping_jitter_rfc3550 === "number") {
    const neighbours = named("between neighbours", metrics.ping_ipdv_mean);
    rows.push(row("jitter", milliseconds(metrics.ping_jitter_rfc3550), "plain", neighbours));
  }
  if (rtts.length > 1) rows.push([cell("", LABEL), figure("", VALUE), cell(bars(rtts), 0, "dim")]);
  return rows;
}

/** What is only worth a row where it happened. */
function oddRows(metrics: Metrics, detail: Measurement["detail"]): Row[] {
  const counts: [string, unknown][] = [
    ["duplicates", metrics.ping_dup],
    ["out of order", metrics.ping_out_of_order],
    ["late", metrics.ping_late],
    ["damaged", metrics.ping_damaged],
    ["truncated", metrics.ping_truncated],
  ];
  const odd = counts.filter(([, count]) => typeof count === "number" && count > 0);
  const rows = odd.map(([name, count]) => row(name, String(count), "warn"));
  if (metrics.ping_ttl_changed === true) rows.push(row("reply TTL", "changed", "warn", "the way back changed during the run"));
  for (const { kind, from, count } of senders(detail.icmp_senders)) {
    rows.push(row("refused", `${count} ×`, "bad", `${kind.replaceAll("_", " ")} from ${from ?? "this host"}`));
  }
  return rows;
}

interface Sender {
  readonly kind: string;
  readonly from: string | null;
  readonly count: number;
}

const isSender = (value: unknown): value is Sender =>
  typeof value === "object" && value !== null && "kind" in value && typeof value.kind === "string" && "count" in value;
const senders = (value: unknown): Sender[] => (Array.isArray(value) ? value.filter(isSender) : []);

const isTimes = (value: unknown): value is (number | null)[] =>
  Array.isArray(value) && value.every((rtt) => rtt === null || typeof rtt === "number");

function fallbackRows(metrics: Metrics, detail: Measurement["detail"]): Row[] {
  if (typeof metrics.tcp_ping_sent !== "number") return [];
  const loss = metrics.tcp_ping_loss_pct;
  const answered = `${metrics.tcp_ping_received} of ${metrics.tcp_ping_sent} connections answered`;
  const port = `TCP port ${metrics.tcp_ping_port}, no ping`;
  const rows = [row("TCP loss", percent(loss), lossTone(loss), answered, port)];
  if (typeof metrics.tcp_ping_median !== "number") return rows;
  const spread = [named("min", metrics.tcp_ping_min), named("p95", metrics.tcp_ping_p95), named("max", metrics.tcp_ping_max)];
  rows.push(row("handshake", milliseconds(metrics.tcp_ping_median), "bold", ...spread));
  if (isTimes(detail.tcp_rtts) && detail.tcp_rtts.length > 1) {
    rows.push([cell("", LABEL), figure("", VALUE), cell(bars(detail.tcp_rtts), 0, "dim")]);
  }
  return rows;
}

/** Rows of the result; none where nothing was measured, since the head has said why. */
export function pingView({ metrics, detail }: Measurement): Row[] {
  if (metrics.ping_method === "tcp") return fallbackRows(metrics, detail);
  if (typeof metrics.ping_sent !== "number") return [];
  const rtts = isTimes(detail.rtts) ? detail.rtts : [];
  return [...lossRows(metrics, rtts, detail.tail_wait_ms), ...timeRows(metrics, rtts), ...oddRows(metrics, detail)];
}
