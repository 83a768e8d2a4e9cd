// Pings of several traffic classes at the same time, their requests in turn, so that all meet the same network.
import { performance } from "node:perf_hooks";
import { runTool } from "../exec.ts";
import { waitUntil } from "../wait.ts";
import { pingAdapter } from "./ping.ts";
import { readPing, withoutUndecided } from "./ping-metrics.ts";
import { type Failure, failureOf, TOOL_MISSING } from "./ping-outcome.ts";
import type { PingAdapter, PingRequest, PingTool } from "./ping-tool.ts";
import type { ClassReading } from "./qos-classes.ts";

const PACKET_SIZE = 64;
/** Beyond what a ping must take, ms. */
const SLACK_MS = 500;

/** In validated numbers. Seconds. */
export interface ClassOrder {
  /** A literal for which net.isIP() is not 0. */
  readonly address: string;
  readonly family: 4 | 6;
  /** DSCPs. */
  readonly classes: readonly number[];
  readonly count: number;
  readonly interval: number;
  readonly timeout: number;
}

export interface ClassReadings {
  readonly tool: string | null;
  readonly readings: readonly ClassReading[];
  /** Why a class could not be measured; null when all were. */
  readonly failure: Failure | null;
}

async function pingClass(
  adapter: PingAdapter,
  tool: PingTool,
  request: PingRequest & { dscp: number; family: 4 | 6 },
  signal: AbortSignal,
): Promise<ClassReading | Failure> {
  const command = adapter.command(tool, request);
  if ("unsupported" in command) {
    return { error: { code: "unsupported", source: "tool", message: command.unsupported }, reason: "unsupported" };
  }
  const start = performance.now();
  const timeout_ms = ((request.count - 1) * request.interval + request.timeout) * 1000 + SLACK_MS;
  const run = await runTool({ ...command, timeout_ms, signal });
  const whole = readPing(adapter.parse(run, tool), request, request.count, performance.now() - start);
  const reading = whole !== undefined && (run.aborted || run.timedOut) ? withoutUndecided(whole, request) : whole;
  if (reading === undefined || reading.sent === 0) return failureOf(tool, run, request.address);
  return { dscp: request.dscp, reading };
}

/** Pings every class, started one after the other within one interval. */
export async function pingClasses(order: ClassOrder, signal: AbortSignal): Promise<ClassReadings> {
  const adapter = pingAdapter();
  const tool = await adapter.find();
  if (tool === undefined) return { tool: null, readings: [], failure: TOOL_MISSING };
  const { address, family, count, interval, timeout, classes } = order;
  const start = performance.now();
  const runs = await Promise.all(
    classes.map(async (dscp, i) => {
      await waitUntil(start + (i * interval * 1000) / classes.length, signal);
      return pingClass(adapter, tool, { address, family, count, interval, timeout, packet_size: PACKET_SIZE, dscp }, signal);
    }),
  );
  const failure = runs.find((each) => "error" in each);
  return { tool: tool.version, readings: runs.filter((each) => "reading" in each), failure: failure ?? null };
}
