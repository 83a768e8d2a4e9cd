// Ping: the smoke chart, and jitter and loss under it.
import { LatencyChart } from "../charts/latency-chart.tsx";
import { LossChart } from "../charts/loss-chart.tsx";
import { MetricChart } from "../charts/metric-chart.tsx";
import { SMOKE_METRICS } from "../charts/smoke.ts";
import { LOSS_LEGEND } from "../loss.ts";
import { Card } from "../parts/page.tsx";
import type { Panel, PanelProps } from "./panel.ts";

const JITTER = ["ping_jitter_rfc3550"] as const;

function Main({ type: _type, ...props }: PanelProps) {
  return <LatencyChart {...props} height={280} />;
}

function Rest({ type: _type, name: _name, ...props }: PanelProps) {
  return (
    <>
      <Card title="Loss">
        <LossChart {...props} />
      </Card>
      <Card title="Jitter (RFC 3550)">
        <MetricChart {...props} metrics={JITTER} unit="ms" height={104} />
      </Card>
    </>
  );
}

function Legend() {
  return (
    <ul class="legend">
      {LOSS_LEGEND.map(([level, word]) => (
        <li>
          <span class={`swatch loss-${level}`} aria-hidden="true" /> {word}
        </li>
      ))}
      <li>
        <span class="swatch swatch-smoke" aria-hidden="true" /> spread of packets
      </li>
      <li>
        <span class="swatch swatch-failed" aria-hidden="true" /> no answer
      </li>
      <li>
        <span class="swatch swatch-gap" aria-hidden="true" /> no data
      </li>
    </ul>
  );
}

export const pingPanel: Panel = {
  metrics: [...SMOKE_METRICS, ...JITTER],
  figures: [
    { metric: "ping_rtt_median", label: "median now" },
    { metric: "ping_rtt_p95", label: "p95" },
    { metric: "ping_loss_pct", label: "loss" },
    { metric: "ping_jitter_rfc3550", label: "jitter (RFC 3550)" },
    { metric: "ping_rtt_min", label: "minimum" },
    { metric: "ping_rtt_max", label: "maximum" },
    { metric: "ping_received", label: "answered" },
  ],
  columns: [
    ["ping_rtt_median", "median"],
    ["ping_rtt_p95", "p95"],
    ["ping_rtt_max", "max"],
    ["ping_loss_pct", "loss"],
    ["ping_jitter_rfc3550", "jitter"],
  ],
  chartTitle: "Latency: median coloured by loss, smoke = distribution of every packet",
  Main,
  Rest,
  Legend,
};
