// A test as one client measures it: verdict, figures, charts, results.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { LiveFrame, TestDetail } from "#contract/api";
import type { Result } from "#contract/result";
import { BandKey, Bands } from "../charts/bands.tsx";
import { Readout } from "../charts/readout.tsx";
import { now } from "../clock.ts";
import { inSentence, isNumeric, testName } from "../format.ts";
import { isUp, STATUS_WORD, statusReason, type Tone } from "../health.ts";
import { notMeasured } from "../not-measured.ts";
import { panelOf } from "../panels/index.ts";
import type { Panel } from "../panels/panel.ts";
import { KeyFigure, KeyStrip } from "../parts/figure.tsx";
import { Card, Page, VerdictLine } from "../parts/page.tsx";
import { Progress } from "../parts/progress.tsx";
import { RangeButtons } from "../parts/range-buttons.tsx";
import { ResultTable } from "../parts/result-table.tsx";
import { Failed, Skeleton, Stale } from "../parts/states.tsx";
import { destinationText, peerName } from "../peers.ts";
import { errorWord, testVerdict } from "../run-verdict.ts";
import { type MeshCell, pairText, pairVerdict } from "../state/mesh.ts";
import { useEvents } from "../state/use-events.ts";
import { useRuns } from "../state/use-runs.ts";
import { type TestData, useTestData } from "../state/use-test-data.ts";
import { type ShownView, useView } from "../state/use-view.ts";
import { type RangeName, rangeForAge } from "../state/view.ts";
import { intervalText } from "../time.ts";
import { EventsCard } from "./events-card.tsx";
import { TestChips } from "./test.tsx";
import { TestActions } from "./test-actions.tsx";

const TEST_RANGES: readonly RangeName[] = ["5m", "15m", "1h", "24h", "7d", "30d"];

type TestClient = TestDetail["clients"][number];

interface TestViewProps {
  test: TestDetail;
  client: TestClient;
  /** The client measured, where the test measures clients. */
  peerId: string | null;
  /** Of a mesh: how the pair compares with what is usual for it. */
  cell: MeshCell | null;
  heading: ComponentChildren;
  reload: () => void;
  /** Above what this client measured: the way to the others. */
  children: ComponentChildren;
}

export function TestView({ test, client, peerId, cell, heading, reload, children }: TestViewProps) {
  const [first] = useState(() => rangeForAge(Date.now() - Date.parse(test.created_at)));
  const shown = useView(first);
  const [status, setStatus] = useState({ status: client.status, reason: "" });
  const runs = useRuns();
  const events = useEvents({ clientId: client.id, testId: test.id });
  const panel = panelOf(test.type);
  const onFrame = (frame: LiveFrame) => {
    if (frame.type === "status") setStatus({ status: frame.status, reason: frame.status_reason });
    if (frame.type === "snapshot" && frame.client) setStatus({ status: frame.client.status, reason: frame.client.status_reason });
    runs.take(frame);
    events.take(frame);
  };
  const data = useTestData({
    testId: test.id,
    clientId: client.id,
    peerId,
    intervalS: test.interval_s,
    metrics: panel.metrics,
    view: shown.view,
    onFrame,
  });
  const newest = data.results[0];
  const run = runs.while(data.live)(test.id, peerId ?? undefined);
  const chips = (
    <>
      {newest && <BadgeChip result={newest} panel={panel} />}
      <TestChips test={test} />
      <Progress run={run} label={`${testName(test)} from ${client.name}`} class="chip chip-live" />
    </>
  );
  const actions = <TestActions test={test} onChange={reload} run={run} />;
  const state = { up: isUp(status.status), enabled: test.enabled, now: now.value };
  return (
    <Page title={test.name} heading={heading} chips={chips} actions={actions} live={data.live}>
      {children}
      {data.error !== undefined && newest && <Stale error={data.error} retry={data.reload} />}
      {newest ? (
        <>
          {cell && <h2 class="pair-heading">{pairText(cell)}</h2>}
          <VerdictLine verdict={pairVerdict(testVerdict(newest, client.name, state), cell)} />
          <EventsCard list={events} aboutOf={null} />
          <Figures result={newest} panel={panel} interval={test.interval_s} />
          {panel.Newest && <panel.Newest result={newest} />}
          <Charts test={test} client={client} peerId={peerId} data={data} shown={shown} panel={panel} latest={newest} />
          <Card title="Recent results">
            <ResultTable results={data.results} columns={panel.columns} older={data.older} />
          </Card>
        </>
      ) : (
        <Waiting test={test} client={client} state={status} loading={data.loading} error={data.error} retry={data.reload} />
      )}
    </Page>
  );
}

