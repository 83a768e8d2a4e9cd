// Runs that say nothing about their target: the measuring host did not, could not or was not allowed to measure it.
import { isUnmeasured, type Result, type Status } from "#contract/result";
import type { Tone } from "./health.ts";

export interface NotMeasured {
  readonly code: string;
  /** In a table's cell. */
  readonly word: string;
  /** In a sentence, after "was not measured:". */
  readonly why: string;
  readonly tone: Extract<Tone, "warn" | "none">;
}

type Judged = Pick<Result, "status" | "error">;

const KINDS: ReadonlyMap<string, Omit<NotMeasured, "code">> = new Map([
  ["cut_off", { word: "cut off", why: "the client's own line was cut", tone: "warn" }],
  ["not_consented", { word: "not allowed", why: "not allowed by the host's owner", tone: "none" }],
  ["host_overloaded", { word: "host overloaded", why: "the client had no processor time to spare", tone: "warn" }],
  ["aborted", { word: "ended early", why: "the agent was stopped meanwhile", tone: "none" }],
]);
const OTHERWISE: Omit<NotMeasured, "code"> = { word: "not measured", why: "the client could not measure it", tone: "none" };

/** Why a run was not measured here; null for one that tells something of its target, if only that it is dead. */
export function notMeasured(result: Judged): NotMeasured | null {
  const code = result.error?.code;
  return code !== undefined && isUnmeasured(result) ? { code, ...(KINDS.get(code) ?? OTHERWISE) } : null;
}

/** Whether a run found its target failing. */
export const isFailing = (result: Judged): boolean => result.status === "failed" && notMeasured(result) === null;

const STATUS_TONE: Record<Status, Tone> = { ok: "ok", partial: "warn", failed: "bad" };

/** The tone of a run, whatever it measures. */
export const resultTone = (result: Judged): Tone => notMeasured(result)?.tone ?? STATUS_TONE[result.status];
