// Ping: one run of the system's own ping, which has the kernel's time stamps; TCP handshakes where it may not run.
import { isIP } from "node:net";
import { performance } from "node:perf_hooks";
import { checkHost } from "#contract/destination";
import { type PingParams, pingCount } from "#contract/test-types/ping";
import { runTool, type ToolControl, type ToolRun } from "../exec.ts";
import { type Resolution, resolveHost } from "../resolve.ts";
import { pingLinux } from "./ping-linux.ts";
import { liveReader, PingLive } from "./ping-live.ts";
import { pingMacos } from "./ping-macos.ts";
import { readPing, withoutUndecided } from "./ping-metrics.ts";
import { type Failure, failed, failureOf, outcome, TOOL_MISSING } from "./ping-outcome.ts";
import type { PingAdapter, PingRequest, PingTool } from "./ping-tool.ts";
import { pingView } from "./ping-view.ts";
import { pingWindows } from "./ping-windows.ts";
import type { Outcome, Probe, RunContext } from "./probe.ts";

/** Over the time a run must take before the tool is asked for its summary: its start, and timers that fire late. Milliseconds. */
const SLACK_MS = { share: 0.06, least: 200, most: 1000 } as const;
/** PowerShell needs this long to start. */
const WINDOWS_START_MS = 4000;
/** Statistics asked for in one run: they share a stream of limited size with complaints. */
const SNAPSHOTS_MAX = 500;
/** Worth of the last digit from which on it pays to ask for better ones, ms: below 100 ms the tool's rounding is small. */
const COARSE_MS = 1;
/** Replies whose lines a pipe holds while nobody reads them, with room to spare. */
const UNREAD_MAX = 300;

export function pingAdapter(platform: NodeJS.Platform = process.platform): PingAdapter {
  if (platform === "win32") return pingWindows;
  return platform === "linux" || platform === "android" ? pingLinux : pingMacos;
}

type Target = Extract<Resolution, { ok: true }>;

async function run(destination: string, params: PingParams, context: RunContext): Promise<Outcome> {
  const host = checkHost(destination);
  if (!host.ok) {
    const error = { code: "invalid_instruction", source: "agent", message: `destination ${host.message}` } as const;
    return failed({ error, reason: "not_applicable" }, null);
  }
  const adapter = pingAdapter();
  const tool = await adapter.find();
  const found = await resolveHost(host.host, params.ip_version, context.budget.signal);
  const detail = { tool: tool?.version ?? null, resolve_ms: found.resolve_ms };
  if (context.budget.stopped) return failed(ABORTED, null, detail);
  if (!found.ok) {
    const unresolved: Failure = { error: { code: found.code, source: "resolver", message: found.message }, reason: "dns_fail" };
    return failed(tool === undefined ? TOOL_MISSING : unresolved, null, detail);
  }
  if (isIP(found.address) === 0) {
    const error = { code: "internal", source: "agent", message: "the resolver gave no address literal" } as const;
    return failed({ error, reason: "dns_fail" }, null, detail);
  }
  const told = { ...detail, resolved_by: found.via };
  if (tool === undefined) return withoutIcmp(TOOL_MISSING, found, params, context, told);
  return measure(adapter, tool, found, params, context, told);
}

const ABORTED: Failure = {
  error: { code: "aborted", source: "agent", message: "the run was stopped before its end" },
  reason: "timeout",
};

/** The TCP fallback where that is the way out, else the failure itself. */
async function withoutIcmp(
  failure: Failure,
  target: Target,
  params: PingParams,
  context: RunContext,
  detail: Record<string, unknown>,
): Promise<Outcome> {
  const { reason, error } = failure;
  if (reason !== "tool_missing" && reason !== "no_permission") return failed(failure, target.address, detail);
  const { pingByTcp } = await import("./ping-fallback.ts");
  return pingByTcp({ error, reason }, target, params, context, detail);
}

interface Execution {
  readonly run: ToolRun;
  readonly took_ms: number;
  readonly live: PingLive | undefined;
}

/** Whether nothing more can come: the last request is answered and every other one too, or its time-out is over by then. */
function isSettled(answered: ReadonlySet<number>, { count, interval, timeout }: PingRequest): boolean {
  if (!answered.has(count - 1)) return false;
  const waiting = Math.ceil(timeout / interval);
  for (let index = Math.max(0, count - waiting); index < count; index++) if (!answered.has(index)) return false;
  return true;
}

