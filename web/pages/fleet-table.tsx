// One line per client; on a phone each line becomes a card.

import type { ComponentChildren } from "preact";
import { useLocation } from "preact-iso";
import type { FleetClient } from "#contract/api";
import { idPath } from "../api.ts";
import { now } from "../clock.ts";
import { typeLabel } from "../format.ts";
import { currentFigure, currentLatency, fleetHealth, isUp, statusReason } from "../health.ts";
import { lossLevel } from "../loss.ts";
import { Ago } from "../parts/ago.tsx";
import { Figure } from "../parts/figure.tsx";
import { Meter } from "../parts/meter.tsx";
import { Sparkline } from "../parts/sparkline.tsx";
import { Shape } from "../parts/status.tsx";
import type { Sort, SortKey } from "../state/fleet-table.ts";
import { fullTime, spanText } from "../time.ts";

interface FleetTableProps {
  clients: readonly FleetClient[];
  sort: Sort;
  onSort: (sort: Sort) => void;
}

const COLUMNS: readonly (readonly [SortKey | null, string, string])[] = [
  ["status", "Client", ""],
  ["site", "Site", ""],
  ["latency", "Latency", "Median round trip of the worst ping, newest run; without a ping, the leading time of another test"],
  [null, "Recent", "The same of the newest runs"],
  ["loss", "Loss", "Packet loss of the worst test, newest run"],
  ["cpu", "CPU", "CPU busy"],
  ["memory", "Memory", "Memory in use"],
  ["disk", "Disk", "Fullest file system"],
  ["seen", "Seen", "When the client was last heard"],
];

export function FleetTable({ clients, sort, onSort }: FleetTableProps) {
  return (
    <div class="card table-card">
      <table class="table table-fleet">
        <thead>
          <tr>
            {COLUMNS.map(([key, word, title]) => (
              <Heading key={word} sortKey={key} title={title} sort={sort} onSort={onSort}>
                {word}
              </Heading>
            ))}
          </tr>
        </thead>
        <tbody>
          {clients.map((client) => (
            <Row key={client.id} client={client} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface HeadingProps {
  sortKey: SortKey | null;
  title: string;
  sort: Sort;
  onSort: (sort: Sort) => void;
  children: string;
}

function Heading({ sortKey, title, sort, onSort, children }: HeadingProps) {
  if (sortKey === null) {
    return (
      <th scope="col" title={title}>
        {children}
      </th>
    );
  }
  const active = sort.key === sortKey;
  // Figures are of interest from the top, words from A.
  const startsDown = sortKey !== "status" && sortKey !== "name" && sortKey !== "site" && sortKey !== "seen";
  return (
    <th scope="col" aria-sort={active ? (sort.down ? "descending" : "ascending") : "none"}>
      <button
        type="button"
        class="sort"
        title={title === "" ? undefined : title}
        onClick={() => onSort({ key: sortKey, down: active ? !sort.down : startsDown })}
      >
        {children}
        <span class={`sort-mark${active ? " sort-active" : ""}`} aria-hidden="true">
          {active && sort.down ? "▾" : "▴"}
        </span>
      </button>
    </th>
  );
}

function Cell({ label, class: extra = "", children }: { label: string; class?: string; children: ComponentChildren }) {
  return (
    <td data-label={label} class={extra}>
      {children}
    </td>
  );
}

const OFFLINE_WHY = "Not known now: the client is not online";
const whyUnknown = (client: FleetClient, reason: string) =>
  `Not known: ${client.measured_at === null ? "nothing was measured yet" : reason}`;

function Row({ client }: { client: FleetClient }) {
  const { route } = useLocation();
  const health = fleetHealth(client);
  const href = `/clients${idPath(client.id)}`;
  const loss = currentFigure(client, "ping_loss_pct");
  const since = Date.parse(client.status_since);
  const offline = client.status === "offline" ? ` ${spanText(since, now.value)}` : "";
  const why = isUp(client.status) ? whyUnknown(client, "the newest sample does not carry it") : OFFLINE_WHY;
  const latency = currentLatency(client);
  const whyNone = isUp(client.status) ? whyUnknown(client, "no test that measures time has answered") : OFFLINE_WHY;
  const whyPing = isUp(client.status) ? whyUnknown(client, "no ping test has answered") : OFFLINE_WHY;
  return (
    // A click anywhere follows the row's link, which is what the keyboard and readers use.
    <tr
      class={`fleet-row tone-${health.tone}`}
      data-testid="fleet-row"
      data-client-id={client.id}
      data-status={client.status}
      onClick={(event) => {
        if (!(event.target as HTMLElement).closest("a") && getSelection()?.isCollapsed) route(href);
      }}
    >
      <Cell label="Client" class="cell-client">
        <span title={`${statusReason(client.status_reason)} since ${fullTime(since)}`}>
          <Shape tone={health.tone} /> <a href={href}>{client.name}</a>{" "}
          <span class="text-secondary">
            {health.word}
            {offline}
          </span>
        </span>
      </Cell>
      <Cell label="Site">{client.site || <span class="text-secondary">none</span>}</Cell>
      <Cell label="Latency" class="cell-num">
        <Figure name={latency?.metric ?? "ping_rtt_median"} value={latency?.ms ?? null} why={whyNone} />
        {latency && latency.type !== "ping" && <span class="unit"> {typeLabel(latency.type)}</span>}
      </Cell>
      <Cell label="Recent" class="cell-spark">
        <Sparkline values={client.spark} loss={loss} metric={latency?.metric ?? ""} />
      </Cell>
      <Cell label="Loss" class={`cell-num loss-text-${lossLevel(loss)}`}>
        <Figure name="ping_loss_pct" value={loss} why={whyPing} />
      </Cell>
      <Cell label="CPU">
        <Meter value={currentFigure(client, "cpu_percent")} label="CPU busy" why={why} />
      </Cell>
      <Cell label="Memory">
        <Meter value={currentFigure(client, "memory_percent")} label="Memory in use" why={why} />
      </Cell>
      <Cell label="Disk">
        <Meter value={currentFigure(client, "fs_used_pct")} label="Fullest disk" why={why} />
      </Cell>
      <Cell label="Seen" class="cell-seen">
        <Ago at={client.last_seen_at} why="It has never been heard" />
      </Cell>
    </tr>
  );
}
