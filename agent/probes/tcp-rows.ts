// What people see of a tcp run: each connect as it ends, the transfer as it goes, the kernel's figures at the end.
import type { Measurement } from "#contract/result";
import { installHint } from "../install-hint.ts";
import { cell, figure, lossTone, milliseconds, percent, type Row, type Tone } from "../rows.ts";
import type { SendSample } from "./tcp-send.ts";
import type { Attempt } from "./tcp-series.ts";

const KIND_WIDTH = 16;
const MS_WIDTH = 10;

export function connectRow({ index, dialled }: Attempt): Row {
  const name = cell(`connect ${index + 1}`, 11, "dim");
  if (dialled.kind === "connected")
    return [name, figure(milliseconds(dialled.ms), MS_WIDTH), cell("connected", KIND_WIDTH, "good")];
  const word = dialled.kind === "error" ? dialled.errno : dialled.kind === "timeout" ? "no answer" : "stopped";
  // The time of a failure is how long it took to fail, never a handshake's.
  return [name, figure("–", MS_WIDTH, "dim"), cell(`${word} after ${milliseconds(dialled.ms)}`, KIND_WIDTH, "bad")];
}

export function sendRow(sample: SendSample, bytes: number): Row {
  const { info } = sample;
  const acked = Math.min(100, (100 * Math.max(0, (info.bytes_acked ?? 1) - 1)) / bytes);
  const retransmitted = info.retrans_total ?? 0;
  return [
    cell(`${(sample.at_ms / 1000).toFixed(1)} s`, 11, "dim"),
    figure(`${acked.toFixed(0)} %`, MS_WIDTH),
    cell("acknowledged", KIND_WIDTH),
    cell(`cwnd ${info.cwnd ?? "–"}`, 10),
    cell(`rtt ${milliseconds(info.rtt_ms)}`, 16),
    cell(`retransmitted ${retransmitted}`, 0, retransmitted > 0 ? "warn" : "dim"),
  ];
}

const text = (value: unknown): string => (value === null || value === undefined ? "–" : String(value));
const rate = (value: unknown): string =>
  typeof value === "number" ? `${(value / 1e6).toFixed(value < 1e7 ? 2 : 1)} Mbit/s` : "–";

/** The finished run in a few rows. */
export function tcpView({ metrics, detail }: Measurement): readonly Row[] {
  const title = (name: string) => cell(name, 11, "bold");
  const failed: Tone = lossTone(metrics.tcp_failed_pct);
  const rows: Row[] = [
    [
      title("connect"),
      cell(`median ${milliseconds(metrics.tcp_connect_ms)}`, 0, "bold"),
      cell(`min ${milliseconds(metrics.tcp_connect_min)}`),
      cell(`max ${milliseconds(metrics.tcp_connect_max)}`),
      cell(`${text(metrics.tcp_connected)} of ${text(metrics.tcp_attempts)} connected`, 0, failed),
    ],
  ];
  if (typeof metrics.tcp_min_rtt_ms === "number") {
    rows.push([
      title("kernel"),
      cell(`min rtt ${milliseconds(metrics.tcp_min_rtt_ms)}`),
      cell(`srtt ${milliseconds(metrics.tcp_srtt_ms)} ± ${milliseconds(metrics.tcp_rttvar_ms)}`),
      cell(`rto ${milliseconds(metrics.tcp_rto_ms)}`),
      cell(`SYNs repeated ${text(metrics.tcp_syn_retrans)}`, 0, metrics.tcp_syn_retrans === 0 ? "dim" : "warn"),
    ]);
    rows.push([
      title("connection"),
      cell(`mss ${text(metrics.tcp_mss)}, pmtu ${text(metrics.tcp_pmtu)}`),
      cell(`cwnd ${text(metrics.tcp_cwnd_last)}, ${text(metrics.tcp_cc)}`),
      cell(`peer's window ${text(metrics.tcp_snd_wnd)}`),
      cell(metrics.tcp_ecn === true ? "ECN" : "no ECN", 0, "dim"),
    ]);
  }
  if (detail.kernel_figures === "tool_missing") {
    rows.push([title("kernel"), cell(`its figures need ss; ${installHint("ss")}`, 0, "dim")]);
  }
  if (typeof metrics.tcp_busy_pct === "number") {
    rows.push([
      title("transfer"),
      cell(`rate ${rate(metrics.tcp_delivery_rate_bps)}`),
      cell(
        `retransmitted ${text(metrics.tcp_retrans_segs)} (${percent(metrics.tcp_retrans_pct)})`,
        0,
        lossTone(metrics.tcp_retrans_pct),
      ),
      cell(`cwnd up to ${text(metrics.tcp_cwnd_max)}`),
      cell(`limited by ${text(metrics.tcp_limited_by).replace("_", " ")}`),
    ]);
  }
  return rows;
}
