// Bandwidth: what the line carries each way, with many connections and with one, and what that does to its latency.

import { isIP } from "node:net";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { ResultError, Status } from "#contract/result";
import type { BandwidthParams } from "#contract/test-types/bandwidth";
import { Allowance } from "../bandwidth/allowance.ts";
import { TrafficWatch } from "../bandwidth/busy.ts";
import { type Idle, measureIdle } from "../bandwidth/idle.ts";
import { type Entry, hostLedger } from "../bandwidth/ledger.ts";
import { Phase } from "../bandwidth/phase.ts";
import type { PhaseReport } from "../bandwidth/phase-report.ts";
import { type SpeedTarget, speedTarget } from "../bandwidth/target.ts";
import type { WirePeer } from "../bandwidth/wire.ts";
import { hostClock } from "../host-clock.ts";
import { resolveHost } from "../resolve.ts";
import { type BandwidthReading, bandwidthDetail, bandwidthMetrics } from "./bandwidth-metrics.ts";
import { bandwidthView, idleRow, mbps, phaseNote, phaseRow } from "./bandwidth-rows.ts";
import { connectFailure, type Failure, STOPPED } from "./endpoint.ts";
import { type Outcome, type Probe, type RunContext, unmeasured } from "./probe.ts";
import { KernelReader } from "./tcp-kernel.ts";

/** A run with less than this could tell nothing. */
const BYTES_LEAST = 1_000_000;
/** Kept at the end of the run for its answer, ms. */
const RESERVE_MS = 300;
const LOOP_RESOLUTION_MS = 10;
/** Loaded round trips whose longest stands for those of the next phase. */
const SAMPLES = 10;

interface PhasePlan {
  readonly direction: "down" | "up";
  readonly streams: number;
}

/** Phases in their order: each direction with many connections, then with one. */
function phasesOf({ direction, streams, single }: BandwidthParams, target: SpeedTarget): PhasePlan[] {
  const wanted = (["down", "up"] as const).filter((each) => direction === "both" || direction === each);
  const counts = single && streams > 1 ? [streams, 1] : [streams];
  return wanted
    .filter((each) => each === "down" || target.up !== undefined)
    .flatMap((each) => counts.map((count) => ({ direction: each, streams: count })));
}

const agentFailure = (code: ResultError["code"], message: string): Failure => ({
  error: { code, source: "agent", message },
  reason: "not_applicable",
});

const mega = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** The run's entry in the month's ledger; undefined where this host keeps none. */
function enterMonth({ month_bytes, max_bytes }: BandwidthParams): Entry | Failure | undefined {
  try {
    const ledger = hostLedger();
    if (ledger === undefined) return undefined;
    const now = hostClock.now();
    const entry = ledger.enter(now, { month_bytes, most: max_bytes, least: BYTES_LEAST });
    if (entry !== undefined) return entry;
    const message = `bandwidth runs of this agent have used ${mega(ledger.used(now))} of the month's ${mega(month_bytes)}; the next run is due in the next month, or with a larger month_bytes`;
    return agentFailure("over_budget", message);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return agentFailure("internal", `nothing was sent, since the month's bytes cannot be accounted for: ${why}`);
  }
}

async function run(destination: string, params: BandwidthParams, context: RunContext): Promise<Outcome> {
  const target = speedTarget(destination, params.port, context);
  if ("error" in target) return unmeasured("bandwidth", target.error, target.reason);
  const found = await resolveHost(target.url.host, params.ip_version, context.budget.signal);
  if (context.budget.stopped) return unmeasured("bandwidth", STOPPED.error, STOPPED.reason);
  if (!found.ok || isIP(found.address) === 0) {
    const { code, message } = found.ok ? { code: "internal" as const, message: "the resolver gave no address literal" } : found;
    return unmeasured("bandwidth", { code, source: "resolver", message }, "dns_fail");
  }
  const { host, port, scheme } = target.url;
  const peer = { address: found.address, family: found.family, port, tls: scheme === "https" ? { host } : undefined };
  const entry = enterMonth(params);
  if (entry !== undefined && "error" in entry)
    return unmeasured("bandwidth", entry.error, entry.reason, { address: peer.address });
  const bytes = new Allowance(entry?.granted ?? params.max_bytes);
  // Should it throw, the entry stays in full: the month then says more than was used, never less.
  const reading = await measure({ target, peer, bytes, params, context });
  return report(reading, settle(entry, bytes.used));
}

