import { eq, inArray } from "drizzle-orm";
import { CADENCE, LIMITS } from "#contract/limits";
import type { Database } from "./database.ts";
import { systemConfig } from "./schema.ts";

export interface Settings {
  upload_s: number;
  raw_retention_days: number;
}

const DEFAULTS: Settings = { upload_s: CADENCE.uploadS, raw_retention_days: LIMITS.rawRetentionDays };
const KEYS = Object.keys(DEFAULTS) as (keyof Settings)[];

export async function readSettings(db: Database): Promise<Settings> {
  const rows = await db.select().from(systemConfig).where(inArray(systemConfig.key, KEYS));
  const settings = { ...DEFAULTS };
  for (const key of KEYS) {
    const value = rows.find((row) => row.key === key)?.value;
    if (typeof value === "number") settings[key] = value;
  }
  return settings;
}

export async function writeSettings(db: Database, change: Partial<Settings>, actor: string, now: number): Promise<void> {
  for (const key of KEYS) {
    const value = change[key];
    if (value === undefined) continue;
    await db
      .insert(systemConfig)
      .values({ key, value, updated_at: now, updated_by: actor })
      .onConflictDoUpdate({ target: systemConfig.key, set: { value, updated_at: now, updated_by: actor } });
  }
}

const FIRST_START = "first_start_at";

/** Whether this database was never seeded from the environment. */
export async function isFirstStart(db: Database): Promise<boolean> {
  const row = await db.select().from(systemConfig).where(eq(systemConfig.key, FIRST_START)).get();
  return row === undefined;
}

export async function noteFirstStart(db: Database, now: number): Promise<void> {
  await db.insert(systemConfig).values({ key: FIRST_START, value: now, updated_at: now }).onConflictDoNothing();
}
