// Traceroute: the newest run hop by hop, and what it takes to the target over time.
import type { Result } from "#contract/result";
import { LatencyChart } from "../charts/latency-chart.tsx";
import { MetricChart } from "../charts/metric-chart.tsx";
import { metricsOfSmoke, type SmokeMetrics } from "../charts/smoke.ts";
import { lossBadge, lossTone } from "../loss.ts";
import { Card } from "../parts/page.tsx";
import { clockTime } from "../time.ts";
import { changesOf, flowsText, hopsOf } from "./hop-table.ts";
import { Hops } from "./hops.tsx";
import { Mark, smokeLegend } from "./legend.tsx";
import type { MainProps, Panel, PanelProps } from "./panel.ts";

const TARGET: SmokeMetrics = {
  min: "path_rtt_min",
  median: "path_rtt_median",
  p95: "path_rtt_p95",
  max: "path_rtt_p95",
  loss: "path_loss_pct",
};
const MAIN = metricsOfSmoke(TARGET);
const HOPS = ["path_hop_count"] as const;
const GATEWAY = ["path_rtt_gateway_ms"] as const;

function Newest({ result }: { result: Result }) {
  const hops = hopsOf(result);
  const flows = flowsText(result);
  return (
    <Card
      title={`Path at ${clockTime(Date.parse(result.started_at))}`}
      tools={flows && <span class="text-secondary small">{flows}</span>}
    >
      <div data-testid="hop-table">
        {hops ? <Hops hops={hops} changes={changesOf(result)} /> : <p class="text-secondary">This run brought no hop table.</p>}
      </div>
    </Card>
  );
}

function Main({ type: _type, ...props }: MainProps) {
  return <LatencyChart {...props} metrics={TARGET} />;
}

function Rest({ points, from, to, stepMs, createdAt, onZoom }: PanelProps) {
  const chart = { points, from, to, stepMs, createdAt, onZoom };
  return (
    <div class="multiples">
      <Card
        title="Hops to the target"
        tools={
          <ul class="legend">
            <Mark swatch="swatch-mark">path changed</Mark>
          </ul>
        }
      >
        <MetricChart {...chart} metrics={HOPS} unit="count" height={120} stepped mark="path_changed" />
      </Card>
      <Card title="Round trip to the first hop">
        <MetricChart {...chart} metrics={GATEWAY} unit="ms" height={120} />
      </Card>
    </div>
  );
}

export const traceroutePanel: Panel = {
  mainMetrics: MAIN,
  metrics: [...MAIN, ...HOPS, ...GATEWAY],
  figures: [
    { metric: "path_rtt_median", label: "to the target, median" },
    { metric: "path_hop_count", label: "hops" },
    { metric: "path_reached", label: "target reached" },
    { metric: "path_loss_pct", label: "loss at the target", tone: lossTone },
    { metric: "path_changed", label: "path changed", tone: (value) => (value === true ? "warn" : undefined) },
    { metric: "path_ecmp_width", label: "widest hop" },
    { metric: "path_rtt_gateway_ms", label: "to the first hop" },
  ],
  columns: [
    ["path_rtt_median", "median"],
    ["path_hop_count", "hops"],
    ["path_loss_pct", "loss"],
    ["path_changed", "changed"],
    ["path_rtt_p95", "p95"],
  ],
  chartTitle: "Round trip to the target: median coloured by loss",
  Newest,
  Main,
  Rest,
  Legend: smokeLegend("spread of probes", "loss"),
  badge: ({ metrics }) => {
    if (metrics.path_reached === false) return { tone: "bad", text: "not reached" };
    if (metrics.path_changed === true) return { tone: "warn", text: "path changed" };
    return lossBadge(metrics.path_loss_pct, "loss");
  },
};
