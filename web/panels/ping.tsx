// Ping: the smoke chart, and jitter and loss under it.
import { LatencyChart } from "../charts/latency-chart.tsx";
import { LossChart } from "../charts/loss-chart.tsx";
import { MetricChart } from "../charts/metric-chart.tsx";
import { metricsOfSmoke, PING_SMOKE } from "../charts/smoke.ts";
import { formatPercent, formatText } from "../format.ts";
import { lossBadge, lossTone } from "../loss.ts";
import { Card } from "../parts/page.tsx";
import { smokeLegend } from "./legend.tsx";
import type { MainProps, Panel, PanelProps } from "./panel.ts";

const SMOKE = metricsOfSmoke(PING_SMOKE);
const JITTER = ["ping_jitter_rfc3550"] as const;

function Main({ type: _type, ...props }: MainProps) {
  return <LatencyChart {...props} />;
}

function Rest(props: PanelProps) {
  const { points, from, to, stepMs, createdAt, onZoom } = props;
  const chart = { points, from, to, stepMs, createdAt, onZoom };
  return (
    <>
      <Card title="Loss">
        <LossChart {...chart} />
      </Card>
      <Card title="Jitter (RFC 3550)">
        <MetricChart {...chart} metrics={JITTER} unit="ms" height={104} />
      </Card>
    </>
  );
}

export const pingPanel: Panel = {
  mainMetrics: SMOKE,
  metrics: [...SMOKE, ...JITTER],
  figures: [
    { metric: "ping_rtt_median", label: "median now" },
    { metric: "ping_rtt_p95", label: "p95" },
    {
      metric: "ping_loss_pct",
      label: "loss",
      tone: lossTone,
      note: ({ metrics: { ping_loss_ci_low: low, ping_loss_ci_high: high } }) =>
        typeof low === "number" && typeof high === "number"
          ? `, 95 %: ${formatPercent(low)}–${formatPercent(high)} %`
          : undefined,
    },
    { metric: "ping_jitter_rfc3550", label: "jitter (RFC 3550)" },
    { metric: "ping_rtt_min", label: "minimum" },
    { metric: "ping_rtt_max", label: "maximum" },
    {
      metric: "ping_received",
      label: "answered",
      note: ({ metrics }) => ` of ${formatText("ping_sent", metrics.ping_sent)} sent`,
    },
  ],
  columns: [
    ["ping_rtt_median", "median"],
    ["ping_loss_pct", "loss"],
    ["ping_rtt_p95", "p95"],
    ["ping_rtt_max", "max"],
    ["ping_jitter_rfc3550", "jitter"],
  ],
  chartTitle: "Latency: median coloured by loss, smoke = distribution of every packet",
  Newest: null,
  Main,
  Rest,
  Legend: smokeLegend("spread of packets", "loss"),
  badge: (result) => lossBadge(result.metrics.ping_loss_pct, "loss"),
};
