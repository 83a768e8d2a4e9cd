// A client in tables: its tests, its host's metrics, what was rejected, what it is.
import type { ClientDetail } from "#contract/api";
import type { Result } from "#contract/result";
import { idPath, queryString } from "../api.ts";
import { now } from "../clock.ts";
import { formatNumber, metricLabel, testName, typeLabel } from "../format.ts";
import { isLossMetric, lossLevel } from "../loss.ts";
import { panelOf } from "../panels/index.ts";
import { Ago } from "../parts/ago.tsx";
import { Destination } from "../parts/destination.tsx";
import { Figure, Unknown } from "../parts/figure.tsx";
import { Icon } from "../parts/icon.tsx";
import { MetricGroups } from "../parts/metric-groups.tsx";
import { Card } from "../parts/page.tsx";
import { Progress } from "../parts/progress.tsx";
import { RESULT_TONE } from "../parts/result-table.tsx";
import { Empty } from "../parts/states.tsx";
import { StatusMark } from "../parts/status.tsx";
import { peerNames } from "../peers.ts";
import { peersOf } from "../state/client.ts";
import type { RunProgress } from "../state/progress.ts";
import type { RunNow } from "../state/use-runs.ts";
import { tagsText } from "../tags.ts";
import { agoText, fullTime, intervalText } from "../time.ts";
import { plural } from "../verdict.ts";

