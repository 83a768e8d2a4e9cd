import { drizzle } from "drizzle-orm/d1";
import * as schema from "./schema.ts";

/** A handle for one request: D1 objects must not outlive the request that made them. */
export function database(d1: D1Database) {
  return drizzle(d1, { schema });
}
export type Database = ReturnType<typeof database>;

/** A page of a list ordered by id; `cursor` is the last id of the page before. */
export function page<Row extends { id: string | number }>(
  rows: Row[],
  limit: number,
): { rows: Row[]; next_cursor: string | null } {
  const more = rows.length > limit;
  const shown = more ? rows.slice(0, limit) : rows;
  return { rows: shown, next_cursor: more ? String(shown.at(-1)?.id) : null };
}
