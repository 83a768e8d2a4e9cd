// Events in D1. An event is two rows written when it opens (its own and that of the index by client), one when its witnesses have
// spoken, one when it closes. They stay until their client is deleted.
import { and, desc, eq, getTableColumns, gte, inArray, isNotNull, isNull, lt, type SQL } from "drizzle-orm";
import type { NetworkEvent } from "#contract/events";
import { timePrefix } from "../ids.ts";
import { rfc3339, rfc3339OrNull } from "../time.ts";
import type { Sites } from "./clients.ts";
import { type Database, page } from "./database.ts";
import { client, type EventRow, event } from "./schema.ts";

/** Writes an event as it stands; what was written of it before is replaced. */
export async function saveEvent(db: Database, row: EventRow): Promise<void> {
  const { completed_at, closed_at, verdict, summary, evidence } = row;
  const set = { completed_at, closed_at, verdict, summary, evidence };
  await db.insert(event).values(row).onConflictDoUpdate({ target: event.id, set });
}

export async function closeEvent(db: Database, id: string, closed_at: number): Promise<void> {
  await db.update(event).set({ closed_at }).where(eq(event.id, id));
}

export async function deleteEventsOf(db: Database, clientId: string): Promise<void> {
  await db.delete(event).where(eq(event.client_id, clientId));
}

export interface EventFilter {
  client_id?: string | undefined;
  test_id?: string | undefined;
  /** Opened in [from, to], epoch milliseconds. */
  from?: number | undefined;
  to?: number | undefined;
  open?: boolean | undefined;
}

/** One line of the list: everything but the evidence. */
export type EventLine = Omit<EventRow, "evidence">;

const { evidence: _, ...LINE } = getTableColumns(event);

/** Events of clients a reader sees, newest first. */
export async function listEvents(db: Database, sites: Sites, filter: EventFilter, limit: number, cursor?: string) {
  const where: SQL[] = [];
  if (sites !== null) where.push(inArray(client.site, sites.slice(0, 90)));
  if (filter.client_id !== undefined) where.push(eq(event.client_id, filter.client_id));
  if (filter.test_id !== undefined) where.push(eq(event.test_id, filter.test_id));
  if (filter.open !== undefined) where.push(filter.open ? isNull(event.closed_at) : isNotNull(event.closed_at));
  if (filter.from !== undefined) where.push(gte(event.id, timePrefix(filter.from)));
  if (filter.to !== undefined) where.push(lt(event.id, timePrefix(filter.to + 1)));
  if (cursor !== undefined) where.push(lt(event.id, cursor));
  const rows = await db
    .select(LINE)
    .from(event)
    .innerJoin(client, eq(client.id, event.client_id))
    .where(and(...where))
    .orderBy(desc(event.id))
    .limit(limit + 1);
  return page<EventLine>(rows, limit);
}

export async function findEvent(db: Database, id: string): Promise<EventRow | undefined> {
  return db.select().from(event).where(eq(event.id, id)).get();
}

export function toEvent(row: EventLine): NetworkEvent {
  const { opened_at, completed_at, closed_at } = row;
  const times = { opened_at: rfc3339(opened_at), completed_at: rfc3339OrNull(completed_at), closed_at: rfc3339OrNull(closed_at) };
  const { id, client_id, test_id, peer_id, kind, verdict, summary } = row;
  return { id, client_id, test_id, peer_id, kind, ...times, verdict, summary };
}
