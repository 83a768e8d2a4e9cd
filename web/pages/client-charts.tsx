// A client's charts on one time axis: each test's main one, then the host.

import { useMemo, useState } from "preact/hooks";
import type { ClientDetail } from "#contract/api";
import { CADENCE } from "#contract/limits";
import type { HostReading, Result } from "#contract/result";
import { idPath, queryString } from "../api.ts";
import { MetricChart } from "../charts/metric-chart.tsx";
import { Readout } from "../charts/readout.tsx";
import { isNumeric, testTitle } from "../format.ts";
import { panelOf } from "../panels/index.ts";
import { LineWords } from "../panels/legend.tsx";
import { Card } from "../parts/page.tsx";
import { Progress } from "../parts/progress.tsx";
import { RangeButtons } from "../parts/range-buttons.tsx";
import { Failed, Skeleton } from "../parts/states.tsx";
import { destinationText, isMesh, peerDestinationOf, peerName, peerNames } from "../peers.ts";
import { peersOf } from "../state/client.ts";
import { type Point, pointOfHost, pointOfResult, pointsOfSeries, withLive } from "../state/points.ts";
import type { RunProgress } from "../state/progress.ts";
import { type SeriesData, useClientSeries } from "../state/use-client.ts";
import type { RunNow } from "../state/use-runs.ts";
import { type ShownView, useView } from "../state/use-view.ts";
import { type RangeName, rangeForAge } from "../state/view.ts";
import { plural } from "../verdict.ts";

const CLIENT_RANGES: readonly RangeName[] = ["5m", "15m", "1h", "6h", "24h", "7d", "30d"];

/** Beside each small chart. */
const READOUT_FIGURES = 3;

interface HostChart {
  readonly title: string;
  readonly metrics: readonly string[];
  readonly unit: string;
  readonly words: readonly string[];
}

const HOST_CHARTS: readonly HostChart[] = [
  { title: "CPU", metrics: ["cpu_percent", "cpu_iowait_pct"], unit: "%", words: ["busy", "waiting for disks"] },
  { title: "Memory", metrics: ["memory_percent"], unit: "%", words: ["in use"] },
  { title: "Disk", metrics: ["fs_used_pct", "disk_io_util"], unit: "%", words: ["space, fullest", "busy"] },
  { title: "Network", metrics: ["if_rx_bytes_sec", "if_tx_bytes_sec"], unit: "bytes/s", words: ["receiving", "sending"] },
];
const HOST_METRICS = HOST_CHARTS.flatMap((chart) => chart.metrics);

interface ClientChartsProps {
  client: ClientDetail;
  hosts: readonly HostReading[];
  results: readonly Result[];
  runNow: RunNow;
}

export function ClientCharts({ client, hosts, results, runNow }: ClientChartsProps) {
  const shown = useView(useState(() => rangeForAge(Date.now() - Date.parse(client.created_at)))[0]);
  return (
    <section class="chart-block" aria-label="Charts">
      <div class="chart-block-head">
        <h2>Over time</h2>
        <RangeButtons view={shown.view} ranges={CLIENT_RANGES} onRange={shown.choose} />
      </div>
      <TestCharts client={client} results={results} runNow={runNow} shown={shown} />
      <HostCharts client={client} hosts={hosts} shown={shown} />
    </section>
  );
}

type ClientTest = ClientDetail["tests"][number];

interface TestChartsProps {
  client: ClientDetail;
  results: readonly Result[];
  runNow: RunNow;
  shown: ShownView;
}

/** Ping before the others, then by the first test of a type; each type reads what its own chart needs. */
function TestCharts({ client, ...rest }: TestChartsProps) {
  const types = [...new Set(client.tests.map((test) => test.type))].sort((a, b) => Number(b === "ping") - Number(a === "ping"));
  if (types.length === 0) return null;
  return (
    <div class="multiples">
      {types.map((type) => (
        <ChartsOfType key={type} type={type} client={client} {...rest} />
      ))}
    </div>
  );
}

function ChartsOfType({ type, client, results, runNow, shown }: TestChartsProps & { type: string }) {
  const query = useClientSeries(client.id, panelOf(type).mainMetrics, shown.view);
  return (
    <>
      {client.tests
        .filter((test) => test.type === type)
        .map((test) => (
          <ChartsOfTest
            key={test.id}
            test={test}
            client={client}
            data={query.data}
            error={query.error}
            results={results}
            runNow={runNow}
            shown={shown}
          />
        ))}
    </>
  );
}

/** Of a mesh test, what is shown at first; its matrix has every pair. */
const PEERS_SHOWN = 4;