/** What is left of the month; undefined where no ledger is kept, or where it cannot be written and keeps the entry in full. */
function settle(entry: Entry | undefined, used: number): number | undefined {
  try {
    return entry?.settle(used);
  } catch {
    return undefined;
  }
}

interface Measuring {
  readonly target: SpeedTarget;
  readonly peer: WirePeer;
  readonly bytes: Allowance;
  readonly params: BandwidthParams;
  readonly context: RunContext;
}

async function measure({ target, peer, bytes, params, context }: Measuring): Promise<BandwidthReading> {
  const { budget } = context;
  const kernel = new KernelReader(budget.signal);
  const timeout_ms = params.timeout * 1000;
  context.progress(0, "idle round trip");
  const idle = await measureIdle({ peer, bytes, kernel, timeout_ms, signal: budget.signal });
  const blocked = obstacle(idle, peer, params, context);
  context.show(idleRow(idle));
  const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  loop.enable();
  const began = performance.now();
  const phases = blocked === undefined ? await measurePhases({ target, peer, bytes, params, context, idle }, kernel) : [];
  loop.disable();
  return {
    params,
    peer,
    idle,
    phases,
    planned: phasesOf(params, target),
    bytes: bytes.used,
    granted: bytes.total,
    took_ms: performance.now() - began,
    loop_p99_ms: phases.length === 0 ? undefined : Math.max(0, loop.percentile(99) / 1e6 - LOOP_RESOLUTION_MS),
    kernel_missing: kernel.missing,
    stopped: budget.stopped,
    late: !budget.stopped && phases.at(-1)?.ended === "stopped",
    failure: blocked ?? phases.find(({ trouble }) => trouble !== undefined)?.trouble,
  };
}

/** Why the line is not to be filled now: it cannot be reached, or others use it. */
function obstacle(idle: Idle, peer: WirePeer, { skip_above_mbps }: BandwidthParams, { budget }: RunContext): Failure | undefined {
  if (budget.stopped) return STOPPED;
  if (idle.failed !== undefined) return connectFailure(idle.failed, peer);
  const { traffic } = idle;
  if (traffic === undefined || skip_above_mbps === 0) return undefined;
  if (Math.max(traffic.down_mbps, traffic.up_mbps) <= skip_above_mbps) return undefined;
  const rates = `${traffic.down_mbps.toFixed(1)} Mbit/s in and ${traffic.up_mbps.toFixed(1)} Mbit/s out`;
  return agentFailure(
    "skipped",
    `${traffic.interface} is busy: it carries ${rates}, more than skip_above_mbps ${skip_above_mbps}`,
  );
}

/** Troubles with which the other direction is not worth trying. */
const FINAL: readonly ResultError["code"][] = [
  "skipped",
  "aborted",
  "no_reply",
  "refused",
  "unreachable",
  "certificate",
  "tls_failed",
];

