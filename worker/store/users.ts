import { and, asc, eq, gt, lt, ne } from "drizzle-orm";
import type { SessionUser, User } from "#contract/api";
import { rfc3339, rfc3339OrNull } from "../time.ts";
import { type Database, page } from "./database.ts";
import { session, type UserRow, user } from "./schema.ts";

export async function anyUser(db: Database): Promise<boolean> {
  return (await db.select({ id: user.id }).from(user).limit(1)).length > 0;
}

/** Exact match (SQLite's NOCASE folds ASCII letters only); wildcards mean nothing here. */
export async function findUserByName(db: Database, username: string): Promise<UserRow | undefined> {
  return db.select().from(user).where(eq(user.username, username)).get();
}

export async function findUser(db: Database, id: string): Promise<UserRow | undefined> {
  return db.select().from(user).where(eq(user.id, id)).get();
}

export async function listUsers(db: Database, limit: number, cursor?: string) {
  const rows = await db
    .select()
    .from(user)
    .where(cursor === undefined ? undefined : gt(user.id, cursor))
    .orderBy(asc(user.id))
    .limit(limit + 1);
  return page(rows, limit);
}

/** Undefined when the name is taken, decided by the database so that two at once cannot both have it. */
export async function insertUser(db: Database, row: Omit<UserRow, "last_login_at" | "disabled">): Promise<UserRow | undefined> {
  const full = { ...row, disabled: false, last_login_at: null };
  return db.insert(user).values(full).onConflictDoNothing().returning().get();
}

export async function updateUser(db: Database, id: string, change: Partial<UserRow>): Promise<UserRow | undefined> {
  return db.update(user).set(change).where(eq(user.id, id)).returning().get();
}

export async function deleteUser(db: Database, id: string): Promise<void> {
  await db.batch([db.delete(session).where(eq(session.user_id, id)), db.delete(user).where(eq(user.id, id))]);
}

/** Whether an enabled admin other than this one is left. */
export async function anotherAdmin(db: Database, id: string): Promise<boolean> {
  const rows = await db
    .select({ id: user.id })
    .from(user)
    .where(and(eq(user.role, "admin"), eq(user.disabled, false), ne(user.id, id)))
    .limit(1);
  return rows.length > 0;
}

export async function insertSession(db: Database, id: string, userId: string, now: number, expires: number): Promise<void> {
  await db.batch([
    db.delete(session).where(lt(session.expires_at, now)),
    db.insert(session).values({ id, user_id: userId, created_at: now, expires_at: expires }),
    db.update(user).set({ last_login_at: now }).where(eq(user.id, userId)),
  ]);
}

/** The session's user, or undefined when the session ended, was revoked, or the user is disabled. */
export async function findSessionUser(db: Database, sessionId: string, now: number): Promise<UserRow | undefined> {
  const row = await db
    .select({ user })
    .from(session)
    .innerJoin(user, eq(user.id, session.user_id))
    .where(and(eq(session.id, sessionId), gt(session.expires_at, now), eq(user.disabled, false)))
    .get();
  return row?.user;
}

export async function deleteSession(db: Database, id: string): Promise<void> {
  await db.delete(session).where(eq(session.id, id));
}

export async function deleteSessionsOf(db: Database, userId: string): Promise<void> {
  await db.delete(session).where(eq(session.user_id, userId));
}

export function toSessionUser(row: UserRow): SessionUser {
  return { id: row.id, username: row.username, role: row.role, sites: row.sites };
}

export function toUser(row: UserRow): User {
  return {
    ...toSessionUser(row),
    disabled: row.disabled,
    created_at: rfc3339(row.created_at),
    last_login_at: rfc3339OrNull(row.last_login_at),
  };
}