export function RejectedCard({ client }: { client: ClientDetail }) {
  const { count, recent } = client.rejected;
  if (count === 0) return null;
  return (
    <section class="card card-warn" data-testid="rejected-card">
      <header class="card-head">
        <h2>
          <Icon name="exclamation-triangle" /> {plural(count, "result")} from this client could not be read
        </h2>
      </header>
      <p class="text-secondary">
        They were kept aside, so that nothing behind them waits. Usually the agent's version and this one differ too much.
      </p>
      <ul class="rejected">
        {recent.map((item) => (
          <li>
            <strong>{item.reason}</strong>{" "}
            <span class="text-secondary">
              {item.seq === null ? "without a number" : `#${item.seq}`}, received {fullTime(Date.parse(item.received_at))}
            </span>
            <details>
              <summary>What was sent</summary>
              <pre class="raw">{item.excerpt}</pre>
            </details>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Rows a mesh test has here at most; its matrix has every pair. */
const PEER_ROWS = 8;

export function TestsCard({ client, runNow }: { client: ClientDetail; runNow: RunNow }) {
  return (
    <Card title="Tests on this client">
      {client.tests.length === 0 ? (
        <Empty icon="activity" title="It runs no test">
          <p>
            <a href={`/tests/new?client=${encodeURIComponent(client.id)}`}>Create one</a>, or let a test select it by site or tag.
          </p>
        </Empty>
      ) : (
        <div class="table-scroll">
          <table class="table table-list table-tests">
            <thead>
              <tr>
                <th scope="col">Test</th>
                <th scope="col">Type</th>
                <th scope="col">Destination</th>
                <th scope="col">Newest run</th>
                <th scope="col">Measured</th>
                <th scope="col">Interval</th>
              </tr>
            </thead>
            <tbody>
              {client.tests.map((test) => (
                <TestRows key={test.id} client={client} test={test} runNow={runNow} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}

interface TestRowsProps {
  client: ClientDetail;
  test: ClientDetail["tests"][number];
  runNow: RunNow;
}

/** A row, or one for each client the test measures. */
function TestRows({ client, test, runNow }: TestRowsProps) {
  const peers = peersOf(test, client.latest, peerNames.value);
  const more = peers.length - PEER_ROWS;
  return (
    <>
      {peers.slice(0, PEER_ROWS).map((peerId) => (
        <TestRow
          key={peerId ?? ""}
          client={client}
          test={test}
          peerId={peerId}
          run={runNow(test.id, peerId)}
          newest={client.latest.find((one) => one.test_id === test.id && (peerId === null || one.peer_id === peerId))}
        />
      ))}
      {more > 0 && (
        <tr>
          <td colSpan={6}>
            <a href={`/tests${idPath(test.id)}${queryString({ client: client.id })}`}>
              {plural(more, "more client")} measured by {test.name}
            </a>
          </td>
        </tr>
      )}
    </>
  );
}

interface TestRowProps extends Omit<TestRowsProps, "runNow"> {
  peerId: string | null;
  run: RunProgress | null;
  newest: Result | undefined;
}

function TestRow({ client, test, peerId, run, newest }: TestRowProps) {
  const why = newest ? undefined : test.enabled ? "Not known: it has not run yet" : "Not known: it is paused";
  return (
    <tr>
      <td data-label="Test">
        <a href={`/tests${idPath(test.id)}${queryString({ client: client.id, peer: peerId ?? undefined })}`}>{testName(test)}</a>
      </td>
      <td data-label="Type">{typeLabel(test.type)}</td>
      <td data-label="Destination" class="cell-destination">
        <Destination destination={test.destination} peerId={peerId} />
      </td>
      <td data-label="Newest run" class="cell-run">
        {newest ? (
          <span class="run-state">
            <StatusMark tone={RESULT_TONE[newest.status]} word={newest.error?.message ?? newest.status} />{" "}
            <span class="text-secondary text-nowrap">
              <Ago at={newest.started_at} />
            </span>
          </span>
        ) : (
          <span class="text-secondary">{test.enabled ? "none yet" : "not measured while paused"}</span>
        )}
        {run && (
          <div>
            <Progress run={run} label={test.name} />
          </div>
        )}
      </td>
      <td data-label="Measured">
        <span class="measured">
          {panelOf(test.type)
            .columns.slice(0, 2)
            .map(([metric, word]) => {
              const value = newest?.metrics[metric];
              const level = isLossMetric(metric) ? lossLevel(typeof value === "number" ? value : null) : "none";
              return (
                <span key={metric} class={`text-nowrap loss-text-${level}`} title={metricLabel(metric)}>
                  <Figure name={metric} value={value} reason={newest?.reasons[metric]} why={why} />{" "}
                  <span class="text-secondary small">{word}</span>
                </span>
              );
            })}
        </span>
      </td>
      <td data-label="Interval" class="text-nowrap">
        {intervalText(test.interval_s)}
        {!test.enabled && <span class="chip chip-warn chip-small">paused</span>}
      </td>
    </tr>
  );
}

export function HostCard({ client }: { client: ClientDetail }) {
  const host = client.host;
  return (
    <Card
      title="Host and agent"
      tools={host && <span class="text-secondary small">sampled {agoText(Date.parse(host.started_at), now.value)}</span>}
    >
      {host ? (
        <>
          <MetricGroups metrics={host.metrics} reasons={host.reasons} />
          {Object.keys(host.detail).length > 0 && (
            <details class="card-details">
              <summary>Every file system, device and interface</summary>
              <pre class="raw">{JSON.stringify(host.detail, null, 1)}</pre>
            </details>
          )}
        </>
      ) : (
        <Empty icon="hourglass-split" title="No host sample yet">
          <p>The agent sends its first one within a minute of starting.</p>
        </Empty>
      )}
    </Card>
  );
}

export function ClientFacts({ client }: { client: ClientDetail }) {
  const { platform, edge } = client;
  const tags = tagsText(client.tags);
  const facts: [string, string | null][] = [
    ["Client id", client.id],
    ...(client.site === "" ? [] : [["Site", client.site] as [string, string]]),
    ...(tags === "" ? [] : [["Tags", tags] as [string, string]]),
    ["Agent version", client.version],
    ["System", [platform.os, platform.release, platform.arch].filter(Boolean).join(" ")],
    ["Host name", platform.hostname],
    ["Node", platform.node],
    ["Address seen by the edge", edge?.ip ?? null],
    ["Network (AS)", edge?.asn == null ? null : `AS${edge.asn}`],
    ["Country", edge?.country ?? null],
    ["Edge location", edge?.colo ?? null],
    ["Clock against the edge", client.clock_offset_ms === null ? null : `${formatNumber(client.clock_offset_ms)} ms`],
    ["Newest number stored", String(client.last_seq)],
    ["Registered", fullTime(Date.parse(client.created_at))],
  ];
  return (
    <div class="card-pair">
      <Card title="About">
        <dl class="facts">
          {facts.map(([label, value]) => (
            <div>
              <dt>{label}</dt>
              <dd>{value ? value : <Unknown why="Not known: it was not reported, or the edge cannot see it here" />}</dd>
            </div>
          ))}
        </dl>
      </Card>
      <Card title="What it can measure with">
        <Capabilities capabilities={client.capabilities} />
      </Card>
    </div>
  );
}

function Capabilities({ capabilities }: Pick<ClientDetail, "capabilities">) {
  const entries = Object.entries(capabilities);
  if (entries.length === 0) return <p class="text-secondary">It has not reported its tools yet.</p>;
  return (
    <dl class="facts">
      {entries.map(([tool, found]) => (
        <div>
          <dt>{tool}</dt>
          <dd>
            {found === null || found === false ? (
              <StatusMark tone="none" word="missing" />
            ) : (
              <StatusMark tone="ok" word={found === true ? "yes" : found} />
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}