async function measurePhases(measuring: Measuring & { readonly idle: Idle }, kernel: KernelReader): Promise<PhaseReport[]> {
  const { target, peer, bytes, params, context } = measuring;
  const plan = phasesOf(params, target);
  const reports: PhaseReport[] = [];
  const dead = new Set<string>();
  let rtt_ms = measuring.idle.rtt_ms ?? 0;
  const lan = measuring.idle.traffic?.interface;
  for (const [index, { direction, streams }] of plan.entries()) {
    if (dead.has(direction) || context.budget.signal.aborted) continue;
    const wish_ms = (params.duration + params.timeout) * 1000;
    const part = context.budget.part(`${direction}, ${streams} connections`, wish_ms, RESERVE_MS);
    const phase = new Phase({
      direction,
      streams,
      duration_ms: params.duration * 1000,
      warm_up_ms: params.warm_up * 1000,
      timeout_ms: params.timeout * 1000,
      target,
      peer,
      share: bytes.share(plan.slice(index).map((each) => each.streams)),
      kernel,
      incoming: target.streams || lan === undefined ? undefined : new TrafficWatch(lan),
      idle_ms: measuring.idle.rtt_ms ?? 0,
      rtt_ms,
      latency: index === plan.findIndex((each) => each.direction === direction),
      signal: part.signal,
      onTick: (mbps, done) => context.progress((index + done) / plan.length, phaseNote(direction, streams, mbps)),
    });
    const report = await phase.run();
    if (report.ended === "stopped" && !context.budget.stopped) context.budget.hit(part.name);
    reports.push(report);
    rtt_ms = Math.max(rtt_ms, ...report.handshakes.slice(-SAMPLES).map((each) => each.rtt_ms ?? 0));
    context.show(phaseRow(report));
    if (report.trouble === undefined) continue;
    dead.add(direction);
    if (FINAL.includes(report.trouble.error.code) || report.trouble.reason === "no_permission") break;
  }
  return reports;
}

/** Bytes a run on this line would do with: three seconds for each phase with many connections, by the fastest slice seen. */
function enough({ phases, planned, params }: BandwidthReading): string {
  const fastest = Math.max(0, ...phases.flatMap(({ slices }) => slices));
  if (fastest === 0) return "";
  const shares = planned.reduce((sum, { streams }) => sum + (streams === params.streams ? 1 : 0.5), 0);
  return ` (at ${mbps(fastest)} it needs about ${mega((fastest / 8) * 1e6 * 3 * shares)})`;
}

/** What is told of a run: its first trouble, else that it had too little time or too few bytes. */
function verdict(reading: BandwidthReading): { status: Status; error: ResultError | null } {
  const { planned, phases } = reading;
  const measured = phases.filter(({ mbps }) => mbps !== undefined).length;
  const status: Status = measured === 0 ? "failed" : measured < planned.length ? "partial" : "ok";
  if (reading.stopped) return { status: measured === 0 ? "failed" : "partial", error: STOPPED.error };
  if (status === "ok") return { status, error: null };
  if (reading.failure !== undefined) return { status, error: reading.failure.error };
  if (reading.late) {
    return {
      status,
      error: { code: "deadline", source: "agent", message: "the run's time was over before every phase had ended" },
    };
  }
  const message = `the run's ${mega(reading.granted)} were spent before every rate was steady${enough(reading)}; raise max_bytes, or measure less`;
  return { status, error: { code: "over_budget", source: "agent", message } };
}

function report(reading: BandwidthReading, left: number | undefined): Outcome {
  const sheet = bandwidthMetrics(reading, left);
  const flags = [
    ...(reading.phases.some(({ loaded, streams }) => loaded > 0 && loaded < streams) ? ["fewer_connections"] : []),
    ...(reading.phases.some(({ short }) => short) ? ["short_phase"] : []),
  ];
  const address = reading.peer.address;
  return {
    address,
    ...verdict(reading),
    metrics: sheet.metrics,
    reasons: sheet.reasons,
    detail: bandwidthDetail(reading),
    flags,
  };
}

/** Throughput as its receiver counts it, and latency under load (RFC 6349; draft-ietf-ippm-responsiveness-08). */
export const bandwidth: Probe<"bandwidth"> = {
  places: () => ({ line: 1, sockets: 1 }),
  run,
  view: bandwidthView,
};
