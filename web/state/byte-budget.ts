// What a throughput test may take from people's lines, told before it is made.
import { z } from "zod";
import { isTestTypeName, testType } from "#contract/test-types/index";
import { bytesText } from "../byte-units.ts";
import { intervalText } from "../time.ts";
import { plural } from "../verdict.ts";

const MONTH_S = 30 * 86_400;
/** More often, a test that fills the line is in the way of those who use it. */
const OFTEN_S = 3600;

const budgetSchema = z.object({ max_bytes: z.number(), month_bytes: z.number() });

export interface BudgetNote {
  readonly text: string;
  readonly warning: string | null;
}

/**
 * What the runs of a month may use; null for a type without a byte budget, and while its parameters are wrong. `clients` is
 * null where it is not known yet how many will run it.
 */
export function budgetNote(
  type: string,
  params: Record<string, unknown>,
  interval_s: number,
  clients: number | null,
): BudgetNote | null {
  if (!isTestTypeName(type) || !(interval_s > 0)) return null;
  const parsed = budgetSchema.safeParse(testType(type).params.safeParse(params).data);
  if (!parsed.success) return null;
  const { max_bytes, month_bytes } = parsed.data;
  const runs = Math.floor(MONTH_S / interval_s);
  const wanted = runs * max_bytes;
  const each = Math.min(wanted, month_bytes);
  const all = clients === null || clients < 2 ? "" : `, ${bytesText(each * clients)} for all ${clients}`;
  const text = `A run every ${intervalText(interval_s)} is ${plural(runs, "run")} a month of at most ${bytesText(max_bytes)}: at most ${bytesText(each)} a month for each client${all}. A steady line ends a run early and uses much less.`;
  return { text, warning: warningOf({ runs, max_bytes, month_bytes, interval_s }) };
}

interface Plan {
  readonly runs: number;
  readonly max_bytes: number;
  readonly month_bytes: number;
  readonly interval_s: number;
}

function warningOf({ runs, max_bytes, month_bytes, interval_s }: Plan): string | null {
  const parts = [
    interval_s < OFTEN_S
      ? `Every ${intervalText(interval_s)} the line is filled and its users feel it; an hour or more is usual.`
      : null,
    runs * max_bytes > month_bytes
      ? `If every run used all of its bytes, the month's ${bytesText(month_bytes)} would be used after ${plural(Math.floor(month_bytes / max_bytes), "run")}; the rest of the month would be skipped.`
      : null,
  ].filter((part) => part !== null);
  return parts.length === 0 ? null : parts.join(" ");
}
