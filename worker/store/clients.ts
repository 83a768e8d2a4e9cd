import { and, asc, eq, gt, inArray, ne, type SQL } from "drizzle-orm";
import type { Client, ClientStatus } from "#contract/api";
import type { ConsentReport } from "#contract/consent";
import type { Capabilities, OutboxFigures, Platform, Tags } from "#contract/wire";
import { rfc3339, rfc3339OrNull } from "../time.ts";
import { type Database, page } from "./database.ts";
import { type ClientRow, client, type EdgeView, reflector, testClient } from "./schema.ts";

/** Sites a reader is limited to; null sees all. */
export type Sites = string[] | null;

export const sees = (sites: Sites, site: string): boolean => sites === null || sites.includes(site);

export interface ClientFilter {
  site?: string | undefined;
  tag?: string | undefined;
  status?: ClientStatus | undefined;
  q?: string | undefined;
}

/** Clients a reader sees, by id. `tag` is `key` or `key=value`; `q` is looked for in name, site, id and tags. */
export async function listClients(db: Database, sites: Sites, filter: ClientFilter, limit: number, cursor?: string) {
  const where: SQL[] = [];
  if (sites !== null) where.push(inArray(client.site, sites.slice(0, 90)));
  if (filter.site !== undefined) where.push(eq(client.site, filter.site));
  if (filter.status !== undefined) where.push(eq(client.status, filter.status));
  if (cursor !== undefined) where.push(gt(client.id, cursor));
  const matches = (row: ClientRow) => matchesTag(row.tags, filter.tag) && matchesText(row, filter.q);
  const filtered = filter.tag !== undefined || filter.q !== undefined;
  // Tags and free text are matched here: D1 caps LIKE patterns at 50 bytes and cannot index JSON cheaply.
  const rows = await db
    .select()
    .from(client)
    .where(and(...where))
    .orderBy(asc(client.id))
    .limit(filtered ? 20_000 : limit + 1);
  return page(filtered ? rows.filter(matches) : rows, limit);
}

function matchesTag(tags: Tags, wanted: string | undefined): boolean {
  if (wanted === undefined) return true;
  const at = wanted.indexOf("=");
  return at < 0 ? Object.hasOwn(tags, wanted) : tags[wanted.slice(0, at)] === wanted.slice(at + 1);
}

function matchesText(row: ClientRow, q: string | undefined): boolean {
  if (q === undefined) return true;
  const needle = q.toLowerCase();
  const words = [row.name, row.site, row.id, ...Object.entries(row.tags).map(([key, value]) => `${key}=${value}`)];
  return words.some((word) => word.toLowerCase().includes(needle));
}

export async function findClient(db: Database, id: string): Promise<ClientRow | undefined> {
  return db.select().from(client).where(eq(client.id, id)).get();
}

export async function allClients(db: Database): Promise<ClientRow[]> {
  return db.select().from(client).where(ne(client.status, "retired"));
}

export interface NewClient {
  id: string;
  name: string;
  site: string;
  tags: Tags;
  version: string;
  platform: Platform;
  capabilities: Capabilities;
  consent: ConsentReport | null;
  edge: EdgeView | null;
  install_id: string;
  now: number;
}

export async function insertClient(db: Database, row: NewClient): Promise<void> {
  const { now, ...rest } = row;
  await db
    .insert(client)
    .values({ ...rest, status: "never_seen", status_reason: "registered", status_since: now, token_epoch: 1, created_at: now });
}

export async function updateClient(
  db: Database,
  id: string,
  change: Partial<Omit<ClientRow, "id">>,
): Promise<ClientRow | undefined> {
  return db.update(client).set(change).where(eq(client.id, id)).returning().get();
}

/** Notes the status an object reports. A client that a person retired meanwhile stays retired. */
export async function updateStatus(
  db: Database,
  id: string,
  status: Pick<ClientRow, "status" | "status_reason" | "status_since" | "last_seen_at">,
): Promise<void> {
  await db
    .update(client)
    .set(status)
    .where(and(eq(client.id, id), ne(client.status, "retired")));
}

export async function deleteClient(db: Database, id: string): Promise<void> {
  await db.batch([
    db.delete(testClient).where(eq(testClient.client_id, id)),
    db.delete(reflector).where(eq(reflector.client_id, id)),
    db.delete(client).where(eq(client.id, id)),
  ]);
}

/** What only the client's object knows at the moment. */
export interface LiveClientState {
  status: ClientStatus;
  status_reason: string;
  status_since: number;
  last_seen_at: number | null;
  outbox: OutboxFigures;
}

/** A row as the web API shows it, with the object's fresher state laid over it where it is known. */
export function toClient(row: ClientRow, live?: LiveClientState): Client {
  return {
    id: row.id,
    name: row.name,
    site: row.site,
    tags: row.tags,
    status: live?.status ?? row.status,
    status_reason: live?.status_reason ?? row.status_reason,
    status_since: rfc3339(live?.status_since ?? row.status_since),
    last_seen_at: rfc3339OrNull(live?.last_seen_at ?? row.last_seen_at),
    version: row.version,
    platform: row.platform,
    capabilities: row.capabilities,
    edge: row.edge,
    outbox: live?.outbox ?? { depth: 0, dropped: 0, problem: null },
    created_at: rfc3339(row.created_at),
  };
}