interface ChartsProps {
  test: TestDetail;
  client: TestClient;
  peerId: string | null;
  data: TestData;
  shown: ShownView;
  panel: Panel;
  latest: Result;
}

function Charts({ test, client, peerId, data, shown, panel, latest }: ChartsProps) {
  // A newest point ahead of this clock still belongs on a chart that ends now.
  const end = data.points.at(-1)?.end ?? 0;
  const props = {
    type: test.type,
    name: `${peerId === null ? destinationText(test.destination) : peerName(peerId)} from ${client.name}`,
    points: data.points,
    stepMs: data.stepMs,
    createdAt: Date.parse(test.created_at),
    created: "test created",
    onZoom: shown.zoom,
    from: shown.from,
    to: shown.view.kind === "range" ? Math.max(shown.to, end) : shown.to,
  };
  return (
    <Bands.Provider value={data.bands}>
      <Card title={panel.chartTitle} tools={<RangeButtons view={shown.view} ranges={TEST_RANGES} onRange={shown.choose} />}>
        <panel.Main {...props} height={280} />
        <footer class="chart-foot">
          {panel.Legend && <panel.Legend />}
          <Readout
            points={data.points}
            stepMs={data.stepMs}
            to={props.to}
            spanMs={shown.view.spanMs}
            metrics={panel.columns.filter(([metric]) => isNumeric(metric))}
          />
          <BandKey from={props.from} to={props.to} />
        </footer>
      </Card>
      {panel.Rest && <panel.Rest {...props} latest={latest} />}
    </Bands.Provider>
  );
}

/** A run that went wrong in part is not called well. */
function badgeOf(result: Result, panel: Panel): { tone: Tone; text: string } | null {
  const unmeasured = notMeasured(result);
  if (unmeasured) return { tone: unmeasured.tone, text: unmeasured.word };
  if (result.status === "failed") return { tone: "bad", text: "failed" };
  const badge = panel.badge?.(result) ?? null;
  if (result.status === "ok" || (badge && badge.tone !== "ok")) return badge;
  return { tone: "warn", text: result.error ? errorWord(result.error.code) : "partial" };
}

function BadgeChip({ result, panel }: { result: Result; panel: Panel }) {
  const badge = badgeOf(result, panel);
  if (!badge) return null;
  return (
    <span class={`chip chip-${badge.tone}`} data-testid="badge">
      {badge.text}
    </span>
  );
}

function Figures({ result, panel, interval }: { result: Result; panel: Panel; interval: number }) {
  const { metrics, reasons } = result;
  return (
    <KeyStrip label={`Newest run; one every ${intervalText(interval)}`}>
      {panel.figures.map(({ metric, label, tone, note }) => (
        <KeyFigure
          key={metric}
          name={metric}
          value={metrics[metric]}
          reason={reasons[metric]}
          {...(label ? { label } : {})}
          tone={tone?.(metrics[metric], result)}
          note={note?.(result)}
        />
      ))}
    </KeyStrip>
  );
}

interface WaitingProps {
  test: TestDetail;
  client: TestClient;
  state: { status: TestClient["status"]; reason: string };
  loading: boolean;
  error: unknown;
  retry: () => void;
}

function whyWaiting(test: TestDetail, name: string, { status, reason }: WaitingProps["state"]): string {
  if (!test.enabled) return "The test is paused; resume it to measure.";
  if (isUp(status))
    return `The agent has its instruction and measures every ${intervalText(test.interval_s)}; the first run appears here by itself.`;
  if (status === "retired") return `${inSentence(name)} is retired and measures no more.`;
  if (status === "never_seen") return `${inSentence(name)} is registered but has not connected yet; it measures when it does.`;
  const said = reason === "" ? "" : ` (${statusReason(reason)})`;
  return `${inSentence(name)} is ${STATUS_WORD[status]}${said}; it measures when it is back.`;
}

/** Before the first result: what is happening, and why nothing may come. */
function Waiting({ test, client, state, loading, error, retry }: WaitingProps) {
  if (error !== undefined) return <Failed what="The results cannot be read" error={error} retry={retry} />;
  if (loading) return <Skeleton lines={1} label="Loading results" />;
  const why = whyWaiting(test, client.name, state);
  return (
    <section class="card waiting" role="status">
      <span class={`pulse${test.enabled && isUp(state.status) ? " pulse-on" : ""}`} aria-hidden="true" />
      <div>
        <strong>
          {test.enabled && isUp(state.status) ? "Waiting for the first result from" : "No result yet from"} {client.name}
        </strong>
        <p>{why}</p>
      </div>
    </section>
  );
}
