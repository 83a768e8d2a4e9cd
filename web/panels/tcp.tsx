// TCP: connect times as a distribution, and what the kernel knows of the connection.
import { LatencyChart } from "../charts/latency-chart.tsx";
import { MetricChart } from "../charts/metric-chart.tsx";
import { metricsOfSmoke, type SmokeMetrics } from "../charts/smoke.ts";
import { formatText } from "../format.ts";
import { lossBadge, lossTone } from "../loss.ts";
import { FactList } from "../parts/fact-list.tsx";
import { Card } from "../parts/page.tsx";
import { LineWords, smokeLegend } from "./legend.tsx";
import type { MainProps, Panel, PanelProps } from "./panel.ts";
import { limitText, sentText } from "./tcp-words.ts";

const CONNECT: SmokeMetrics = {
  min: "tcp_connect_min",
  median: "tcp_connect_ms",
  p95: "tcp_connect_p95",
  max: "tcp_connect_max",
  loss: "tcp_failed_pct",
};
const MAIN = metricsOfSmoke(CONNECT);
const KERNEL = ["tcp_min_rtt_ms", "tcp_srtt_ms"] as const;

const FACTS = [
  "tcp_min_rtt_ms",
  "tcp_srtt_ms",
  "tcp_rttvar_ms",
  "tcp_rto_ms",
  "tcp_retrans_segs",
  "tcp_mss",
  "tcp_pmtu",
  "tcp_cwnd_last",
  "tcp_delivery_rate_bps",
  "tcp_snd_wnd",
  "tcp_cc",
  "tcp_ecn",
  "tcp_wscale",
];

function Main({ type: _type, ...props }: MainProps) {
  return <LatencyChart {...props} metrics={CONNECT} />;
}

function Rest({ points, from, to, stepMs, createdAt, onZoom, latest }: PanelProps) {
  const limit = limitText(latest.metrics.tcp_limited_by);
  const sent = sentText(latest);
  return (
    <>
      <Card title="Kernel's view of the connection">
        {sent && <p class="panel-say">{sent}</p>}
        {limit && <p class="panel-say">{limit}</p>}
        {latest.metrics.tcp_connected === 0 ? (
          <p class="text-secondary">The newest run made no connection, so there is none to look at.</p>
        ) : (
          <FactList names={FACTS} result={latest} testId="tcp-kernel" />
        )}
      </Card>
      <Card title="Round trip by the kernel" tools={<LineWords words={["minimum", "smoothed"]} />}>
        <MetricChart {...{ points, from, to, stepMs, createdAt, onZoom }} metrics={KERNEL} unit="ms" />
      </Card>
    </>
  );
}

export const tcpPanel: Panel = {
  mainMetrics: MAIN,
  metrics: [...MAIN, ...KERNEL],
  figures: [
    { metric: "tcp_connect_ms", label: "median now" },
    { metric: "tcp_connect_min", label: "minimum" },
    { metric: "tcp_connect_max", label: "maximum" },
    { metric: "tcp_connect_p95", label: "p95" },
    {
      metric: "tcp_connected",
      label: "connected",
      note: ({ metrics }) => ` of ${formatText("tcp_attempts", metrics.tcp_attempts)} tried`,
      tone: (_value, { metrics }) => lossTone(metrics.tcp_failed_pct),
    },
    { metric: "tcp_min_rtt_ms", label: "kernel's minimum" },
    { metric: "tcp_retrans_segs", label: "retransmitted", tone: (value) => (Number(value) > 0 ? "warn" : undefined) },
  ],
  columns: [
    ["tcp_connect_ms", "median"],
    ["tcp_failed_pct", "failed"],
    ["tcp_connect_max", "max"],
    ["tcp_min_rtt_ms", "kernel min"],
    ["tcp_retrans_segs", "retrans."],
  ],
  chartTitle: "Connect time: median coloured by failed connects, smoke = spread of the run",
  Newest: null,
  Main,
  Rest,
  Legend: smokeLegend("spread of connects", "failed"),
  badge: (result) => lossBadge(result.metrics.tcp_failed_pct, "failed"),
};
