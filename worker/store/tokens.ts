import { and, desc, eq, gt, isNull, lt, or, sql } from "drizzle-orm";
import type { Token } from "#contract/api";
import { rfc3339, rfc3339OrNull } from "../time.ts";
import type { Database } from "./database.ts";
import { apiToken, type TokenRow, type UserRow, user } from "./schema.ts";

export async function insertToken(db: Database, row: Omit<TokenRow, "uses" | "last_used_at" | "revoked_at">): Promise<TokenRow> {
  const full = { ...row, uses: 0, last_used_at: null, revoked_at: null };
  await db.insert(apiToken).values(full).onConflictDoNothing();
  return full;
}

/** Enrolment tokens and, for a given user, that user's API tokens; for null everybody's. */
export async function listTokens(db: Database, userId: string | null): Promise<TokenRow[]> {
  return db
    .select()
    .from(apiToken)
    .where(userId === null ? undefined : or(eq(apiToken.kind, "enrolment"), eq(apiToken.user_id, userId)))
    .orderBy(desc(apiToken.created_at))
    .limit(1000);
}

export async function findToken(db: Database, id: string): Promise<TokenRow | undefined> {
  return db.select().from(apiToken).where(eq(apiToken.id, id)).get();
}

export async function revokeToken(db: Database, id: string, now: number): Promise<void> {
  await db.update(apiToken).set({ revoked_at: now }).where(eq(apiToken.id, id));
}

const valid = (now: number) => and(isNull(apiToken.revoked_at), or(isNull(apiToken.expires_at), gt(apiToken.expires_at, now)));

/** A usable enrolment token by the hash of its secret. */
export async function findEnrolment(db: Database, hash: string, now: number): Promise<TokenRow | undefined> {
  return db
    .select()
    .from(apiToken)
    .where(and(eq(apiToken.hash, hash), eq(apiToken.kind, "enrolment"), valid(now)))
    .get();
}

/** Takes one use of an enrolment token in one statement, so that two racing registrations cannot share the last one. */
export async function takeEnrolmentUse(db: Database, id: string, now: number): Promise<boolean> {
  const rows = await db
    .update(apiToken)
    .set({ uses: sql`${apiToken.uses} + 1`, last_used_at: now })
    .where(and(eq(apiToken.id, id), valid(now), or(isNull(apiToken.max_uses), lt(apiToken.uses, apiToken.max_uses))))
    .returning({ taken: apiToken.id });
  return rows.length > 0;
}

/** An API token that is in force, and the user behind it; undefined for one that is disabled or gone. */
export async function findApiToken(
  db: Database,
  hash: string,
  now: number,
): Promise<{ token: TokenRow; owner: UserRow | undefined } | undefined> {
  const token = await db
    .select()
    .from(apiToken)
    .where(and(eq(apiToken.hash, hash), eq(apiToken.kind, "api"), valid(now)))
    .get();
  if (token?.user_id == null) return undefined;
  const owner = await db
    .select()
    .from(user)
    .where(and(eq(user.id, token.user_id), eq(user.disabled, false)))
    .get();
  return { token, owner };
}

/** Remembers the use of an API token to the hour: a write per request would cost more than it tells. */
export async function touchToken(db: Database, token: TokenRow, now: number): Promise<void> {
  if (token.last_used_at !== null && now - token.last_used_at < 3_600_000) return;
  await db.update(apiToken).set({ last_used_at: now }).where(eq(apiToken.id, token.id));
}

export function toToken(row: TokenRow): Token {
  const { hash: _, ...shown } = row;
  return {
    ...shown,
    expires_at: rfc3339OrNull(row.expires_at),
    created_at: rfc3339(row.created_at),
    last_used_at: rfc3339OrNull(row.last_used_at),
    revoked_at: rfc3339OrNull(row.revoked_at),
  };
}