/**
 * Reads the tool's lines as they come: shows them to whoever watches, asks for exact statistics where it prints coarse times,
 * and ends it when it only waits for requests whose time-out is over. Where none of that is to be done before the last request,
 * the lines wait until then: waking up for each would be most of what a ping costs.
 */
function lineReader(adapter: PingAdapter, tool: PingTool, request: PingRequest, live: PingLive | undefined) {
  const ask = adapter.snapshotSignal?.(tool);
  const see = liveReader(live);
  const answered = new Set<number>();
  let asked = 0;
  return (line: string, { signal, rest }: ToolControl): void => {
    const event = see(line);
    if (event?.type !== "reply" || event.reply.damaged) return;
    answered.add(event.reply.index);
    if (answered.size < request.count && isSettled(answered, request)) {
      signal("SIGINT");
      return;
    }
    if (ask === undefined || (event.reply.step ?? 0) < COARSE_MS) {
      if (live === undefined && request.count <= UNREAD_MAX) {
        rest((request.count - 1 - event.reply.index) * request.interval * 1000);
      }
      return;
    }
    asked += 1;
    if (asked <= SNAPSHOTS_MAX) signal(ask);
  };
}

/** Runs the tool for as long as the run may take. */
async function execute(
  adapter: PingAdapter,
  tool: PingTool,
  command: { file: string; args: readonly string[] },
  request: PingRequest,
  { budget, watched, show }: RunContext,
): Promise<Execution> {
  const busy = ((request.count - 1) * request.interval + request.timeout) * 1000;
  const slack = Math.min(SLACK_MS.most, Math.max(SLACK_MS.least, busy * SLACK_MS.share));
  const timeout_ms = busy + slack + (tool.dialect === "windows" ? WINDOWS_START_MS : 0);
  const live = watched ? new PingLive(show, request) : undefined;
  const start = performance.now();
  const onLine = lineReader(adapter, tool, request, live);
  const run = await runTool({ ...command, timeout_ms, signal: budget.signal, onLine });
  return { run, took_ms: performance.now() - start, live };
}

async function measure(
  adapter: PingAdapter,
  tool: PingTool,
  target: Target,
  params: PingParams,
  context: RunContext,
  detail: Record<string, unknown>,
): Promise<Outcome> {
  const { address, family } = target;
  const count = pingCount(params);
  const request: PingRequest = { ...params, address, count };
  const command = adapter.command(tool, request);
  if ("unsupported" in command) {
    const error = { code: "unsupported", source: "tool", message: command.unsupported } as const;
    return failed({ error, reason: "unsupported" }, address, detail);
  }
  const { run: execution, took_ms, live } = await execute(adapter, tool, command, request, context);
  const { stopped } = context.budget;
  const output = adapter.parse(execution, tool);
  const conditions = { packet_size: params.packet_size, timeout: params.timeout, dscp: params.dscp, family };
  const whole = readPing(output, conditions, count, took_ms);
  const reading = whole !== undefined && execution.aborted ? withoutUndecided(whole, params) : whole;
  if (stopped && (reading === undefined || reading.sent === 0)) return failed(ABORTED, address, detail);
  if (reading === undefined) return withoutIcmp(failureOf(tool, execution, address), target, params, context, detail);
  live?.end(reading.answered);
  const tail_ms = took_ms - (reading.sent - 1) * params.interval * 1000;
  const cut = execution.aborted || execution.timedOut;
  const told = outcome(reading, { conditions, address, detail, count, cut, tail_ms });
  // Somebody who interrupts a ping wants to know what it saw until then.
  return stopped ? { ...told, status: told.status === "ok" ? "partial" : told.status, error: ABORTED.error } : told;
}

/** ICMP echo round trips (RFC 792, RFC 4443; metrics as RFC 2681, 6673, 3393, 5481, 3550). */
export const ping: Probe<"ping"> = {
  plan: (params, interval_s) => ({ ...params, count: pingCount(params, interval_s) }),
  places: () => ({ tools: 1 }),
  run,
  view: pingView,
};
