import { asc, eq, gt, inArray, sql } from "drizzle-orm";
import type { Selector, Test } from "#contract/api";
import { peerDestination } from "#contract/destination";
import { slices } from "../slices.ts";
import { rfc3339 } from "../time.ts";
import { allClients, type Sites, sees } from "./clients.ts";
import { type Database, page } from "./database.ts";
import { type ClientRow, client, systemConfig, type TestRow, test, testClient } from "./schema.ts";

/** Whether a selector takes in a client. Every part given must match. */
export function selects(selector: Selector | null, row: Pick<ClientRow, "site" | "tags">): boolean {
  if (selector === null) return false;
  if (selector.site !== undefined && selector.site !== row.site) return false;
  if (selector.tags !== undefined && Object.entries(selector.tags).some(([key, value]) => row.tags[key] !== value)) return false;
  return selector.all === true || selector.site !== undefined || selector.tags !== undefined;
}

export async function listTests(db: Database, limit: number, cursor?: string) {
  const rows = await db
    .select()
    .from(test)
    .where(cursor === undefined ? undefined : gt(test.id, cursor))
    .orderBy(asc(test.id))
    .limit(limit + 1);
  return page(rows, limit);
}

export async function findTest(db: Database, id: string): Promise<TestRow | undefined> {
  return db.select().from(test).where(eq(test.id, id)).get();
}

/** D1 binds at most 100 parameters. */
const IDS_PER_QUERY = 90;

/** Ids of the clients named one by one, per test. */
export async function namedClients(db: Database, testIds: string[]): Promise<Map<string, string[]>> {
  const named = new Map<string, string[]>(testIds.map((id) => [id, []]));
  for (const ids of slices(testIds, IDS_PER_QUERY)) {
    const rows = await db.select().from(testClient).where(inArray(testClient.test_id, ids));
    for (const row of rows) named.get(row.test_id)?.push(row.client_id);
  }
  return named;
}

/** Every client that runs a test now: named ones and those its selector takes in; retired ones never. */
export async function clientsOf(db: Database, row: TestRow): Promise<ClientRow[]> {
  const [everyone, named] = await Promise.all([allClients(db), namedClients(db, [row.id])]);
  const ids = new Set(named.get(row.id));
  return everyone.filter((one) => ids.has(one.id) || selects(row.selector, one));
}

/** Ids of the clients that a change of a test concerns: those that run it, and one that it is aimed at. */
export async function concernedByTest(db: Database, row: TestRow): Promise<string[]> {
  const runners = (await clientsOf(db, row)).map(({ id }) => id);
  const named = peerDestination(row.destination);
  return named?.kind === "client" ? [...runners, named.client_id] : runners;
}

/** Every test of a client, enabled or not. */
export async function testsOf(db: Database, row: ClientRow): Promise<TestRow[]> {
  const [tests, named] = await db.batch([
    db.select().from(test),
    db.select({ test_id: testClient.test_id }).from(testClient).where(eq(testClient.client_id, row.id)),
  ]);
  const ids = new Set(named.map((link) => link.test_id));
  return tests.filter((one) => ids.has(one.id) || selects(one.selector, row));
}

type NewTest = Omit<TestRow, "created_at" | "updated_at">;

const LINKS_PER_STATEMENT = 45;

function linkStatements(db: Database, testId: string, clientIds: string[]) {
  const statements = [];
  for (const some of slices(clientIds, LINKS_PER_STATEMENT)) {
    const links = some.map((client_id) => ({ test_id: testId, client_id }));
    statements.push(db.insert(testClient).values(links).onConflictDoNothing());
  }
  return statements;
}

export async function insertTest(db: Database, row: NewTest, clientIds: string[], now: number): Promise<TestRow> {
  const full = { ...row, created_at: now, updated_at: now };
  await db.batch([db.insert(test).values(full), ...linkStatements(db, row.id, clientIds)]);
  return full;
}

export async function updateTest(db: Database, id: string, change: Partial<NewTest>, now: number): Promise<TestRow | undefined> {
  return db
    .update(test)
    .set({ ...change, updated_at: now })
    .where(eq(test.id, id))
    .returning()
    .get();
}

/** Replaces the clients named one by one. */
export async function assignClients(db: Database, testId: string, clientIds: string[]): Promise<void> {
  await db.batch([db.delete(testClient).where(eq(testClient.test_id, testId)), ...linkStatements(db, testId, clientIds)]);
}

export async function deleteTest(db: Database, id: string): Promise<void> {
  await db.batch([db.delete(testClient).where(eq(testClient.test_id, id)), db.delete(test).where(eq(test.id, id))]);
}

/** Which of these client ids exist, as far as somebody limited to sites may see. */
export async function existingClientIds(db: Database, ids: string[], sites: Sites): Promise<Set<string>> {
  const found = new Set<string>();
  for (const some of slices(ids, IDS_PER_QUERY)) {
    const rows = await db.select({ id: client.id, site: client.site }).from(client).where(inArray(client.id, some));
    for (const row of rows) if (sees(sites, row.site)) found.add(row.id);
  }
  return found;
}

const REVISION_KEY = "instruction_revision";

/** Counts one more change of any test or assignment; every instruction carries the newest number. */
export async function bumpRevision(db: Database, now: number): Promise<number> {
  const row = await db
    .insert(systemConfig)
    .values({ key: REVISION_KEY, value: 1, updated_at: now })
    .onConflictDoUpdate({
      target: systemConfig.key,
      set: { value: sql`CAST(${systemConfig.value} AS INTEGER) + 1`, updated_at: now },
    })
    .returning()
    .get();
  return Number(row.value);
}

export async function currentRevision(db: Database): Promise<number> {
  const row = await db.select().from(systemConfig).where(eq(systemConfig.key, REVISION_KEY)).get();
  return row === undefined ? 0 : Number(row.value);
}

export function toTest(row: TestRow, clientIds: string[]): Test {
  const { packet_size, ...params } = row.params;
  return {
    id: row.id,
    name: row.name,
    type: row.type,
    destination: row.destination,
    interval_s: row.interval_s,
    packet_size: typeof packet_size === "number" ? packet_size : null,
    params,
    schedule: row.schedule,
    enabled: row.enabled,
    client_ids: clientIds,
    selector: row.selector,
    thresholds: row.thresholds,
    created_at: rfc3339(row.created_at),
    updated_at: rfc3339(row.updated_at),
  };
}
