// The newest host sample of a client: its parts in tables, then every figure.
import type { ClientDetail } from "#contract/api";
import type { HostReading } from "#contract/result";
import { now } from "../clock.ts";
import { FlagChips } from "../parts/flags.tsx";
import { MetricGroups } from "../parts/metric-groups.tsx";
import { Card } from "../parts/page.tsx";
import { Quantity } from "../parts/quantity.tsx";
import { Empty } from "../parts/states.tsx";
import { inventoryOf, needsOf } from "../state/host-detail.ts";
import { agoText } from "../time.ts";
import { plural } from "../verdict.ts";
import { Containers, Cores, Disks, Drives, FileSystems, Interfaces, Processes, Sensors, Wifi } from "./host-tables.tsx";

export function HostCard({ client }: { client: ClientDetail }) {
  const host = client.host;
  return (
    <Card
      title="Host and agent"
      testId="host"
      tools={
        host && (
          <span class="text-secondary small">
            sampled {agoText(Date.parse(host.started_at), now.value)}
            <FlagChips flags={host.flags} />
          </span>
        )
      }
    >
      {host ? (
        <Sample host={host} />
      ) : (
        <Empty icon="hourglass-split" title="No host sample yet">
          <p>The agent sends its first one within a minute of starting.</p>
        </Empty>
      )}
    </Card>
  );
}

function Sample({ host }: { host: HostReading }) {
  const { detail, metrics, reasons } = host;
  const names = [...new Set([...Object.keys(metrics), ...Object.keys(reasons)])];
  const known = Object.fromEntries(Object.entries(metrics).filter(([, value]) => value !== null));
  const unknown = Object.fromEntries(names.filter((name) => !Object.hasOwn(known, name)).map((name) => [name, null]));
  const count = Object.keys(unknown).length;
  return (
    <div class="host-sample">
      <Inventory detail={detail} />
      <FileSystems detail={detail} />
      <Interfaces detail={detail} />
      <Wifi detail={detail} />
      <Disks detail={detail} />
      <Drives detail={detail} />
      <Sensors detail={detail} />
      <Cores detail={detail} />
      <Processes detail={detail} />
      <Containers detail={detail} />
      <details class="card-details" data-testid="host-figures">
        <summary>All {plural(Object.keys(known).length, "figure")} of this sample</summary>
        <MetricGroups metrics={known} reasons={{}} />
      </details>
      {count > 0 && (
        <details class="card-details" data-testid="host-missing">
          <summary>{plural(count, "figure")} not known here, and why</summary>
          <Needs detail={detail} />
          <MetricGroups metrics={unknown} reasons={reasons} />
        </details>
      )}
    </div>
  );
}

function Inventory({ detail }: { detail: HostReading["detail"] }) {
  const facts = inventoryOf(detail);
  if (facts.length === 0) return null;
  return (
    <dl class="facts facts-columns">
      {facts.map(({ key, label, value }) => (
        <div key={key}>
          <dt>{label}</dt>
          <dd>
            {typeof value === "number" ? <Quantity value={value} unit={key.endsWith("_bytes") ? "bytes" : ""} /> : String(value)}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** What would bring the figures that are missing. */
function Needs({ detail }: { detail: HostReading["detail"] }) {
  const needs = needsOf(detail);
  if (needs.length === 0) return null;
  return (
    <ul class="needs" data-testid="host-needs">
      {needs.map(({ text, metrics }) => (
        <li key={text}>
          <strong class="long-word">{text}</strong> <span class="text-secondary">for {metrics.join(", ")}</span>
        </li>
      ))}
    </ul>
  );
}
