// D1 as drizzle sees it. migrations/ is the truth; this mirrors it. Times are epoch milliseconds.
import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { ClientStatus, Role, Selector } from "#contract/api";
import type { ConsentReport } from "#contract/consent";
import type { EventKind, Evidence, Verdict } from "#contract/events";
import type { Capabilities, Platform, Schedule, Tags } from "#contract/wire";

export interface EdgeView {
  ip: string | null;
  colo: string | null;
  asn: number | null;
  country: string | null;
}

export const client = sqliteTable("client", {
  id: text().primaryKey(),
  name: text().notNull(),
  site: text().notNull().default(""),
  tags: text({ mode: "json" }).$type<Tags>().notNull(),
  status: text().$type<ClientStatus>().notNull(),
  status_reason: text().notNull(),
  status_since: integer().notNull(),
  last_seen_at: integer(),
  version: text().notNull(),
  platform: text({ mode: "json" }).$type<Platform>().notNull(),
  capabilities: text({ mode: "json" }).$type<Capabilities>().notNull(),
  /** What its host's owner allows; null without a consent file. */
  consent: text({ mode: "json" }).$type<ConsentReport>(),
  edge: text({ mode: "json" }).$type<EdgeView>(),
  install_id: text().notNull(),
  token_epoch: integer().notNull(),
  created_at: integer().notNull(),
});
export type ClientRow = typeof client.$inferSelect;

export const test = sqliteTable("test", {
  id: text().primaryKey(),
  name: text().notNull(),
  type: text().notNull(),
  destination: text().notNull(),
  interval_s: integer().notNull(),
  params: text({ mode: "json" }).$type<Record<string, unknown>>().notNull(),
  schedule: text({ mode: "json" }).$type<Schedule>(),
  enabled: integer({ mode: "boolean" }).notNull(),
  selector: text({ mode: "json" }).$type<Selector>(),
  thresholds: text({ mode: "json" }).$type<Record<string, number>>().notNull(),
  created_at: integer().notNull(),
  updated_at: integer().notNull(),
});
export type TestRow = typeof test.$inferSelect;

export const testClient = sqliteTable("test_client", { test_id: text().notNull(), client_id: text().notNull() }, (table) => [
  primaryKey({ columns: [table.test_id, table.client_id] }),
]);

/** Where a client answers the others: IP literals, the best one first, and the port of its reflector where it has one. */
export const reflector = sqliteTable("reflector", {
  client_id: text().primaryKey(),
  addresses: text({ mode: "json" }).$type<string[]>().notNull(),
  port: integer(),
  at: integer().notNull(),
});
export type ReflectorRow = typeof reflector.$inferSelect;

export const user = sqliteTable("user", {
  id: text().primaryKey(),
  username: text().notNull(),
  password_hash: text().notNull(),
  role: text().$type<Role>().notNull(),
  sites: text({ mode: "json" }).$type<string[]>(),
  disabled: integer({ mode: "boolean" }).notNull(),
  created_at: integer().notNull(),
  last_login_at: integer(),
});
export type UserRow = typeof user.$inferSelect;

export const session = sqliteTable("session", {
  id: text().primaryKey(),
  user_id: text().notNull(),
  created_at: integer().notNull(),
  expires_at: integer().notNull(),
});

export const apiToken = sqliteTable("api_token", {
  id: text().primaryKey(),
  kind: text().$type<"enrolment" | "api">().notNull(),
  name: text().notNull(),
  hash: text().notNull(),
  user_id: text(),
  expires_at: integer(),
  max_uses: integer(),
  uses: integer().notNull().default(0),
  site: text(),
  tags: text({ mode: "json" }).$type<Tags>().notNull(),
  scopes: text({ mode: "json" }).$type<string[]>().notNull(),
  created_at: integer().notNull(),
  last_used_at: integer(),
  revoked_at: integer(),
});
export type TokenRow = typeof apiToken.$inferSelect;

export const systemConfig = sqliteTable("system_config", {
  key: text().primaryKey(),
  value: text({ mode: "json" }).$type<unknown>().notNull(),
  updated_at: integer().notNull(),
  updated_by: text(),
});

export const auditLog = sqliteTable("audit_log", {
  id: integer().primaryKey(),
  at: integer().notNull(),
  actor: text().notNull(),
  action: text().notNull(),
  target: text().notNull(),
  detail: text({ mode: "json" }).$type<Record<string, unknown>>().notNull(),
  ip: text(),
});

export const event = sqliteTable("event", {
  id: text().primaryKey(),
  client_id: text().notNull(),
  test_id: text().notNull(),
  peer_id: text(),
  kind: text().$type<EventKind>().notNull(),
  opened_at: integer().notNull(),
  completed_at: integer(),
  closed_at: integer(),
  verdict: text().$type<Verdict>(),
  summary: text().notNull(),
  evidence: text({ mode: "json" }).$type<Evidence>().notNull(),
});
export type EventRow = typeof event.$inferSelect;
