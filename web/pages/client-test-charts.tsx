// A client's tests over time: the main chart of each.
import { useMemo, useState } from "preact/hooks";
import type { ClientDetail } from "#contract/api";
import type { Result } from "#contract/result";
import { idPath, queryString } from "../api.ts";
import { BandKey, Bands } from "../charts/bands.tsx";
import { Readout } from "../charts/readout.tsx";
import { refusalOf } from "../consent-words.ts";
import { isNumeric, sentence, testTitle } from "../format.ts";
import { panelOf } from "../panels/index.ts";
import { ChartGroup } from "../parts/chart-group.tsx";
import { ChartState } from "../parts/chart-state.tsx";
import { Card } from "../parts/page.tsx";
import { Progress } from "../parts/progress.tsx";
import { destinationText, isMesh, peerDestinationOf, peerName, peerNames } from "../peers.ts";
import { bandsOfItems, bandsOfMarks, mergeBands } from "../state/bands.ts";
import { chartChoice, choose, isOpen, withChart } from "../state/chart-choice.ts";
import { peersOf } from "../state/client.ts";
import { pointsOfResults, pointsOfSeries, withLive } from "../state/points.ts";
import type { RunProgress } from "../state/progress.ts";
import type { RunNow } from "../state/use-runs.ts";
import { type SeriesData, useClientSeries } from "../state/use-series.ts";
import type { ShownView } from "../state/use-view.ts";
import { plural } from "../verdict.ts";

/** Beside each small chart. */
const READOUT_FIGURES = 3;
/** What is shown before somebody asks for all. */
const TESTS_FIRST = 6;
const ALL_TESTS = "all-tests";

type ClientTest = ClientDetail["tests"][number];

interface TestChartsProps {
  client: ClientDetail;
  results: readonly Result[];
  runNow: RunNow;
  shown: ShownView;
}

/** Ping before the others, then by the first test of a type; each type reads what its own chart needs. */
export function TestCharts({ client, ...rest }: TestChartsProps) {
  const types = [...new Set(client.tests.map((test) => test.type))].sort((a, b) => Number(b === "ping") - Number(a === "ping"));
  if (types.length === 0) return null;
  const ordered = types.flatMap((type) => client.tests.filter((test) => test.type === type));
  const all = isOpen(chartChoice.value, { key: ALL_TESTS });
  const shownTests = all ? ordered : ordered.slice(0, TESTS_FIRST);
  const more = ordered.length - TESTS_FIRST;
  return (
    <ChartGroup group="tests" title="Tests">
      <div class="multiples multiples-charts">
        {types.map((type) => {
          const tests = shownTests.filter((test) => test.type === type);
          return tests.length > 0 && <ChartsOfType key={type} type={type} tests={tests} client={client} {...rest} />;
        })}
        {more > 0 && (
          <button
            type="button"
            class="btn btn-sm btn-outline-secondary multiples-more"
            onClick={() => choose(withChart(chartChoice.value, ALL_TESTS, !all))}
          >
            {all ? `Only the first ${TESTS_FIRST} tests` : `${plural(more, "more test")}`}
          </button>
        )}
      </div>
    </ChartGroup>
  );
}

interface ChartsOfTypeProps extends TestChartsProps {
  type: string;
  tests: readonly ClientTest[];
}

function ChartsOfType({ type, tests, client, results, runNow, shown }: ChartsOfTypeProps) {
  const query = useClientSeries(client.id, panelOf(type).mainMetrics, shown.view);
  return (
    <>
      {tests.map((test) => (
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

/** What was stored of the test in the view, and what has arrived since. */
function useTestPoints({ test, peerId, data, results }: Pick<TestChartProps, "test" | "peerId" | "data" | "results">) {
  const stepMs = Math.max(test.interval_s, data?.reply.resolution_s ?? 0) * 1000;
  return useMemo(() => {
    const own = (one: { test_id: string | null; peer_id: string | null }) =>
      one.test_id === test.id && (peerId === null || one.peer_id === peerId);
    const live = results.filter(own);
    const marks = data?.reply.marks.filter(own) ?? [];
    const stored = data ? pointsOfSeries(data.reply.series.filter(own), data.reply.resolution_s, data.readAt) : [];
    const points = withLive(stored, pointsOfResults(live));
    const bands = [...bandsOfMarks(marks, data?.reply.resolution_s ?? 0), ...bandsOfItems(live)];
    return {
      stepMs,
      points,
      bands: mergeBands(
        bands,
        stepMs * 1.5,
        points.map(({ t }) => t),
      ),
    };
  }, [data, results, test.id, peerId, stepMs]);
}

function TestChart({ test, peerId, client, run, data, error, results, shown }: TestChartProps) {
  const panel = panelOf(test.type);
  const { points, bands, stepMs } = useTestPoints({ test, peerId, data, results });
  const mesh = peerId !== null && isMesh(test.destination);
  const { name, target } = testTitle(mesh ? { ...test, destination: peerDestinationOf(peerId) } : test);
  const title = (
    <a href={`/tests${idPath(test.id)}${queryString({ client: client.id, peer: mesh ? peerId : undefined })}`}>
      {name} <span class="heading-type">· {target}</span>
    </a>
  );
  return (
    <Card title={title} tools={<ChartTools {...{ test, client, run }} label={`${name}, ${target}`} />} level={4}>
      <ChartState ready={data !== undefined} error={error}>
        <Bands.Provider value={bands}>
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
          <BandKey from={shown.from} to={shown.to} />
        </Bands.Provider>
      </ChartState>
    </Card>
  );
}

type ChartToolsProps = Pick<TestChartProps, "test" | "client" | "run"> & { label: string };

/** Whether the test runs now, and why it does not run at all. */
function ChartTools({ test, client, run, label }: ChartToolsProps) {
  if (!test.enabled) return <span class="chip chip-warn">paused</span>;
  const refusal = refusalOf(test, client);
  if (refusal === null) return <Progress run={run} label={label} />;
  return (
    <span class="chip" title={sentence(refusal)}>
      not allowed here
    </span>
  );
}
