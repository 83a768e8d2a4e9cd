// UDP: each direction on its own, the round trip, and what the two clocks allow to be said.
import type { Result } from "#contract/result";
import { LatencyChart } from "../charts/latency-chart.tsx";
import { MetricChart } from "../charts/metric-chart.tsx";
import { metricsOfSmoke, type SmokeMetrics } from "../charts/smoke.ts";
import { formatText } from "../format.ts";
import { lossBadge, lossTone } from "../loss.ts";
import { FactList } from "../parts/fact-list.tsx";
import { Card } from "../parts/page.tsx";
import { clockTime } from "../time.ts";
import { type DirectionRow, Directions } from "./directions.tsx";
import { LineWords, smokeLegend } from "./legend.tsx";
import type { MainProps, Panel, PanelProps } from "./panel.ts";
import { SecondsStrip } from "./seconds-strip.tsx";
import { secondsOf } from "./udp-seconds.ts";
import { clockText, oneWayText } from "./udp-words.ts";

const RTT: SmokeMetrics = {
  min: "udp_rtt_min",
  median: "udp_rtt_median",
  p95: "udp_rtt_p95",
  max: "udp_rtt_max",
  loss: "udp_loss_pct",
};
const MAIN = metricsOfSmoke(RTT);
const LOSS = ["udp_loss_up_pct", "udp_loss_down_pct"] as const;
const JITTER = ["udp_jitter_rfc3550_up", "udp_jitter_rfc3550_down"] as const;
const WAYS = ["up", "down"] as const;

const ROWS: readonly DirectionRow[] = [
  { label: "Loss", up: "udp_loss_up_pct", down: "udp_loss_down_pct", show: "loss" },
  { label: "Packets lost", up: "udp_lost_up", down: "udp_lost_down", show: "plain" },
  { label: "Jitter (RFC 3550)", up: "udp_jitter_rfc3550_up", down: "udp_jitter_rfc3550_down", show: "bar" },
  {
    label: "Variation, p95",
    hint: "Delay over the smallest one of the run, 95th percentile (RFC 5481)",
    up: "udp_pdv_p95_up",
    down: "udp_pdv_p95_down",
    show: "bar",
  },
  {
    label: "Variation, neighbours",
    hint: "Mean difference of delay between neighbouring packets (RFC 3393)",
    up: "udp_ipdv_mean_up",
    down: "udp_ipdv_mean_down",
    show: "bar",
  },
  { label: "Out of order", up: "udp_reordered_up", down: "udp_reordered_down", show: "plain" },
  { label: "Duplicates", up: "udp_dup_up", down: "udp_dup_down", show: "plain" },
  { label: "One-way delay", up: "udp_owd_up_ms", down: "udp_owd_down_ms", show: "bar" },
];

const FACTS = [
  "udp_rtt_min",
  "udp_rtt_median",
  "udp_rtt_p95",
  "udp_rtt_max",
  "clock_offset_est_ms",
  "clock_offset_err_ms",
  "udp_loss_burst_max",
  "udp_burst_ratio",
  "udp_send_late_p95_ms",
  "udp_reflector_stateful",
];

function Newest({ result }: { result: Result }) {
  if (typeof result.metrics.udp_received !== "number") return null;
  const seconds = secondsOf(result);
  return (
    <Card title={`Both directions, ${clockTime(Date.parse(result.started_at))}`}>
      <div class="beside">
        <Directions rows={ROWS} result={result} testId="udp-directions" />
        <FactList names={FACTS} result={result} testId="udp-facts" />
      </div>
      <div class="clock-say" data-testid="udp-clock">
        <p>{oneWayText(result)}</p>
        <p class="text-secondary">{clockText(result)}</p>
      </div>
      {seconds.length > 0 && <SecondsStrip seconds={seconds} />}
    </Card>
  );
}

function Main({ type: _type, ...props }: MainProps) {
  return <LatencyChart {...props} metrics={RTT} />;
}

function Rest({ points, from, to, stepMs, createdAt, onZoom }: PanelProps) {
  const chart = { points, from, to, stepMs, createdAt, onZoom };
  return (
    <>
      <Card title="Loss each way" tools={<LineWords words={WAYS} />}>
        <MetricChart {...chart} metrics={LOSS} unit="%" height={104} suggestedMax={5} />
      </Card>
      <Card title="Jitter each way (RFC 3550)" tools={<LineWords words={WAYS} />}>
        <MetricChart {...chart} metrics={JITTER} unit="ms" height={104} />
      </Card>
    </>
  );
}

export const udpPanel: Panel = {
  mainMetrics: MAIN,
  metrics: [...MAIN, ...LOSS, ...JITTER],
  figures: [
    { metric: "udp_rtt_median", label: "median round trip" },
    { metric: "udp_rtt_p95", label: "p95" },
    { metric: "udp_loss_up_pct", label: "loss up", tone: lossTone },
    { metric: "udp_loss_down_pct", label: "loss down", tone: lossTone },
    { metric: "udp_jitter_rfc3550_up", label: "jitter up" },
    { metric: "udp_jitter_rfc3550_down", label: "jitter down" },
    {
      metric: "udp_received",
      label: "answered",
      note: ({ metrics }) => ` of ${formatText("udp_sent", metrics.udp_sent)} sent`,
    },
  ],
  columns: [
    ["udp_rtt_median", "median"],
    ["udp_loss_pct", "loss"],
    ["udp_loss_up_pct", "loss up"],
    ["udp_loss_down_pct", "loss down"],
    ["udp_jitter_rfc3550_up", "jitter up"],
    ["udp_jitter_rfc3550_down", "jitter down"],
  ],
  chartTitle: "Round trip: median coloured by loss, smoke = spread of the stream",
  Newest,
  Main,
  Rest,
  Legend: smokeLegend("spread of packets", "loss"),
  badge: (result) => lossBadge(result.metrics.udp_loss_pct, "loss"),
};
