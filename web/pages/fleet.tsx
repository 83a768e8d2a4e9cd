// The fleet: verdict first, then every client on a line.
import { useLocation } from "preact-iso";
import type { FleetClient } from "#contract/api";
import { now } from "../clock.ts";
import { useQueryPatch } from "../navigate.ts";
import { Icon } from "../parts/icon.tsx";
import { Page, VerdictLine } from "../parts/page.tsx";
import { Empty, Failed, Skeleton, Stale } from "../parts/states.tsx";
import { canWrite } from "../session.ts";
import { countOf, FILTERS, type Filter, filterFromText, shownClients, sortFromText, sortText } from "../state/fleet-table.ts";
import { useFleet } from "../state/use-fleet.ts";
import { fleetVerdict, plural } from "../verdict.ts";
import { AddClient } from "./add-client.tsx";
import { FleetOverview } from "./fleet-overview.tsx";
import { FleetTable } from "./fleet-table.tsx";

const FILTER_WORD: Record<Filter, string> = { all: "All", problems: "Problems", online: "Online", offline: "Not online" };

export function FleetPage() {
  const { query } = useLocation();
  const patch = useQueryPatch();
  const { fleet, error, live, reload } = useFleet();
  const clients = fleet ? [...fleet.values()] : [];
  const sites = new Set(clients.map((client) => client.site).filter(Boolean)).size;
  const openAdd = () => patch({ add: "1" }, false);
  const add = canWrite.value && (
    <button type="button" class="btn btn-sm btn-primary" data-testid="add-client" onClick={openAdd}>
      <Icon name="plus-lg" /> Add a client
    </button>
  );
  const chips = fleet && (
    <span class="chip">
      {plural(clients.length, "client")}
      {sites > 0 && ` · ${plural(sites, "site")}`}
    </span>
  );
  return (
    <Page title="Fleet" chips={chips} actions={add} live={live}>
      {error !== undefined && fleet && live !== "live" && <Stale error={error} retry={reload} />}
      {!fleet && error === undefined && (
        <div class="card">
          <Skeleton lines={8} label="Loading the fleet" />
        </div>
      )}
      {!fleet && error !== undefined && <Failed what="The fleet cannot be shown" error={error} retry={reload} />}
      {fleet && clients.length === 0 && <NoClients add={openAdd} />}
      {clients.length > 0 && <Clients clients={clients} />}
      {clients.length === 1 && canWrite.value && <NextStep add={openAdd} />}
      {query.add === "1" && canWrite.value && fleet && <AddClient fleet={fleet} onClose={() => patch({ add: undefined })} />}
    </Page>
  );
}

function Clients({ clients }: { clients: readonly FleetClient[] }) {
  const { query } = useLocation();
  const patch = useQueryPatch();
  const filter = filterFromText(query.filter);
  const sort = sortFromText(query.sort);
  const shown = shownClients(clients, filter, query.q ?? "", sort);
  return (
    <>
      <VerdictLine verdict={fleetVerdict(clients, now.value)} />
      <FleetOverview clients={clients} />
      <fieldset class="ranges">
        <legend class="visually-hidden">Clients shown</legend>
        {FILTERS.map((one) => (
          <button
            key={one}
            type="button"
            class="range"
            aria-pressed={one === filter}
            onClick={() => patch({ filter: one === "all" ? undefined : one })}
          >
            {FILTER_WORD[one]} <span class="unit">{countOf(clients, one)}</span>
          </button>
        ))}
      </fieldset>
      {shown.length > 0 ? (
        <FleetTable clients={shown} sort={sort} onSort={(next) => patch({ sort: sortText(next) })} />
      ) : (
        <NoMatch all={clients.length} reset={() => patch({ q: undefined, filter: undefined })} />
      )}
    </>
  );
}

function NoMatch({ all, reset }: { all: number; reset: () => void }) {
  return (
    <div class="card">
      <Empty icon="search" title="No client matches">
        <p>
          <button type="button" class="btn btn-sm btn-outline-secondary" onClick={reset}>
            Show all {all}
          </button>
        </p>
      </Empty>
    </div>
  );
}

function NextStep({ add }: { add: () => void }) {
  return (
    <section class="card next-step">
      <span>One client measures so far. With a second office, the same target can be compared from both.</span>
      <button type="button" class="btn btn-sm btn-outline-secondary" onClick={add}>
        <Icon name="plus-lg" /> Add another client
      </button>
    </section>
  );
}

function NoClients({ add }: { add: () => void }) {
  return (
    <section class="card welcome">
      <svg class="welcome-art" viewBox="0 0 220 90" aria-hidden="true" focusable="false">
        <path d="M30 45h70M120 45h70" />
        <circle cx="24" cy="45" r="12" class="ring" />
        <path d="M110 27 125.6 36v18L110 63 94.4 54V36z" class="hub" />
        <circle cx="110" cy="45" r="4" class="dot" />
        <circle cx="196" cy="45" r="12" class="ring" />
      </svg>
      <h2>No client yet</h2>
      <p>
        A client is a small program in an office that measures the network from there. It connects out to this address by itself,
        so nothing has to be opened in a firewall.
      </p>
      {canWrite.value && (
        <button type="button" class="btn btn-primary" onClick={add}>
          <Icon name="plus-lg" /> Add a client
        </button>
      )}
    </section>
  );
}
