// Where clients answer each other.
import { eq, inArray } from "drizzle-orm";
import { slices } from "../slices.ts";
import type { Database } from "./database.ts";
import { client, type ReflectorRow, reflector } from "./schema.ts";

/** A client that others may measure against, as far as it said where it is. */
export interface PeerRow {
  id: string;
  name: string;
  status: string;
  token_epoch: number;
  addresses: string[] | null;
  port: number | null;
}

/** D1 binds at most 100 parameters. */
const IDS_PER_QUERY = 90;

/** Clients by id with where they answer. */
export async function findPeers(db: Database, ids: readonly string[]): Promise<Map<string, PeerRow>> {
  const found = new Map<string, PeerRow>();
  for (const some of slices(ids, IDS_PER_QUERY)) {
    const rows = await db
      .select({
        id: client.id,
        name: client.name,
        status: client.status,
        token_epoch: client.token_epoch,
        addresses: reflector.addresses,
        port: reflector.port,
      })
      .from(client)
      .leftJoin(reflector, eq(reflector.client_id, client.id))
      .where(inArray(client.id, some));
    for (const row of rows) found.set(row.id, row);
  }
  return found;
}

/** Notes where a client answers; one row written when that is news, none else. Answers whether it was. */
export async function keepReflector(db: Database, row: ReflectorRow): Promise<boolean> {
  const known = await db.select().from(reflector).where(eq(reflector.client_id, row.client_id)).get();
  const same = known?.port === row.port && JSON.stringify(known.addresses) === JSON.stringify(row.addresses);
  if (same) return false;
  await db.insert(reflector).values(row).onConflictDoUpdate({ target: reflector.client_id, set: row });
  return true;
}
