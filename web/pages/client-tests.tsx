// The tests of a client, each with its newest run.
import type { ClientDetail } from "#contract/api";
import type { Result } from "#contract/result";
import { idPath, queryString } from "../api.ts";
import { refusalOf } from "../consent-words.ts";
import { metricLabel, sentence, testName, typeLabel } from "../format.ts";
import { isLossMetric, lossLevel } from "../loss.ts";
import { notMeasured, resultTone } from "../not-measured.ts";
import { panelOf } from "../panels/index.ts";
import { Ago } from "../parts/ago.tsx";
import { Destination } from "../parts/destination.tsx";
import { Figure } from "../parts/figure.tsx";
import { FlagChips } from "../parts/flags.tsx";
import { Card } from "../parts/page.tsx";
import { Progress } from "../parts/progress.tsx";
import { Empty } from "../parts/states.tsx";
import { StatusMark } from "../parts/status.tsx";
import { peerNames } from "../peers.ts";
import { peersOf } from "../state/client.ts";
import type { RunProgress } from "../state/progress.ts";
import type { RunNow } from "../state/use-runs.ts";
import { intervalText } from "../time.ts";
import { plural } from "../verdict.ts";

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
  const refusal = refusalOf(test, client);
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
          <NewestRun newest={newest} />
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
        {refusal !== null && (
          <span class="chip chip-small" title={sentence(refusal)} data-testid="refused">
            not allowed here
          </span>
        )}
      </td>
    </tr>
  );
}

/** What the newest run came to; what kept it from being measured stands before the agent's own words. */
function NewestRun({ newest }: { newest: Result }) {
  const unmeasured = notMeasured(newest);
  const word = unmeasured ? `not measured: ${unmeasured.why}` : (newest.error?.message ?? newest.status);
  return (
    <>
      <span class="run-state" title={unmeasured ? newest.error?.message : undefined}>
        <StatusMark tone={resultTone(newest)} word={word} />{" "}
        <span class="text-secondary text-nowrap">
          <Ago at={newest.started_at} />
        </span>
      </span>
      <FlagChips flags={newest.flags.filter((flag) => flag !== unmeasured?.code)} />
    </>
  );
}
