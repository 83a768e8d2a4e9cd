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

export interface BudgetPlan {
  readonly type: string;
  readonly params: Record<string, unknown>;
  readonly interval_s: number;
  /** Null where it is not known yet how many will run it. */
  readonly clients: number | null;
  /** Each client measures every other one. */
  readonly mesh: boolean;
}

export interface BudgetNote {
  readonly text: string;
  readonly warning: string | null;
}

/** What the runs of a month may use; null for a type without a byte budget, and while its parameters are wrong. */
export function budgetNote({ type, params, interval_s, clients, mesh }: BudgetPlan): BudgetNote | null {
  if (!isTestTypeName(type) || !(interval_s > 0)) return null;
  const parsed = budgetSchema.safeParse(testType(type).params.safeParse(params).data);
  if (!parsed.success) return null;
  const { max_bytes, month_bytes } = parsed.data;
  const peers = mesh ? Math.max(1, (clients ?? 2) - 1) : 1;
  const runs = Math.floor(MONTH_S / interval_s) * peers;
  const each = Math.min(runs * max_bytes, month_bytes);
  const all = clients === null || clients < 2 ? "" : `, ${bytesText(each * clients)} for all ${clients}`;
  const parts = [
    `A run every ${intervalText(interval_s)}${peers > 1 ? ` to each of ${peers} others` : ""} is ${plural(runs, "run")} a month of at most ${bytesText(max_bytes)}: at most ${bytesText(each)} a month for each client${all}.`,
    runs * max_bytes > month_bytes
      ? `Its month's budget holds ${plural(Math.floor(month_bytes / max_bytes), "run")} that use all of their bytes; what is beyond it is skipped.`
      : null,
    "A steady line ends a run early and uses much less.",
  ];
  const often = `Every ${intervalText(interval_s)} the line is filled and its users feel it; an hour or more is usual.`;
  return { text: parts.filter((part) => part !== null).join(" "), warning: interval_s < OFTEN_S ? often : null };
}
