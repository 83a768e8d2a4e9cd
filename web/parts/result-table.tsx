// Recent results, newest first; a row opens to everything that run measured.
import { Fragment } from "preact";
import { useState } from "preact/hooks";
import type { Result } from "#contract/result";
import { metricLabel } from "../format.ts";
import { isLossMetric, lossLevel } from "../loss.ts";
import { notMeasured, resultTone } from "../not-measured.ts";
import { errorWord, whoseText } from "../run-verdict.ts";
import { clockTime, dateText, fullTime } from "../time.ts";
import { Figure } from "./figure.tsx";
import { FlagChips, FlagMeanings } from "./flags.tsx";
import { Icon } from "./icon.tsx";
import { MetricGroups } from "./metric-groups.tsx";
import { StatusMark } from "./status.tsx";

const FIRST_ROWS = 15;
const MORE_ROWS = 50;

interface ResultTableProps {
  results: readonly Result[];
  /** Metric and column heading. */
  columns: readonly (readonly [string, string])[];
  older: (() => void) | null;
}

export function ResultTable({ results, columns, older }: ResultTableProps) {
  const [open, setOpen] = useState<string | null>(null);
  const [rows, setRows] = useState(FIRST_ROWS);
  const more = () => {
    if (rows >= results.length) older?.();
    setRows(rows + MORE_ROWS);
  };
  return (
    <>
      <div class="table-scroll">
        <table class="table table-results">
          <thead>
            <tr>
              <th scope="col">Started</th>
              <th scope="col">Status</th>
              {columns.map(([metric, word]) => (
                <th scope="col" class={`num ${widthClass(metric, columns)}`} title={metricLabel(metric)}>
                  {heading(word)}
                </th>
              ))}
              <th scope="col" class="wide-only">
                Address
              </th>
              <th scope="col">
                <span class="visually-hidden">Details</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {results.slice(0, rows).map((result) => (
              <Fragment key={result.id}>
                <ResultRow
                  result={result}
                  columns={columns}
                  open={open === result.id}
                  toggle={() => setOpen(open === result.id ? null : result.id)}
                />
                {open === result.id && (
                  <tr class="result-open">
                    <td colSpan={columns.length + 4}>
                      <ResultDetail result={result} />
                    </td>
                  </tr>
                )}
              </Fragment>
            ))}
          </tbody>
        </table>
      </div>
      {(older || rows < results.length) && (
        <button type="button" class="btn btn-sm btn-outline-secondary table-more" onClick={more}>
          Show older results
        </button>
      )}
    </>
  );
}

/** Words of figures begin small; as headings they begin as the others do. "p95" is a name. */
const heading = (word: string) => (/^p\d/.test(word) ? word : word.charAt(0).toUpperCase() + word.slice(1));

/** A phone has room for the first two. */
const widthClass = (metric: string, columns: ResultTableProps["columns"]) =>
  columns.slice(0, 2).some(([name]) => name === metric) ? "" : "wide-only";

interface ResultRowProps {
  result: Result;
  columns: ResultTableProps["columns"];
  open: boolean;
  toggle: () => void;
}

function ResultRow({ result, columns, open, toggle }: ResultRowProps) {
  const started = Date.parse(result.started_at);
  const today = new Date(started).toDateString() === new Date().toDateString();
  return (
    // A click anywhere opens the row; keyboard and readers have its button.
    <tr
      class="result-row"
      onClick={(event) => {
        if (!(event.target as HTMLElement).closest("button") && getSelection()?.isCollapsed) toggle();
      }}
    >
      <td title={fullTime(started)} class="text-nowrap">
        {!today && <span class="text-secondary">{dateText(started)} </span>}
        {clockTime(started)}
        {result.run_id && <span class="chip chip-small">run now</span>}
      </td>
      <td>
        <StatusMark
          tone={resultTone(result)}
          word={notMeasured(result)?.word ?? (result.error ? errorWord(result.error.code) : result.status)}
        />
        <FlagChips flags={hostFlags(result)} />
      </td>
      {columns.map(([metric]) => (
        <td
          class={`num ${widthClass(metric, columns)}${isLossMetric(metric) ? ` loss-text-${lossLevel(Number(result.metrics[metric] ?? Number.NaN))}` : ""}`}
        >
          <Figure name={metric} value={result.metrics[metric]} reason={result.reasons[metric]} />
        </td>
      ))}
      <td class="text-secondary wide-only">{result.address ?? "–"}</td>
      <td class="num">
        <button
          type="button"
          class="btn-icon"
          aria-expanded={open}
          aria-label={`Details of the run at ${clockTime(started)}`}
          onClick={toggle}
        >
          <Icon name={open ? "chevron-down" : "chevron-right"} />
        </button>
      </td>
    </tr>
  );
}

/** A run that was not measured says so already. */
const hostFlags = (result: Result) => result.flags.filter((flag) => flag !== notMeasured(result)?.code);

function causeText(result: Result): string {
  const unmeasured = notMeasured(result);
  if (unmeasured) return `Not measured: ${unmeasured.why}.`;
  return `Cause: ${whoseText(result.error?.source ?? "")}.`;
}

function ResultDetail({ result }: { result: Result }) {
  const detail = Object.keys(result.detail).length > 0;
  return (
    <div class="result-detail">
      {result.error && (
        <p class={`result-error result-error-${resultTone(result)}`}>
          <strong>{result.error.message}</strong> <span class="text-secondary">{causeText(result)}</span>
        </p>
      )}
      <FlagMeanings flags={result.flags} />
      <MetricGroups metrics={result.metrics} reasons={result.reasons} />
      <p class="text-secondary small">
        Result {result.id}, took {Math.round(result.duration_ms)} ms, received {fullTime(Date.parse(result.received_at))}
      </p>
      {result.host && (
        <details>
          <summary>The host at that time</summary>
          <MetricGroups metrics={result.host} reasons={{}} />
        </details>
      )}
      {detail && (
        <details>
          <summary>Raw detail</summary>
          <pre class="raw">{JSON.stringify(result.detail, null, 1)}</pre>
        </details>
      )}
    </div>
  );
}
