// Which clients the fleet table shows, and in which order; both are in the URL.
import type { FleetClient } from "#contract/api";
import { currentFigure, currentLatency, fleetHealth, isUp } from "../health.ts";
import { problemsOf } from "../problems.ts";

export const FILTERS = ["all", "problems", "online", "offline"] as const;
export type Filter = (typeof FILTERS)[number];

type Key = string | number | null;

const KEYS = {
  status: (client: FleetClient) => fleetHealth(client).rank,
  name: (client: FleetClient) => client.name.toLowerCase(),
  site: (client: FleetClient) => client.site.toLowerCase(),
  latency: (client: FleetClient) => currentLatency(client)?.ms ?? null,
  loss: (client: FleetClient) => currentFigure(client, "ping_loss_pct"),
  cpu: (client: FleetClient) => currentFigure(client, "cpu_percent"),
  memory: (client: FleetClient) => currentFigure(client, "memory_percent"),
  disk: (client: FleetClient) => currentFigure(client, "fs_used_pct"),
  seen: (client: FleetClient) => (client.last_seen_at === null ? null : -Date.parse(client.last_seen_at)),
} as const satisfies Record<string, (client: FleetClient) => Key>;

export type SortKey = keyof typeof KEYS;

export interface Sort {
  readonly key: SortKey;
  readonly down: boolean;
}

/** `name`, or `-latency` for descending. */
export function sortFromText(text: string | undefined): Sort {
  const down = text?.startsWith("-") ?? false;
  const name = down ? text?.slice(1) : text;
  const key = Object.keys(KEYS).find((one): one is SortKey => one === name);
  return key ? { key, down } : { key: "status", down: false };
}

export const sortText = (sort: Sort) => `${sort.down ? "-" : ""}${sort.key}`;

const FILTER_TEST: Record<Filter, (client: FleetClient) => boolean> = {
  all: () => true,
  problems: (client) => problemsOf(client, 0).length > 0,
  online: (client) => isUp(client.status),
  offline: (client) => !isUp(client.status),
};

export function filterFromText(text: string | undefined): Filter {
  return FILTERS.find((filter) => filter === text) ?? "all";
}

function matches(client: FleetClient, words: readonly string[]): boolean {
  const tags = Object.entries(client.tags).map(([key, value]) => `${key}=${value}`);
  const text = [client.name, client.site, client.id, ...tags].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

/** Unknown values sort last in both directions. */
function compare(a: Key, b: Key, down: boolean): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const order = typeof a === "string" && typeof b === "string" ? a.localeCompare(b) : Number(a) - Number(b);
  return down ? -order : order;
}

export function shownClients(clients: readonly FleetClient[], filter: Filter, search: string, sort: Sort): FleetClient[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return clients
    .filter((client) => FILTER_TEST[filter](client) && matches(client, words))
    .sort(
      (a, b) =>
        compare(KEYS[sort.key](a), KEYS[sort.key](b), sort.down) || a.name.localeCompare(b.name) || a.id.localeCompare(b.id),
    );
}

export const countOf = (clients: readonly FleetClient[], filter: Filter) => clients.filter(FILTER_TEST[filter]).length;
