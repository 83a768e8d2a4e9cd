// Latency under load: grade and round trips per minute. Pure.
import { mean, percentile } from "../statistics.ts";

/** Limits of the bufferbloat grades: less than so many ms more than idle (DSLReports, "Bufferbloat Grades", faq/17930). */
const GRADES = [
  [5, "A+"],
  [30, "A"],
  [60, "B"],
  [200, "C"],
  [400, "D"],
] as const;

export type Grade = (typeof GRADES)[number][1] | "F";

/**
 * Grade of an increase of the round trip under load, ms. DSLReports averages both directions; here it is given for one
 * increase, and a run is graded by its worse direction: a call suffers from the worse one.
 */
export const gradeOf = (bloat_ms: number): Grade => GRADES.find(([limit]) => bloat_ms < limit)?.[1] ?? "F";

/** Mean of the values up to the 95th percentile (the draft's TM). */
function trimmedMean(values: readonly number[]): number | undefined {
  const most = percentile(values, 95);
  return most === undefined ? undefined : mean(values.filter((value) => value <= most));
}

/** Probes on connections of their own while the line is full, ms. */
export interface ForeignProbes {
  readonly tcp: readonly number[];
  /** Per round trip of the handshake; empty without TLS. */
  readonly tls: readonly number[];
  /** Request to the end of the answer. */
  readonly http: readonly number[];
}

const PROBES_LEAST = 3;

/**
 * Round trips per minute (draft-ietf-ippm-responsiveness-08, "Aggregating the Measurements"): 60000 over the mean of the
 * trimmed means of the parts. It is the draft's foreign responsiveness only: its other half, requests between the data of the
 * load-bearing connections, cannot be had over HTTP/1.1. `parts` names what went in.
 */
export function responsiveness(probes: ForeignProbes): { rpm: number; parts: string[] } | undefined {
  // Without an HTTP round trip it would be another quantity under the same name.
  if (probes.tcp.length < PROBES_LEAST || probes.http.length < PROBES_LEAST) return undefined;
  const all = [
    ["tcp", probes.tcp],
    ["tls", probes.tls],
    ["http", probes.http],
  ] as const;
  const parts = all.filter(([, values]) => values.length >= PROBES_LEAST);
  const middle = mean(parts.flatMap(([, values]) => trimmedMean(values) ?? []));
  if (middle === undefined || middle <= 0) return undefined;
  return { rpm: 60_000 / middle, parts: parts.map(([name]) => name) };
}
