// What was measured each way, side by side: up leaves this office, down comes to it.
import type { Result } from "#contract/result";
import { reasonText } from "../format.ts";
import { lossLevel } from "../loss.ts";
import { Figure } from "../parts/figure.tsx";
import { Meter } from "../parts/meter.tsx";

export interface DirectionRow {
  readonly label: string;
  /** What the word means, where it is one of the trade. */
  readonly hint?: string;
  readonly up: string;
  readonly down: string;
  /** `loss` has the colours of loss; `bar` compares the two; a plain one is a figure. */
  readonly show: "loss" | "bar" | "plain";
}

interface DirectionsProps {
  rows: readonly DirectionRow[];
  result: Result;
  testId: string;
}

const numberOf = (value: unknown) => (typeof value === "number" && Number.isFinite(value) ? value : null);

export function Directions({ rows, result, testId }: DirectionsProps) {
  return (
    <table class="table table-directions" data-testid={testId}>
      <thead>
        <tr>
          <td />
          <th scope="col">
            <span aria-hidden="true">↑</span> Up <span class="direction-hint">from here</span>
          </th>
          <th scope="col">
            <span aria-hidden="true">↓</span> Down <span class="direction-hint">to here</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.up}>
            <th scope="row" title={row.hint}>
              {row.label}
            </th>
            <Cell name={row.up} other={row.down} row={row} result={result} />
            <Cell name={row.down} other={row.up} row={row} result={result} />
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Cell({ name, other, row, result }: { name: string; other: string; row: DirectionRow; result: Result }) {
  const value = numberOf(result.metrics[name]);
  const reason = result.reasons[name];
  if (value === null || row.show === "plain") {
    return (
      <td data-metric={name}>
        <Figure name={name} value={result.metrics[name]} reason={reason} />
      </td>
    );
  }
  if (row.show === "loss") {
    return (
      <td data-metric={name} class={`loss-text-${lossLevel(value)}`}>
        <Meter value={value} label={row.label} why={reasonText(reason)} scale="loss" />
      </td>
    );
  }
  const most = Math.max(value, numberOf(result.metrics[other]) ?? 0);
  return (
    <td data-metric={name}>
      <span class="direction-bar">
        <span class="bar-figure-track" aria-hidden="true">
          <span
            class="bar-figure-fill"
            style={{ width: `${most > 0 ? Math.max(1, Math.min(100, (value / most) * 100)) : 0}%` }}
          />
        </span>
        <Figure name={name} value={value} />
      </span>
    </td>
  );
}
