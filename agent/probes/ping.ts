// Ping: one run of the system's own ping, which has the kernel's time stamps.
import { isIP } from "node:net";
import { checkHost } from "#contract/destination";
import type { Reason } from "#contract/metrics";
import type { ErrorSource, ResultError, Status } from "#contract/result";
import { type PingParams, pingCount } from "#contract/test-types/ping";
import { runTool, type ToolRun } from "../exec.ts";
import { installHint } from "../install-hint.ts";
import { type IcmpError, type PingOutput, pingComplaint } from "../parsers/ping.ts";
import { resolveHost } from "../resolve.ts";
import { pingLinux } from "./ping-linux.ts";
import { pingMacos } from "./ping-macos.ts";
import { type PingReading, pingMetrics, readPing } from "./ping-metrics.ts";
import type { PingAdapter, PingTool } from "./ping-tool.ts";
import { pingWindows } from "./ping-windows.ts";
import { type Outcome, type Probe, type RunContext, unmeasured } from "./probe.ts";

/** Grace over the time a run must take, before the tool is asked for its summary, milliseconds. */
const GRACE_MS = 1000;
/** PowerShell needs this long to start. */
const WINDOWS_START_MS = 4000;

export function pingAdapter(platform: NodeJS.Platform = process.platform): PingAdapter {
  if (platform === "win32") return pingWindows;
  return platform === "linux" || platform === "android" ? pingLinux : pingMacos;
}

const failed = (error: ResultError, reason: Reason, address: string | null, detail: Record<string, unknown> = {}): Outcome =>
  unmeasured("ping", error, reason, { address, detail });

async function run(destination: string, params: PingParams, { budget }: RunContext): Promise<Outcome> {
  const { signal } = budget;
  const host = checkHost(destination);
  if (!host.ok) {
    return failed(
      { code: "invalid_instruction", source: "agent", message: `destination ${host.message}` },
      "not_applicable",
      null,
    );
  }
  const adapter = pingAdapter();
  const tool = await adapter.find();
  if (tool === undefined) {
    const message = `ping is not installed; ${installHint("ping")}`;
    return failed({ code: "tool_missing", source: "tool", message }, "tool_missing", null);
  }
  const found = await resolveHost(host.host, params.ip_version, signal);
  const detail = { tool: tool.version, resolve_ms: found.resolve_ms };
  if (!found.ok) return failed({ code: found.code, source: "resolver", message: found.message }, "dns_fail", null, detail);
  if (isIP(found.address) === 0) {
    return failed(
      { code: "internal", source: "agent", message: "the resolver gave no address literal" },
      "dns_fail",
      null,
      detail,
    );
  }
  return measure(adapter, tool, found, params, signal);
}

async function measure(
  adapter: PingAdapter,
  tool: PingTool,
  target: { address: string; family: 4 | 6; via: string; resolve_ms: number },
  params: PingParams,
  signal: AbortSignal,
): Promise<Outcome> {
  const count = pingCount(params);
  const command = adapter.command(tool, { ...params, address: target.address, count });
  const detail = { tool: tool.version, resolve_ms: target.resolve_ms, resolved_by: target.via };
  if ("unsupported" in command) {
    return failed({ code: "unsupported", source: "tool", message: command.unsupported }, "unsupported", target.address, detail);
  }
  const busy = ((count - 1) * params.interval + params.timeout) * 1000;
  const timeout_ms = busy + GRACE_MS + (tool.dialect === "windows" ? WINDOWS_START_MS : 0);
  const execution = await runTool({ ...command, timeout_ms, signal });
  if (signal.aborted) {
    return failed(
      { code: "aborted", source: "agent", message: "the run was stopped before its end" },
      "timeout",
      target.address,
      detail,
    );
  }
  const output = adapter.parse(execution);
  const conditions = { packet_size: params.packet_size, timeout: params.timeout, dscp: params.dscp, family: target.family };
  const reading = readPing(output, conditions, count);
  if (reading === undefined) return unread(tool, execution, target.address, detail);
  return outcome(reading, output, { tool, conditions, address: target.address, detail });
}

