// Every metric of a measurement, grouped; a null says why.
import { METRIC_NAMES } from "#contract/metrics";
import { metricLabel } from "../format.ts";
import { groupMetrics } from "../groups.ts";
import { Figure } from "./figure.tsx";

interface MetricGroupsProps {
  metrics: Readonly<Record<string, number | string | boolean | null>>;
  reasons: Readonly<Record<string, string>>;
}

export function MetricGroups({ metrics, reasons }: MetricGroupsProps) {
  const present = new Set([...Object.keys(metrics), ...Object.keys(reasons)]);
  const names = [...METRIC_NAMES.filter((name) => present.has(name)), ...[...present].filter((name) => !isCatalogued(name))];
  return (
    <div class="metric-groups">
      {groupMetrics(names).map((group) => (
        <section key={group.title}>
          <h3>{group.title}</h3>
          <dl>
            {group.names.map((name) => (
              <div key={name} title={name}>
                <dt>{metricLabel(name)}</dt>
                <dd>
                  <Figure name={name} value={metrics[name]} reason={reasons[name]} />
                  {reasons[name] && <span class="reason">{reasons[name].replaceAll("_", " ")}</span>}
                </dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </div>
  );
}

const catalogued = new Set<string>(METRIC_NAMES);
const isCatalogued = (name: string) => catalogued.has(name);
