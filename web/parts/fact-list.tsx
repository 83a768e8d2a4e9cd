// Chosen metrics of one result as a list of facts; one that was not measured says why.
import type { Result } from "#contract/result";
import { metricLabel } from "../format.ts";
import { Figure } from "./figure.tsx";

interface FactListProps {
  names: readonly string[];
  result: Result;
  testId?: string;
}

export function FactList({ names, result, testId }: FactListProps) {
  return (
    <dl class="facts facts-columns" data-testid={testId}>
      {names.map((name) => (
        <div key={name}>
          <dt>{metricLabel(name)}</dt>
          <dd data-metric={name}>
            <Figure name={name} value={result.metrics[name]} reason={result.reasons[name]} />
          </dd>
        </div>
      ))}
    </dl>
  );
}
