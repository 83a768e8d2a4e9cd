// What the public doors do not show: an object's rows, its alarm, its eviction, and the tables of D1.
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { Env } from "../../worker/env.ts";

export const edgeEnv = env as unknown as Env & { SETUP_CODE: string };

const stubOf = (clientId: string) => edgeEnv.CLIENT.getByName(clientId);

/** Throws the client's object out of memory; its sockets hibernate. */
export const evict = (clientId: string): Promise<void> => evictDurableObject(stubOf(clientId));

/** Throws the fleet's object out of memory. */
export const evictFleet = (): Promise<void> => evictDurableObject(edgeEnv.FLEET.getByName("fleet"));

/** Kills the client's object where it stands, as when its machine goes away; its sockets break. */
export async function kill(clientId: string): Promise<void> {
  await runInDurableObject(stubOf(clientId), (_, state) => state.abort("killed by a test")).catch((error: unknown) => {
    if (!String(error).includes("killed by a test")) throw error;
  });
}

/** Lets the client's alarm come now; false when none was set. */
export const runAlarm = (clientId: string): Promise<boolean> => runDurableObjectAlarm(stubOf(clientId));

/** When the client's alarm is due, epoch milliseconds. */
export const alarmOf = (clientId: string): Promise<number | null> =>
  runInDurableObject(stubOf(clientId), (_, state) => state.storage.getAlarm());

/**
 * Rows changed in the client's object, by SQLite's own `total_changes()`: tables, key-value entries and the alarm alike
 * (tried: `kv.put` and `setAlarm` each add one).
 */
export const changesOf = (clientId: string): Promise<number> =>
  runInDurableObject(
    stubOf(clientId),
    (_, state) => state.storage.sql.exec<{ changes: number }>("SELECT total_changes() AS changes").one().changes,
  );

/** Upload rows in the client's object. */
export const ringRows = (clientId: string): Promise<number> =>
  runInDurableObject(
    stubOf(clientId),
    (_, state) => state.storage.sql.exec<{ rows: number }>("SELECT count(*) AS rows FROM ring").one().rows,
  );

/** What the client's newest upload row says of where the client stands, as it is stored. */
export const stateText = (clientId: string): Promise<string> =>
  runInDurableObject(
    stubOf(clientId),
    (_, state) => state.storage.sql.exec<{ state: string }>("SELECT state FROM ring ORDER BY slot DESC LIMIT 1").one().state,
  );

/** Every row of every table in D1, as text, table by table. */
export async function dumpD1(): Promise<Record<string, string[]>> {
  const { results } = await edgeEnv.DB.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
  ).all<{ name: string }>();
  const tables: Record<string, string[]> = {};
  for (const { name } of results) {
    const rows = await edgeEnv.DB.prepare(`SELECT * FROM "${name}"`).all();
    tables[name] = rows.results.map((row) => JSON.stringify(row));
  }
  return tables;
}

/**
 * How often D1 was asked during some work, reads included: in this runtime each request to D1 adds one to the counter of its
 * SQLite, a change of rows adds more, so 0 means that D1 was not touched at all.
 */
export async function asksOfD1(work: () => Promise<unknown>): Promise<number> {
  const counter = edgeEnv.DB.prepare("SELECT total_changes() AS asked");
  const before = await counter.first<number>("asked");
  await work();
  const after = await counter.first<number>("asked");
  if (before === null || after === null) throw new Error("D1 shows no counter");
  return after - before - 1;
}
