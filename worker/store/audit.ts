import { desc, lt } from "drizzle-orm";
import { rfc3339 } from "../time.ts";
import { type Database, page } from "./database.ts";
import { auditLog } from "./schema.ts";

export interface AuditEntry {
  actor: string;
  action: string;
  target: string;
  detail?: Record<string, unknown>;
  ip: string | null;
}

/** Appends to the audit log. Secrets never belong in `detail`. */
export async function record(db: Database, entry: AuditEntry, now: number): Promise<void> {
  await db.insert(auditLog).values({ ...entry, detail: entry.detail ?? {}, at: now });
}

/** Newest first. */
export async function listAudit(db: Database, limit: number, cursor?: number) {
  const rows = await db
    .select()
    .from(auditLog)
    .where(cursor === undefined ? undefined : lt(auditLog.id, cursor))
    .orderBy(desc(auditLog.id))
    .limit(limit + 1);
  const { rows: shown, next_cursor } = page(rows, limit);
  return { items: shown.map((row) => ({ ...row, at: rfc3339(row.at) })), next_cursor };
}
