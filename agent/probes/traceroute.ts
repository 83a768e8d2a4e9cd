// Traceroute: the path to a host in rounds, over several flows, each of which keeps to one of several equal paths.
import { isIP } from "node:net";
import { checkHost } from "#contract/destination";
import type { Reason } from "#contract/metrics";
import type { ErrorSource, ResultError } from "#contract/result";
import type { TracerouteParams } from "#contract/test-types/traceroute";
import { canonicalAddress, sameAddress } from "../address.ts";
import { type AsnTable, asnTable } from "../asn.ts";
import { resolveHost } from "../resolve.ts";
import { waitFor } from "../wait.ts";
import { pathDetail } from "./path-detail.ts";
import { failureError, pathToolMissing } from "./path-failure.ts";
import { hasLoop } from "./path-merge.ts";
import { pathMetrics, readPath } from "./path-metrics.ts";
import { HopNames } from "./path-names.ts";
import { PARALLEL_MAX } from "./path-round.ts";
import { type PathRun, type RunPlan, runRounds, type Tried } from "./path-run.ts";
import { findPathTool, type PathTool } from "./path-tool.ts";
import { type Outcome, type Probe, type RunContext, unmeasured } from "./probe.ts";
import { followDscp, withDscp } from "./traceroute-dscp.ts";
import { TracerouteRows, tracerouteView } from "./traceroute-rows.ts";

/** Kept from the run's time for putting the result together: so much of it, at most so long. */
const RESERVE = { share: 0.06, most_ms: 500 } as const;

const failed = (error: ResultError, reason: Reason, address: string | null, detail: Record<string, unknown> = {}): Outcome =>
  unmeasured("traceroute", error, reason, { address, detail });

const ABORTED: ResultError = { code: "aborted", source: "agent", message: "the run was stopped before its end" };

interface Target {
  readonly address: string;
  readonly family: 4 | 6;
  readonly detail: Record<string, unknown>;
}

async function run(destination: string, params: TracerouteParams, context: RunContext): Promise<Outcome> {
  const host = checkHost(destination);
  if (!host.ok) {
    const error: ResultError = { code: "invalid_instruction", source: "agent", message: `destination ${host.message}` };
    return failed(error, "not_applicable", null);
  }
  const tool = await findPathTool();
  if (tool === undefined) return failed(pathToolMissing(), "tool_missing", null);
  const found = await resolveHost(host.host, params.ip_version, context.budget.signal);
  const detail = { tool: tool.version, resolve_ms: found.resolve_ms };
  if (context.budget.stopped) return failed(ABORTED, "timeout", null, detail);
  if (!found.ok) return failed({ code: found.code, source: "resolver", message: found.message }, "dns_fail", null, detail);
  if (isIP(found.address) === 0) {
    const error: ResultError = { code: "internal", source: "agent", message: "the resolver gave no address literal" };
    return failed(error, "dns_fail", null, detail);
  }
  const target = { address: found.address, family: found.family, detail: { ...detail, resolved_by: found.via } };
  const outcome = await alone(found.address, context.budget.signal, () => measure(tool, target, params, context));
  return outcome ?? neverAlone(target, context);
}

/** The run's whole time went by while another one measured the same path. */
function neverAlone({ address, detail }: Target, { budget }: RunContext): Outcome {
  if (budget.stopped) return failed(ABORTED, "timeout", address, detail);
  const message = `another run measured the path to ${address} all the time this one had; let them run less often, or end sooner`;
  return failed({ code: "deadline", source: "agent", message }, "timeout", address, detail);
}

const running = new Map<string, Promise<unknown>>();

/**
 * Flows of two runs to the same address would share their ports and take each other's answers: one after the other. Undefined when
 * the signal aborted before it was this one's turn.
 */
