// What a run of ping means: its outcome from what was read, or why nothing can be said.
import type { Reason } from "#contract/metrics";
import type { ErrorSource, ResultError, Status } from "#contract/result";
import { sameAddress } from "../address.ts";
import type { ToolRun } from "../exec.ts";
import { installHint } from "../install-hint.ts";
import { complaintText, pingComplaint } from "../parsers/ping.ts";
import type { IcmpError } from "../parsers/ping-line.ts";
import { type PingConditions, type PingReading, pingMetrics } from "./ping-metrics.ts";
import type { PingTool } from "./ping-tool.ts";
import { type Outcome, unmeasured } from "./probe.ts";

/** Most ICMP senders told. */
const SENDERS = 16;

export interface Failure {
  readonly error: ResultError;
  readonly reason: Reason;
}

export const failed = (failure: Failure, address: string | null, detail: Record<string, unknown> = {}): Outcome =>
  unmeasured("ping", failure.error, failure.reason, { address, detail });

export const TOOL_MISSING: Failure = {
  error: { code: "tool_missing", source: "tool", message: `ping is not installed; ${installHint("ping")}` },
  reason: "tool_missing",
};

/** Why a run's output holds no measurement, from what the tool complained about. Never counted as loss. */
export function failureOf(tool: PingTool, execution: ToolRun, address: string): Failure {
  const complaint = complaintText(execution.stderr);
  const kind = pingComplaint(complaint);
  const { startError } = execution;
  if (startError === "EPERM" || startError === "EACCES") {
    const message = `ping may not start here (${startError}); ${installHint("ping-start")}`;
    return { error: { code: "no_permission", source: "agent", message }, reason: "no_permission" };
  }
  if (kind === "no_permission") {
    const message = `ping may not open a socket here (${complaint}); ${installHint("ping-permission")}`;
    return { error: { code: "no_permission", source: "agent", message }, reason: "no_permission" };
  }
  if (kind === "no_route") {
    const message = `this host has no route to ${address} (${complaint}); check its addresses and default gateway`;
    return { error: { code: "no_route", source: "agent", message }, reason: "no_route" };
  }
  if (startError === "ENOENT") return TOOL_MISSING;
  if (execution.timedOut || execution.aborted) {
    return { error: { code: "deadline", source: "tool", message: "ping did not end in its time" }, reason: "timeout" };
  }
  const code = execution.code === 0 || execution.code === 1 ? "unreadable_output" : "tool_failed";
  const message = `${tool.version} ended with ${startError ?? execution.code ?? "a signal"}${complaint === "" ? "" : `: ${complaint}`}`;
  return { error: { code, source: "tool", message }, reason: "unsupported" };
}

const NO_ROUTE: readonly string[] = ["net_unreachable", "host_unreachable", "other"] satisfies IcmpError[];
const REFUSED: readonly string[] = [
  "port_unreachable",
  "protocol_unreachable",
  "net_prohibited",
  "host_prohibited",
  "filtered",
] satisfies IcmpError[];

/** Why a wholly lost run stayed silent, by the ICMP error that came instead of replies. */
function silenceReason(kind: IcmpError | undefined): Reason {
  if (kind === undefined) return "timeout";
  if (NO_ROUTE.includes(kind)) return "no_route";
  return REFUSED.includes(kind) ? "refused" : "not_applicable";
}

function silenceError(reading: PingReading, address: string): ResultError {
  const [first] = reading.icmp;
  if (first === undefined) {
    return { code: "no_reply", source: "network", message: `none of ${reading.sent} echo requests was answered by ${address}` };
  }
  const { kind, from, mtu } = first;
  // The target itself saying no is the target's doing; anybody else on the way is the network's.
  const source: ErrorSource = sameAddress(from, address) ? "target" : "network";
  const sender = from === null ? "this host" : from;
  const size = mtu === null ? "" : ` (MTU ${mtu})`;
  return { code: "unreachable", source, message: `${sender} answered ${kind.replaceAll("_", " ")}${size} for ${address}` };
}

/** ICMP errors by class, whoever sent them. */
function byKind(reading: PingReading): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind, count } of reading.icmp) counts[kind] = (counts[kind] ?? 0) + count;
  return counts;
}

export interface FinishedRun {
  readonly conditions: PingConditions;
  readonly address: string;
  readonly detail: Record<string, unknown>;
  /** Requests that should have been sent. */
  readonly count: number;
  /** The tool was told to end before it did so by itself. */
  readonly cut: boolean;
  /** How long the last request was waited for, milliseconds. */
  readonly tail_ms: number;
}

/** Share of the time-out a last request may be short of and still count as waited for. */
const TAIL_SLACK = 0.95;

/**
 * Whether the tool gave up on the last requests before their time-out: iputils waits for twice the longest round trip once
 * anything has answered. They count as lost, as every ping counts them, and the result says how long they had.
 */
function tailWait(reading: PingReading, run: FinishedRun): { flags: string[]; detail: Record<string, unknown> } {
  const short = run.tail_ms < run.conditions.timeout * 1000 * TAIL_SLACK;
  if (reading.answered.at(-1) !== false || reading.icmp.length > 0 || !short) return { flags: [], detail: {} };
  return { flags: ["tail_wait_short"], detail: { tail_wait_ms: Math.max(0, Math.round(run.tail_ms)) } };
}

/** The outcome of a run that was read. */
export function outcome(reading: PingReading, run: FinishedRun): Outcome {
  const received = reading.answered.filter((arrived) => arrived).length;
  const silent = received === 0;
  const whole = received === reading.sent && reading.sent === run.count;
  const status: Status = silent ? "failed" : whole ? "ok" : "partial";
  const sheet = pingMetrics(reading, run.conditions, silenceReason(reading.icmp[0]?.kind));
  const tail = tailWait(reading, run);
  const deadline: ResultError = {
    code: "deadline",
    source: "agent",
    message: `only ${reading.sent} of ${run.count} echo requests were sent in the time the run had`,
  };
  return {
    address: run.address,
    status,
    error: run.cut && reading.sent < run.count ? deadline : silent ? silenceError(reading, run.address) : null,
    metrics: sheet.metrics,
    reasons: sheet.reasons,
    detail: {
      ...run.detail,
      rtts: reading.rtts,
      icmp_errors: byKind(reading),
      icmp_senders: reading.icmp.slice(0, SENDERS),
      ttls: Object.fromEntries(reading.ttls.slice(0, SENDERS)),
      resolution_ms: reading.resolution,
      ...tail.detail,
    },
    flags: [...reading.flags, ...tail.flags],
  };
}
