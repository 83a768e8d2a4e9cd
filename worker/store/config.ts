import { inArray } from "drizzle-orm";
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
