// From a finished run to its metrics and detail. Pure.
import { createHash } from "node:crypto";
import type { Reason } from "#contract/metrics";
import type { AsnTable } from "../asn.ts";
import { median, PERCENTILE_MIN, percentile, round3 } from "../statistics.ts";
import { HELD_BACK, type Hop, hopTable, looksLimited, lossOf } from "./path-hops.ts";
import { distanceOf, distinctPaths, hasLoop, listedHops } from "./path-merge.ts";
import type { PathRun } from "./path-run.ts";
import { MetricSheet } from "./probe.ts";

export interface PathConditions {
  readonly address: string;
  readonly elapsed_s: number;
  /** Whether each flow keeps to one path with this tool and protocol. */
  readonly steady: boolean;
  readonly table: AsnTable | undefined;
}

/** A finished run, put in order. */
export interface PathReading {
  readonly hops: readonly Hop[];
  readonly distance: number | undefined;
  readonly distinct: readonly (readonly (string | null)[])[];
  readonly loss: TargetLoss;
}

/** Loss at the target in percent, or why there is no saying. */
export interface TargetLoss {
  readonly pct: number | undefined;
  readonly reason: Reason;
  /** Whether the target holds its ICMP errors back. */
  readonly limited: boolean;
}

/**
 * Loss at the target. Where ICMP errors are missing, echo replies tell how much is lost; where those cannot be asked for, nothing is
 * said. Handshakes and echo replies are no ICMP errors: nobody holds them back by habit.
 */
function targetLoss(run: PathRun, elapsed_s: number): TargetLoss {
  if (distanceOf(run.paths) === undefined || run.target.length === 0)
    return { pct: undefined, reason: "timeout", limited: false };
  const pct = lossOf(run.target);
  const answered = run.target.map(({ addr }) => addr !== null);
  if (run.method !== "udp" || pct === 0) return { pct, reason: "not_applicable", limited: false };
  if (run.echo === undefined) return { pct: undefined, reason: "no_permission", limited: looksLimited(answered, elapsed_s) };
  const echo = lossOf(run.echo);
  return { pct: echo, reason: "not_applicable", limited: pct - echo >= HELD_BACK.points };
}

export function readPath(run: PathRun, { elapsed_s }: PathConditions): PathReading {
  const probed = Math.max(0, ...run.probes.map(({ ttl }) => ttl));
  const last = listedHops(run.paths, probed);
  return {
    hops: hopTable(run.probes, last, elapsed_s, run.further),
    distance: distanceOf(run.paths),
    distinct: distinctPaths(run.known.map(({ path }) => path)),
    loss: targetLoss(run, elapsed_s),
  };
}

/** Fingerprint of a set of paths, silent hops as `*`: the same whatever order they are in. */
export function pathHash(paths: readonly (readonly (string | null)[])[]): string {
  const lines = paths.map((path) => path.map((addr) => addr ?? "*").join(" ")).sort();
  return createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, 16);
}

/** Networks in the order the path passes them, each once in a row. Hops the table does not know are passed over. */
function asPath(hops: readonly Hop[], table: AsnTable): number[] {
  const passed = hops.flatMap(({ addrs }) => {
    const asn = addrs[0] === undefined ? undefined : table.find(addrs[0])?.asn;
    return asn === undefined ? [] : [asn];
  });
  return passed.filter((asn, i) => asn !== passed[i - 1]);
}

function setTarget(sheet: MetricSheet, run: PathRun, reading: PathReading): void {
  const rtts = run.target.flatMap(({ rtt, addr }) => (rtt === null || addr === null ? [] : [rtt]));
  sheet.set("path_loss_pct", reading.loss.pct === undefined ? undefined : round3(reading.loss.pct), reading.loss.reason);
  const rounded = (value: number | undefined) => (value === undefined ? undefined : round3(value));
  const late = rtts.length >= PERCENTILE_MIN.p95 ? rounded(percentile(rtts, 95)) : undefined;
  sheet.set("path_rtt_min", rtts.length === 0 ? undefined : round3(Math.min(...rtts)), "timeout");
  sheet.set("path_rtt_median", rounded(median(rtts)), "timeout");
  sheet.set("path_rtt_p95", late, rtts.length === 0 ? "timeout" : "too_few_samples");
}

export function pathMetrics(run: PathRun, reading: PathReading, conditions: PathConditions): MetricSheet {
  const { hops, distance, distinct } = reading;
  const sheet = new MetricSheet();
  sheet.set("path_hop_count", distance, "timeout");
  sheet.set("path_reached", distance !== undefined, "timeout");
  const changed = conditions.steady && run.compared ? run.changes.length > 0 : undefined;
  sheet.set("path_changed", changed, conditions.steady ? "too_few_samples" : "unsupported");
  const width = Math.max(0, ...hops.map(({ addrs }) => addrs.length));
  // One flow has one way: whether there are others, it cannot tell.
  const alone = run.paths.length < 2 && width === 1;
  sheet.set("path_ecmp_width", width === 0 || alone ? undefined : width, width === 0 ? "timeout" : "too_few_samples");
  sheet.set("path_flows", conditions.steady && width > 0 ? distinct.length : undefined, width > 0 ? "unsupported" : "timeout");
  sheet.set("path_hash", width === 0 ? undefined : pathHash(distinct), "timeout");
  sheet.set(
    "path_loop_detected",
    width === 0 ? undefined : run.paths.some(({ path }) => hasLoop(path, conditions.address)),
    "timeout",
  );
  sheet.set("path_first_silent_ttl", hops.find(({ addrs }) => addrs.length === 0)?.ttl, "not_applicable");
  setTarget(sheet, run, reading);
  sheet.set("path_rtt_gateway_ms", hops[0]?.rtt_median ?? undefined, "timeout");
  const passed = conditions.table === undefined ? undefined : asPath(hops, conditions.table);
  const text = passed?.map((asn) => `AS${asn}`).join(" ");
  sheet.set("path_asn", text === "" ? undefined : text?.slice(0, 500), "not_applicable");
  sheet.set("path_asn_count", passed === undefined ? undefined : new Set(passed).size, "not_applicable");
  sheet.set("path_method", run.method, "not_applicable");
  return sheet;
}