/** A run whose output holds no measurement: why, from what the tool complained about. Never counted as loss. */
function unread(tool: PingTool, execution: ToolRun, address: string, detail: Record<string, unknown>): Outcome {
  const complaint = execution.stderr.trim().split("\n").slice(0, 3).join("; ").slice(0, 300);
  const kind = pingComplaint(execution.stderr);
  const barred = execution.startError === "EPERM" || execution.startError === "EACCES";
  if (barred || kind === "no_permission") {
    const message = barred
      ? `ping may not start here (${execution.startError}); ${installHint("ping-start")}`
      : `ping may not open a socket here (${complaint}); ${installHint("ping-permission")}`;
    return failed({ code: "no_permission", source: "agent", message }, "no_permission", address, detail);
  }
  if (kind === "no_route") {
    return failed(
      { code: "no_route", source: "agent", message: `this host has no route to ${address} (${complaint})` },
      "no_route",
      address,
      detail,
    );
  }
  if (execution.startError === "ENOENT") {
    return failed(
      { code: "tool_missing", source: "tool", message: `ping is not installed; ${installHint("ping")}` },
      "tool_missing",
      address,
      detail,
    );
  }
  if (execution.timedOut) {
    return failed({ code: "deadline", source: "tool", message: "ping did not end in its time" }, "timeout", address, detail);
  }
  const code = execution.code === 0 || execution.code === 1 ? "unreadable_output" : "tool_failed";
  const message = `${tool.version} ended with ${execution.startError ?? execution.code ?? "a signal"}${complaint === "" ? "" : `: ${complaint}`}`;
  return failed({ code, source: "tool", message }, "unsupported", address, detail);
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
function silenceReason(kind: string | undefined): Reason {
  if (kind === undefined) return "timeout";
  if (NO_ROUTE.includes(kind)) return "no_route";
  return REFUSED.includes(kind) ? "refused" : "not_applicable";
}

function silenceError(reading: PingReading, output: PingOutput, address: string): ResultError {
  const [kind] = Object.keys(reading.icmpErrors);
  if (kind === undefined) {
    return { code: "no_reply", source: "network", message: `none of ${reading.sent} echo requests was answered by ${address}` };
  }
  const { from, mtu } = output.errors.find((error) => error.kind === kind) ?? { from: null, mtu: null };
  // The target itself saying no is the target's doing; anybody else on the way is the network's.
  const source: ErrorSource = from === address ? "target" : "network";
  const sender = from === null ? "this host" : from;
  const size = mtu === null ? "" : ` (MTU ${mtu})`;
  return { code: "unreachable", source, message: `${sender} answered ${kind.replaceAll("_", " ")}${size} for ${address}` };
}

/** Smallest step of the round trips a tool prints, ms: iputils keeps three digits, Windows whole milliseconds. */
function resolution(tool: PingTool, reading: PingReading): number | null {
  const highest = Math.max(0, ...reading.rtts.filter((rtt) => rtt !== null));
  if (highest === 0 && tool.dialect !== "windows") return null;
  if (tool.dialect === "windows") return 1;
  if (tool.dialect !== "iputils") return 0.001;
  return highest >= 100 ? 1 : highest >= 10 ? 0.1 : highest >= 1 ? 0.01 : 0.001;
}

function outcome(
  reading: PingReading,
  output: PingOutput,
  run: {
    tool: PingTool;
    conditions: { packet_size: number; timeout: number; dscp?: number | undefined; family: 4 | 6 };
    address: string;
    detail: Record<string, unknown>;
  },
): Outcome {
  const received = reading.answered.filter((arrived) => arrived).length;
  const status: Status = received === 0 ? "failed" : received < reading.sent ? "partial" : "ok";
  const sheet = pingMetrics(reading, run.conditions, silenceReason(Object.keys(reading.icmpErrors)[0]));
  return {
    address: run.address,
    status,
    error: received === 0 ? silenceError(reading, output, run.address) : null,
    metrics: sheet.metrics,
    reasons: sheet.reasons,
    detail: {
      ...run.detail,
      rtts: reading.rtts,
      icmp_errors: reading.icmpErrors,
      icmp_from: [...new Set(output.errors.map((error) => error.from).filter((from) => from !== null))].slice(0, 8),
      resolution_ms: resolution(run.tool, reading),
    },
    flags: reading.flags,
  };
}

/** ICMP echo round trips (RFC 792, RFC 4443; metrics as RFC 2681, 6673, 3393, 5481, 3550). */
export const ping: Probe<"ping"> = {
  plan: (params, interval_s) => ({ ...params, count: pingCount(params, interval_s) }),
  places: () => ({ tools: 1 }),
  run,
};
