// Any test type without a panel of its own: its headline metrics, one line chart each.
import type { MetricName } from "#contract/metrics";
import { isTestTypeName, testType } from "#contract/test-types/index";
import { MetricChart } from "../charts/metric-chart.tsx";
import { metricLabel, metricUnit } from "../format.ts";
import { Card } from "../parts/page.tsx";
import { lineLegend } from "./legend.tsx";
import type { MainProps, Panel, PanelProps } from "./panel.ts";

const headlineOf = (type: string): readonly MetricName[] => (isTestTypeName(type) ? testType(type).headline : []);

function Main({ type, ...props }: MainProps) {
  const first = headlineOf(type)[0];
  if (!first)
    return <p class="text-secondary">This dashboard does not know the test type {type}; the table below shows its results.</p>;
  return <MetricChart {...props} metrics={[first]} unit={metricUnit(first)} />;
}

function Rest({ type, ...props }: PanelProps) {
  return (
    <>
      {headlineOf(type)
        .slice(1)
        .map((metric) => (
          <Card key={metric} title={metricLabel(metric)}>
            <MetricChart {...props} metrics={[metric]} unit={metricUnit(metric)} />
          </Card>
        ))}
    </>
  );
}

export function defaultPanel(type: string): Panel {
  const headline = headlineOf(type);
  return {
    mainMetrics: headline.slice(0, 1),
    metrics: headline,
    figures: headline.map((metric) => ({ metric })),
    columns: headline.map((metric) => [metric, metricLabel(metric)] as const),
    chartTitle: headline[0] ? metricLabel(headline[0]) : "Results",
    Newest: null,
    Main,
    Rest,
    Legend: lineLegend(headline.slice(0, 1).map(metricLabel)),
  };
}