async function alone<Result>(address: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result | undefined> {
  const key = canonicalAddress(address);
  const before = running.get(key) ?? Promise.resolve();
  let leave: () => void = () => undefined;
  const left = new Promise<void>((resolve) => {
    leave = resolve;
  });
  // Whoever comes next waits for all before it, also when this one leaves the queue early.
  const turn = before.then(() => left);
  running.set(key, turn);
  void turn.then(() => running.get(key) === turn && running.delete(key));
  try {
    return (await waitFor(before, signal)) ? await work() : undefined;
  } finally {
    leave();
  }
}

function planOf(tool: PathTool, target: Target, params: TracerouteParams, series: string | undefined): RunPlan {
  const { address, family } = target;
  return {
    tool,
    order: { address, family, timeout: params.timeout, packet_size: params.packet_size, dscp: params.dscp },
    methods: params.method === "auto" ? tool.methods : [params.method],
    port: params.port,
    flows: params.flows,
    count: params.count,
    rounds: params.rounds,
    interval: params.interval,
    max_hops: params.max_hops,
    key: series === undefined ? undefined : `${series} ${params.port ?? ""}`,
  };
}

async function measure(tool: PathTool, target: Target, params: TracerouteParams, context: RunContext): Promise<Outcome> {
  const { budget } = context;
  const reserve = Math.min(RESERVE.most_ms, params.deadline * 1000 * RESERVE.share);
  const part = budget.part("path", budget.left(), reserve);
  const names = params.names ? new HopNames() : undefined;
  const lookup = await asnTable();
  const table = "table" in lookup ? lookup.table : undefined;
  const rows = new TracerouteRows(context, { address: target.address, names, table, rounds: params.rounds });
  const before = budget.left();
  const marks = followDscp(target, params, part);
  const runner = await runRounds(planOf(tool, target, params, context.series), rows, part.signal);
  const over = part.signal.aborted;
  const result = await runner.finish();
  await names?.finish(Math.min(budget.left() - reserve / 2, over ? 0 : Number.POSITIVE_INFINITY));
  const elapsed_s = (before - budget.left()) / 1000;
  const survey = await marks;
  if (budget.stopped) return failed(ABORTED, "timeout", target.address, target.detail);
  if (over) budget.hit("path");
  if (!("method" in result)) return nothing(result.tried, target, over);
  const missing = "missing" in lookup && lookup.missing !== null ? { asn_table: lookup.missing } : {};
  const about = { target: { ...target, detail: { ...target.detail, ...missing } }, tool, names, table };
  const told = report(result, about, elapsed_s, complaint(result, target.address, over, params.rounds));
  return withDscp(told, survey, params.dscp);
}

interface About {
  readonly target: Target;
  readonly tool: PathTool;
  readonly names: HopNames | undefined;
  readonly table: AsnTable | undefined;
}

function report(result: PathRun, { target, tool, names, table }: About, elapsed_s: number, error: ResultError | null): Outcome {
  const { address } = target;
  const conditions = { address, elapsed_s, steady: tool.steady(result.method), table };
  const reading = readPath(result, conditions);
  const { metrics, reasons } = pathMetrics(result, reading, conditions);
  const heard = reading.distance !== undefined || reading.hops.some(({ received }) => received > 0);
  return {
    address,
    status: error === null ? "ok" : heard ? "partial" : "failed",
    error,
    metrics,
    reasons,
    detail: { ...target.detail, tried: triedDetail(result.tried), ...pathDetail(result, reading, { names, table }) },
    flags: reading.loss.limited ? ["target_rate_limited"] : [],
  };
}

const triedDetail = (tried: readonly Tried[]): Record<string, unknown>[] =>
  tried.map(({ method, reached, failure }) => ({ method, reached, ...(failure === null ? {} : { failure: failure.kind }) }));

/** A run that saw no hop at all. */
function nothing(tried: readonly Tried[], target: Target, over: boolean): Outcome {
  const detail = { ...target.detail, tried: triedDetail(tried) };
  const failure = tried.find((each) => each.failure !== null);
  if (failure?.failure) {
    const { error, reason } = failureError(failure.failure, failure.method);
    return failed(error, reason, target.address, detail);
  }
  if (over) {
    const message = "the run's time was over before a hop answered; give it a longer --deadline";
    return failed({ code: "deadline", source: "agent", message }, "timeout", target.address, detail);
  }
  const message = `neither ${target.address} nor any hop on the way answered`;
  return failed({ code: "no_reply", source: "network", message }, "timeout", target.address, detail);
}

/** Codes of the ICMP errors routers answer with, by the mark traceroute prints (RFC 792, 1122, 1812). */
function stoppedError(stopped: { ttl: number; by: string; icmp: string }, address: string): ResultError {
  const source: ErrorSource = sameAddress(stopped.by, address) ? "target" : "network";
  const at = `hop ${stopped.ttl}`;
  if (stopped.icmp === "!port") {
    return { code: "refused", source, message: `${stopped.by} at ${at} refused packets for ${address} (port unreachable)` };
  }
  if (stopped.icmp === "!X") {
    return { code: "filtered", source, message: `${stopped.by} at ${at} filters packets for ${address} (prohibited, !X)` };
  }
  const what = stopped.icmp === "!N" ? "the network is" : stopped.icmp === "!H" ? "the host is" : "it is";
  return {
    code: "unreachable",
    source,
    message: `${stopped.by} at ${at} says that ${what} unreachable for ${address} (${stopped.icmp})`,
  };
}

/** What is wrong with a run that saw something; null when it reached the target as often as it should. */
function complaint(result: PathRun, address: string, over: boolean, rounds: number): ResultError | null {
  const reached = result.paths.some((path) => path.reached);
  if (reached && result.rounds >= rounds) return null;
  if (over) {
    const tried = result.tried.map(({ method }) => method.toUpperCase()).join(", ");
    const what = reached ? `after ${result.rounds} of ${rounds} rounds` : `before ${address} answered (asked by ${tried})`;
    const message = `the time was over ${what}; give it a longer --deadline`;
    return { code: "deadline", source: "agent", message };
  }
  if (result.failure !== null) return failureError(result.failure, result.method).error;
  const stopped = result.paths.find((path) => path.stopped !== null)?.stopped;
  if (stopped) return stoppedError(stopped, address);
  const circling = result.paths.find(({ path }) => hasLoop(path, address))?.path ?? [];
  const back = circling.findIndex((addr, i) => addr !== null && circling.indexOf(addr, i + 1) > i);
  if (back >= 0) {
    const message = `packets for ${address} go in circles from hop ${back + 1} on, where ${circling[back]} answers again and again`;
    return { code: "unreachable", source: "network", message };
  }
  const last = result.paths.reduce(
    (longest, { path }) => (path.length > longest.length ? path : longest),
    [] as readonly (string | null)[],
  );
  const where = last.length === 0 ? "" : `; the last hop that did is ${last.at(-1) ?? "unknown"} (hop ${last.length})`;
  const tried = result.tried.filter(({ failure }) => failure === null).map(({ method }) => method.toUpperCase());
  return { code: "no_reply", source: "network", message: `${address} did not answer ${tried.join(", ")}${where}` };
}

/** Paths as RFC 5388 describes them, with constant flow identifiers. */
export const traceroute: Probe<"traceroute"> = {
  places: (params) => ({ path: 1, path_tools: Math.min(params.flows, PARALLEL_MAX) + ((params.dscp ?? 0) > 0 ? 2 : 0) }),
  run,
  view: tracerouteView,
};
