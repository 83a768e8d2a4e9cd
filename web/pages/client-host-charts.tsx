// A client's host and agent over time, on the same axis as its tests. Only the charts that are open are read.
import { useMemo } from "preact/hooks";
import type { ClientDetail } from "#contract/api";
import { CADENCE } from "#contract/limits";
import type { HostReading } from "#contract/result";
import { BandKey, Bands } from "../charts/bands.tsx";
import { MetricChart } from "../charts/metric-chart.tsx";
import { Readout } from "../charts/readout.tsx";
import { metricUnit } from "../format.ts";
import { ChartChoice, ChartGroup } from "../parts/chart-group.tsx";
import { ChartState } from "../parts/chart-state.tsx";
import { Card } from "../parts/page.tsx";
import { type Band, bandsOfItems, bandsOfMarks, mergeBands } from "../state/bands.ts";
import { chartChoice, type ChartGroup as GroupName, isOpen } from "../state/chart-choice.ts";
import { AGENT_CHARTS, HOST_CHARTS, type HostChart, isMeasured } from "../state/host-charts.ts";
import { type Point, pointOfHost, pointsOfHostSeries, withLive } from "../state/points.ts";
import { type SeriesData, useClientSeries } from "../state/use-series.ts";
import type { ShownView } from "../state/use-view.ts";

interface Group {
  readonly name: GroupName;
  readonly title: string;
  readonly charts: readonly HostChart[];
}

const GROUPS: readonly Group[] = [
  { name: "host", title: "Host", charts: HOST_CHARTS },
  { name: "agent", title: "Agent and what it reaches", charts: AGENT_CHARTS },
];

/** The charts of a group with what this host cannot show; that is closed unless somebody opened it. */
const chartsOf = ({ charts }: Group, newest: HostReading | null) =>
  charts.map((chart) =>
    isMeasured(chart, newest?.metrics) ? { ...chart, measured: true } : { ...chart, measured: false, first: false },
  );

interface HostChartsProps {
  client: ClientDetail;
  hosts: readonly HostReading[];
  shown: ShownView;
}

export function HostAndAgentCharts({ client, hosts, shown }: HostChartsProps) {
  const choice = chartChoice.value;
  const groups = GROUPS.map((group) => {
    const charts = chartsOf(group, client.host);
    const open = choice.folded.includes(group.name) ? [] : charts.filter((chart) => isOpen(choice, chart));
    return { ...group, charts, open };
  });
  const metrics = groups.flatMap(({ open }) => open.flatMap((chart) => chart.metrics));
  const query = useClientSeries(client.id, metrics, shown.view);
  const drawn = useHostPoints(query.data, hosts);
  return (
    <Bands.Provider value={drawn.bands}>
      {groups.map(({ name, title, charts, open }) => (
        <ChartGroup key={name} group={name} title={title} tools={<ChartChoice charts={charts} label={`Charts of: ${title}`} />}>
          {open.length === 0 ? (
            <p class="text-secondary">No chart is chosen; the buttons above open them.</p>
          ) : (
            <BandKey from={shown.from} to={shown.to} />
          )}
          <div class="multiples multiples-charts">
            {open.map((chart) => (
              <OneChart
                key={chart.key}
                chart={chart}
                client={client}
                data={query.data}
                error={query.error}
                shown={shown}
                {...drawn}
              />
            ))}
          </div>
        </ChartGroup>
      ))}
    </Bands.Provider>
  );
}

interface Drawn {
  readonly points: readonly Point[];
  readonly bands: readonly Band[];
  readonly stepMs: number;
}

function useHostPoints(data: SeriesData | undefined, hosts: readonly HostReading[]): Drawn {
  return useMemo(() => {
    const resolutionS = data?.reply.resolution_s ?? 0;
    const own = (one: { test_id: string | null }) => one.test_id === null;
    const stepMs = Math.max(CADENCE.hostSampleS, resolutionS) * 1000;
    const stored = data ? pointsOfHostSeries(data.reply.series.filter(own), resolutionS, data.readAt) : [];
    const bands = [...bandsOfMarks(data?.reply.marks.filter(own) ?? [], resolutionS), ...bandsOfItems(hosts)];
    const points = withLive(stored, hosts.map(pointOfHost));
    return {
      stepMs,
      points,
      bands: mergeBands(
        bands,
        stepMs * 1.5,
        points.map(({ t }) => t),
      ),
    };
  }, [data, hosts]);
}

interface OneChartProps extends Drawn {
  chart: HostChart;
  client: ClientDetail;
  data: SeriesData | undefined;
  error: unknown;
  shown: ShownView;
}

function OneChart({ chart, client, data, error, shown, points, stepMs }: OneChartProps) {
  const unit = metricUnit(chart.metrics[0] ?? "cpu_percent");
  const ready = chart.metrics.every((metric) => data?.metrics.includes(metric));
  return (
    <Card title={chart.title} level={4} testId={`chart-${chart.key}`}>
      <ChartState ready={ready} error={error}>
        <MetricChart
          metrics={chart.metrics}
          unit={unit}
          points={points}
          from={shown.from}
          to={shown.to}
          stepMs={stepMs}
          min={chart.min}
          max={chart.max}
          createdAt={Date.parse(client.created_at)}
          onZoom={shown.zoom}
          {...(unit === "%" ? { suggestedMax: 10 } : {})}
        />
        <Readout
          points={points}
          stepMs={stepMs}
          to={shown.to}
          spanMs={shown.view.spanMs}
          metrics={chart.metrics.map((metric, index) => [metric, chart.words[index] ?? metric] as const)}
          lines
        />
      </ChartState>
    </Card>
  );
}
