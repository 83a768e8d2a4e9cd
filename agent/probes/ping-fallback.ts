// What ping answers where it cannot ping: no ICMP figure and no loss, but a TCP round trip under names of its own.
import { metricsOf, type Reason } from "#contract/metrics";
import type { ResultError } from "#contract/result";
import { type PingParams, pingCount } from "#contract/test-types/ping";
import * as statistics from "../statistics.ts";
import { tcpRow } from "./ping-live.ts";
import { type TcpPingRun, tcpPing } from "./ping-tcp.ts";
import { MetricSheet, type Outcome, type RunContext } from "./probe.ts";

const { round3 } = statistics;

/** Why ICMP could not be used. */
export interface Obstacle {
  readonly error: ResultError;
  readonly reason: Extract<Reason, "no_permission" | "tool_missing">;
}

export interface PingTarget {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Sets the figures of the fallback; every ICMP figure is null for the obstacle's reason. */
function fallbackSheet(run: TcpPingRun, target: PingTarget, reason: Reason): MetricSheet {
  const sheet = new MetricSheet();
  const times = run.rtts.filter((rtt) => rtt !== null);
  const sent = run.rtts.length;
  const none: Reason = run.obstacle?.reason ?? "timeout";
  const rounded = (value: number | undefined) => (value === undefined ? undefined : round3(value));
  sheet.set("ping_method", "tcp", reason);
  sheet.set("ping_family", target.family, reason);
  sheet.set("tcp_ping_port", run.port, none);
  sheet.set("tcp_ping_sent", sent === 0 ? undefined : sent, none);
  sheet.set("tcp_ping_received", sent === 0 ? undefined : times.length, none);
  sheet.set("tcp_ping_loss_pct", sent === 0 ? undefined : round3((100 * (sent - times.length)) / sent), none);
  sheet.set("tcp_ping_min", times.length === 0 ? undefined : round3(Math.min(...times)), none);
  sheet.set("tcp_ping_median", rounded(statistics.median(times)), none);
  const enough = times.length >= statistics.PERCENTILE_MIN.p95;
  sheet.set(
    "tcp_ping_p95",
    enough ? rounded(statistics.percentile(times, 95)) : undefined,
    times.length === 0 ? none : "too_few_samples",
  );
  sheet.set("tcp_ping_max", times.length === 0 ? undefined : round3(Math.max(...times)), none);
  sheet.fill(metricsOf("ping"), reason);
  return sheet;
}

/** Measures by TCP what ICMP could not; the result still says why, so that nobody takes it for a ping. */
export async function pingByTcp(
  obstacle: Obstacle,
  target: PingTarget,
  params: PingParams,
  context: RunContext,
  detail: Record<string, unknown>,
): Promise<Outcome> {
  const { interval, timeout } = params;
  context.measuring();
  const run = await tcpPing({
    ...target,
    interval,
    timeout,
    count: pingCount(params),
    signal: context.budget.signal,
    onAnswer: (index, rtt, port) => context.show(tcpRow(index, rtt, port)),
  });
  const answered = run.rtts.some((rtt) => rtt !== null);
  const sheet = fallbackSheet(run, target, obstacle.reason);
  const told = answered
    ? `measured by TCP to port ${run.port} in its place`
    : run.rtts.length === 0 && run.obstacle !== null
      ? `nor could TCP be tried in its place: ${run.obstacle.error.message}`
      : `nor did TCP port ${run.port ?? "443 or 80"} answer in its place`;
  return {
    address: target.address,
    status: answered ? "partial" : "failed",
    error: context.budget.stopped
      ? { code: "aborted", source: "agent", message: "the run was stopped before its end" }
      : { ...obstacle.error, message: `${obstacle.error.message}; ${told}`.slice(0, 1000) },
    metrics: sheet.metrics,
    reasons: sheet.reasons,
    detail: {
      ...detail,
      tcp_rtts: run.rtts.map((rtt) => (rtt === null ? null : round3(rtt))),
      ...(run.untried > 0 ? { tcp_untried: { count: run.untried, why: run.obstacle?.error.message } } : {}),
    },
    flags: ["tcp_fallback"],
  };
}