/** One chart, or one for each client the test measures. */
function ChartsOfTest({ runNow, ...props }: Omit<TestChartProps, "peerId" | "run"> & { runNow: RunNow }) {
  const [all, setAll] = useState(false);
  const { test, client, data } = props;
  const peers = peersOf(test, [...client.latest, ...(data?.reply.series ?? [])], peerNames.value);
  const shown = all ? peers : peers.slice(0, PEERS_SHOWN);
  return (
    <>
      {shown.map((peerId) => (
        <TestChart key={peerId ?? ""} {...props} peerId={peerId} run={runNow(test.id, peerId)} />
      ))}
      {peers.length > shown.length && (
        <button type="button" class="btn btn-sm btn-outline-secondary multiples-more" onClick={() => setAll(true)}>
          {plural(peers.length - shown.length, "more client")} measured by {test.name}
        </button>
      )}
    </>
  );
}

interface TestChartProps {
  test: ClientTest;
  /** The client measured, where the test measures clients. */
  peerId: string | null;
  client: ClientDetail;
  run: RunProgress | null;
  data: SeriesData | undefined;
  error: unknown;
  results: readonly Result[];
  shown: ShownView;
}

function TestChart({ test, peerId, client, run, data, error, results, shown }: TestChartProps) {
  const panel = panelOf(test.type);
  const points = useMemo(() => {
    const own = (one: { test_id: string | null; peer_id: string | null }) =>
      one.test_id === test.id && (peerId === null || one.peer_id === peerId);
    const stored = data ? pointsOfSeries(data.reply.series.filter(own), data.reply.resolution_s, data.readAt) : [];
    return withLive(stored, results.filter(own).map(pointOfResult));
  }, [data, results, test.id, peerId]);
  const stepMs = Math.max(test.interval_s, data?.reply.resolution_s ?? 0) * 1000;
  const mesh = peerId !== null && isMesh(test.destination);
  const { name, target } = testTitle(mesh ? { ...test, destination: peerDestinationOf(peerId) } : test);
  const title = (
    <a href={`/tests${idPath(test.id)}${queryString({ client: client.id, peer: mesh ? peerId : undefined })}`}>
      {name} <span class="heading-type">· {target}</span>
    </a>
  );
  const tools = test.enabled ? <Progress run={run} label={`${name}, ${target}`} /> : <span class="chip chip-warn">paused</span>;
  return (
    <Card title={title} tools={tools}>
      <ChartState data={data} error={error}>
        <panel.Main
          type={test.type}
          name={`${peerId === null ? destinationText(test.destination) : peerName(peerId)} from ${client.name}`}
          points={points}
          from={shown.from}
          to={shown.to}
          stepMs={stepMs}
          createdAt={Date.parse(client.created_at)}
          created="client registered"
          height={150}
          onZoom={shown.zoom}
        />
        <Readout
          points={points}
          stepMs={stepMs}
          to={shown.to}
          spanMs={shown.view.spanMs}
          metrics={panel.columns
            .filter(([metric]) => isNumeric(metric) && panel.mainMetrics.includes(metric))
            .slice(0, READOUT_FIGURES)}
        />
      </ChartState>
    </Card>
  );
}

function HostCharts({ client, hosts, shown }: { client: ClientDetail; hosts: readonly HostReading[]; shown: ShownView }) {
  const query = useClientSeries(client.id, HOST_METRICS, shown.view);
  const data = query.data;
  const points = useMemo<Point[]>(() => {
    const stored = data
      ? pointsOfSeries(
          data.reply.series.filter((one) => one.test_id === null),
          data.reply.resolution_s,
          data.readAt,
        )
      : [];
    return withLive(stored, hosts.map(pointOfHost));
  }, [data, hosts]);
  const stepMs = Math.max(CADENCE.hostSampleS, data?.reply.resolution_s ?? 0) * 1000;
  return (
    <div class="multiples">
      {HOST_CHARTS.map((chart) => (
        <Card key={chart.title} title={chart.title} tools={<LineWords words={chart.words} />}>
          <ChartState data={data} error={query.error}>
            <MetricChart
              metrics={chart.metrics}
              unit={chart.unit}
              points={points}
              from={shown.from}
              to={shown.to}
              stepMs={stepMs}
              createdAt={Date.parse(client.created_at)}
              onZoom={shown.zoom}
              {...(chart.unit === "%" ? { suggestedMax: 10 } : {})}
            />
            <Readout
              points={points}
              stepMs={stepMs}
              to={shown.to}
              spanMs={shown.view.spanMs}
              metrics={chart.metrics.map((metric, index) => [metric, chart.words[index] ?? metric] as const)}
            />
          </ChartState>
        </Card>
      ))}
    </div>
  );
}

function ChartState({
  data,
  error,
  children,
}: {
  data: SeriesData | undefined;
  error: unknown;
  children: preact.ComponentChildren;
}) {
  if (data) return <>{children}</>;
  if (error !== undefined) return <Failed what="This chart cannot be read" error={error} />;
  return <Skeleton lines={4} label="Loading the chart" />;
}
