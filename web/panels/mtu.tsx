// Path MTU: one sentence, what was tried, and the size over time.
import type { Result } from "#contract/result";
import { MetricChart } from "../charts/metric-chart.tsx";
import { formatText } from "../format.ts";
import { FactList } from "../parts/fact-list.tsx";
import { Card } from "../parts/page.tsx";
import { StatusMark } from "../parts/status.tsx";
import { clockTime } from "../time.ts";
import { lineLegend } from "./legend.tsx";
import { mtuAxis, probesOf, type SizeProbe } from "./mtu-words.ts";
import type { MainProps, Panel } from "./panel.ts";

/** Where the exact size is not known, the largest proven to pass is. */
const MTU = ["path_mtu", "pmtu_at_least"] as const;
const FACTS = [
  "path_mtu",
  "pmtu_at_least",
  "path_mtu_method",
  "pmtu_blackhole",
  "pmtu_limiting_hop",
  "pmtu_icmp_mtu",
  "pmtu_interface_mtu",
  "pmtu_loss_pct",
];

function Newest({ result }: { result: Result }) {
  const probes = probesOf(result);
  return (
    <Card title={`Path MTU at ${clockTime(Date.parse(result.started_at))}`}>
      <FactList names={FACTS} result={result} testId="mtu-facts" />
      {probes.length > 0 && <Probes probes={probes} />}
    </Card>
  );
}

function Probes({ probes }: { probes: readonly SizeProbe[] }) {
  return (
    <details class="card-details">
      <summary>The {probes.length} sizes tried</summary>
      <ol class="size-probes" data-testid="mtu-probes">
        {probes.map((probe) => (
          <li>
            <StatusMark tone={probe.passed ? "ok" : "bad"} word={formatText("path_mtu", probe.size)} />{" "}
            <span class="text-secondary long-word">{probe.text}</span>
          </li>
        ))}
      </ol>
    </details>
  );
}

function Main({ type: _type, name: _name, ...props }: MainProps) {
  return <MetricChart {...props} {...mtuAxis(props.points)} metrics={MTU} unit="bytes" stepped />;
}

export const mtuPanel: Panel = {
  mainMetrics: MTU,
  metrics: MTU,
  figures: [
    { metric: "path_mtu", label: "path MTU" },
    { metric: "pmtu_at_least", label: "proven to pass" },
    { metric: "pmtu_blackhole", label: "black hole" },
    { metric: "pmtu_limiting_hop", label: "limited by" },
    { metric: "pmtu_interface_mtu", label: "this host's interface" },
    { metric: "path_mtu_method", label: "method" },
  ],
  columns: [
    ["path_mtu", "path MTU"],
    ["pmtu_at_least", "proven"],
    ["pmtu_blackhole", "black hole"],
    ["pmtu_limiting_hop", "limited by"],
    ["path_mtu_method", "method"],
  ],
  chartTitle: "Path MTU",
  Newest,
  Main,
  Rest: null,
  Legend: lineLegend(["path MTU", "largest proven to pass"]),
  badge: ({ metrics }) => {
    if (metrics.pmtu_blackhole === true) return { tone: "bad", text: "black hole" };
    if (typeof metrics.path_mtu === "number") return { tone: "ok", text: formatText("path_mtu", metrics.path_mtu) };
    return typeof metrics.pmtu_at_least === "number"
      ? { tone: "ok", text: `at least ${formatText("path_mtu", metrics.pmtu_at_least)}` }
      : null;
  },
};
