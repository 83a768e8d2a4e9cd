// The phases of one web request, as the newest run measured them.
import { z } from "zod";
import type { Result } from "#contract/result";
import { PHASE_NAMES, type PhaseName } from "../phases.ts";
import { listOf, numberOrNull, textOrNull } from "./read.ts";

export const PHASE_METRIC: Record<PhaseName, string> = {
  redirects: "http_redirects_ms",
  dns: "http_dns_ms",
  tcp: "http_tcp_ms",
  tls: "http_tls_ms",
  wait: "http_ttfb_ms",
  download: "http_download_ms",
};

export interface Phase {
  readonly name: PhaseName;
  readonly metric: string;
  /** Null where it was not measured or did not happen. */
  readonly ms: number | null;
  /** Percent of what was measured, before it and itself. */
  readonly start: number;
  readonly share: number;
}

/** Phases in their order; a run without redirects has no phase for them. */
export function phasesOf({ metrics }: Pick<Result, "metrics">): Phase[] {
  const measured = PHASE_NAMES.map((name) => {
    const value = metrics[PHASE_METRIC[name]];
    return { name, metric: PHASE_METRIC[name], ms: typeof value === "number" && value >= 0 ? value : null };
  }).filter(({ name, ms }) => name !== "redirects" || (ms ?? 0) > 0);
  const total = measured.reduce((sum, { ms }) => sum + (ms ?? 0), 0);
  let start = 0;
  return measured.map((phase) => {
    const share = total > 0 ? ((phase.ms ?? 0) / total) * 100 : 0;
    start += share;
    return { ...phase, start: start - share, share };
  });
}

const redirectSchema = z.object({ url: textOrNull, status: numberOrNull, total_ms: numberOrNull });
export type Redirect = z.output<typeof redirectSchema>;

export const redirectsOf = ({ detail }: Pick<Result, "detail">): Redirect[] => listOf(detail.redirects, redirectSchema, 20);
