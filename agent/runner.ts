// Runs one measurement: checks it, gives it a deadline and its places among the runs of this host, and turns every end into a result.
import { performance } from "node:perf_hooks";
import { peerDestination } from "#contract/destination";
import type { Measurement } from "#contract/result";
import { checkTest, isTestTypeName, type ParamsOf, type TestTypeName, testType } from "#contract/test-types/index";
import { Budget } from "./budget.ts";
import { markedDetail } from "./clock-marks.ts";
import { conditions, type Watched } from "./conditions.ts";
import { hostClock, type Moment } from "./host-clock.ts";
import type { Peer, PeerDirectory, SessionKey } from "./peer.ts";
import { Leash, type Permit } from "./permit.ts";
import { PlacePool } from "./places.ts";
import { PROBES } from "./probes/index.ts";
import { type EdgeAccess, type Outcome, type Places, type Probe, type RunContext, unmeasured } from "./probes/probe.ts";
import type { Row } from "./rows.ts";
import { fullSpeed } from "./small-process.ts";
import { round3 } from "./statistics.ts";

/** A probe that has not ended this long after its deadline is left to itself, milliseconds. */
const OVERTIME_MS = 500;
const STOPPED = { code: "aborted", source: "agent", message: "the run was stopped before its end" } as const;
/** A stopped probe asks its tools to end and gives them a second. */
const STOP_GRACE_MS = 1500;

export interface RunOrder {
  readonly type: string;
  readonly destination: string;
  readonly params: Record<string, unknown>;
  /** The test's interval, seconds; absent for a single run. */
  readonly interval_s?: number | undefined;
  /** Names the test the run belongs to; absent for a single run. */
  readonly series?: string | undefined;
}

/** Why a run may not happen; or under which permit it may, undefined where everything may. */
export type Veto = (order: RunOrder) => string | Permit | undefined;

const pool = new PlacePool({ tools: 8, sockets: 16, path: 2, path_tools: 6, line: 1 });

function refusal(type: string, code: "unsupported" | "invalid_instruction" | "not_consented", message: string): Outcome {
  const error = { code, source: "agent", message: message.slice(0, 1000) } as const;
  if (isTestTypeName(type)) return unmeasured(type, error, code === "unsupported" ? "unsupported" : "not_applicable");
  return { address: null, status: "failed", error, metrics: {}, reasons: {}, detail: {}, flags: [] };
}

/** Receives the rows of a run as they are measured. */
export type Watch = (row: Row) => void;
/** Receives how much of a run is done, 0 to 1, and what is being measured, for people. */
export type Progress = (fraction: number, note: string) => void;

/** What a run has around it; every part may be missing. */
export interface Surroundings {
  readonly veto?: Veto | undefined;
  readonly watch?: Watch | undefined;
  readonly progress?: Progress | undefined;
  /** Finds the clients that a destination names. */
  readonly peers?: PeerDirectory | undefined;
  /** The key of a reflector that the destination names by its address. */
  readonly session?: SessionKey | undefined;
  /** This agent's server, for what is measured against it. */
  readonly edge?: EdgeAccess | undefined;
}

/** Runs the probe with its deadline; a probe that throws has failed, which is a result too. */
async function runProbe<Type extends TestTypeName>(
  type: Type,
  order: RunOrder,
  params: ParamsOf<Type>,
  leash: Leash,
  { around, watched }: { around: Surroundings; watched: Watched },
): Promise<Outcome> {
  const stop = leash.signal;
  const probe: Probe<Type> = PROBES[type];
  const deadline_ms = testType(type).deadline_ms(params);
  const budget = new Budget(deadline_ms, stop);
  const context: RunContext = {
    budget,
    series: order.series,
    watched: around.watch !== undefined,
    show: (row) => around.watch?.(row),
    progress: (fraction, note) => around.progress?.(Math.min(1, Math.max(0, fraction)), note),
    session: around.session,
    edge: around.edge,
    objection: (destination) => leash.objection(destination),
    measuring: () => watched.measuring(),
  };
  try {
    const late = lateOutcome(type, budget, deadline_ms, stop);
    const outcome = await Promise.race([probe.run(order.destination, params, context), late.outcome]).finally(late.cancel);
    const spent = budget.spent.length > 0 ? { budgets_hit: budget.spent } : {};
    const told = { ...outcome, detail: { ...outcome.detail, ...spent } };
    if (stop.aborted && outcome.status !== "ok") return { ...told, error: STOPPED };
    if (outcome.error?.code !== "aborted") return told;
    return { ...told, error: { code: "deadline", source: "agent", message: "the run took longer than it may" } };
  } catch (error) {
    const message = `the ${type} probe broke: ${error instanceof Error ? error.message : String(error)}`;
    return unmeasured(type, { code: "internal", source: "agent", message }, "unsupported");
  }
}

/**
 * What a run answers whose probe does not end at its deadline, nor when it is stopped. Its timer also keeps the process
 * waiting: a probe whose last socket died without a word would else end it.
 */
function lateOutcome(type: TestTypeName, budget: Budget, deadline_ms: number, stop: AbortSignal) {
  const grace = Math.min(OVERTIME_MS, Math.max(50, deadline_ms * 0.08));
  let timer: NodeJS.Timeout | undefined;
  let hurry: () => void = () => {};
  const outcome = new Promise<Outcome>((resolve) => {
    const give = () => {
      const message = `the run did not end at its deadline of ${(deadline_ms / 1000).toFixed(1)} s`;
      resolve(unmeasured(type, budget.stopped ? STOPPED : { code: "deadline", source: "agent", message }, "timeout"));
    };
    timer = setTimeout(give, deadline_ms + grace);
    hurry = () => {
      clearTimeout(timer);
      timer = setTimeout(give, STOP_GRACE_MS);
    };
  });
  stop.addEventListener("abort", hurry, { once: true });
  const cancel = () => {
    clearTimeout(timer);
    stop.removeEventListener("abort", hurry);
  };
  return { outcome, cancel };
}

/** Parameters in full, or the outcome of an order that may not run. */
function prepare(order: RunOrder): { type: TestTypeName; params: Record<string, unknown> } | Outcome {
  if (!isTestTypeName(order.type)) {
    return refusal(order.type, "unsupported", `this agent knows no test type '${order.type}'; update it`);
  }
  const checked = checkTest(order.type, order.destination, order.params, order.interval_s);
  if (!checked.ok) {
    const words = checked.errors.map((error) => `${error.path} ${error.message}`).join("; ");
    return refusal(order.type, "invalid_instruction", words);
  }
  return { type: order.type, params: checked.params };
}

/** The order as it will be run: a client as destination becomes the address its reflector answers at. */
async function aimAt(
  type: TestTypeName,
  order: RunOrder,
  params: Record<string, unknown>,
  { around, stop }: { around: Surroundings; stop: AbortSignal },
): Promise<{ aim: RunOrder; around: Surroundings; peer?: Peer } | Outcome> {
  const named = peerDestination(order.destination);
  if (named === undefined) return { aim: order, around };
  if (named.kind === "mesh" || around.peers === undefined) {
    return refusal(order.type, "invalid_instruction", "only an agent with a server knows other clients; name an address");
  }
  const ip_version = params.ip_version === 4 || params.ip_version === 6 ? params.ip_version : undefined;
  const reflector = testType(type).peer === "reflector";
  const peer = await around.peers.find(named.client_id, { ip_version, reflector }, stop);
  if ("problem" in peer) return unmeasured(type, peer.problem, "not_applicable");
  const host = peer.address.includes(":") ? `[${peer.address}]` : peer.address;
  const destination = reflector ? `${host}:${peer.port}` : peer.address;
  return { aim: { ...order, destination }, around: { ...around, session: peer.session }, peer };
}

/** The probe as seen without its type; its parameters have passed its own schema. */
interface AnyProbe {
  plan?(params: Record<string, unknown>, interval_s: number | undefined): Record<string, unknown>;
  places(params: Record<string, unknown>): Places;
}

/** Bandwidth tests fill the line: what runs meanwhile measures them too, and says so. */
const OWN_LOAD = "own_load";
let loads = 0;
let loadsBegun = 0;

/** Marks a run during which this host itself filled its line. */
async function noteLoad(fills: boolean, run: () => Promise<Outcome>): Promise<Outcome> {
  if (fills) {
    loads += 1;
    loadsBegun += 1;
    const slower = fullSpeed();
    return run().finally(() => {
      slower();
      loads -= 1;
    });
  }
  const before = loadsBegun - loads;
  const outcome = await run();
  return loadsBegun === before ? outcome : { ...outcome, flags: [...outcome.flags, OWN_LOAD] };
}

/** The run within what its permit allows. What was forbidden on the way ends it as a refusal; what it saw until then stays told. */
async function runPermitted<Type extends TestTypeName>(
  type: Type,
  order: RunOrder,
  params: ParamsOf<Type>,
  { permit, stop, around, watched }: { permit: Permit | undefined; stop: AbortSignal; around: Surroundings; watched: Watched },
): Promise<Outcome> {
  const leash = new Leash(permit, stop);
  const outcome = await leash.hold(() => runProbe(type, order, params, leash, { around, watched }));
  permit?.ended(outcome.metrics);
  if (leash.refused === undefined) return outcome;
  const { address, detail, flags } = outcome;
  return { ...refusal(type, "not_consented", leash.refused), address, detail, flags };
}

let underWay = 0;

/** Runs that measure or wait for their turn. */
export const runsUnderWay = (): number => underWay;

/** One run from order to measurement. Never rejects; `stop` ends it early with code `aborted`. */
export async function runTest(order: RunOrder, stop: AbortSignal, surroundings: Surroundings = {}): Promise<Measurement> {
  underWay += 1;
  try {
    return await measureOnce(order, stop, surroundings);
  } finally {
    underWay -= 1;
  }
}

async function measureOnce(order: RunOrder, stop: AbortSignal, surroundings: Surroundings): Promise<Measurement> {
  const prepared = prepare(order);
  if ("status" in prepared) return notRun(order, prepared);
  const { type } = prepared;
  const found = await aimAt(type, order, prepared.params, { around: surroundings, stop });
  if ("status" in found) return notRun(order, found);
  const { aim, around, peer } = found;
  const permit = around.veto?.(aim);
  if (typeof permit === "string") return notRun(order, refusal(type, "not_consented", permit));
  const probe = PROBES[type] as unknown as AnyProbe;
  const params = probe.plan?.(prepared.params, order.interval_s) ?? prepared.params;
  const places = probe.places(params);
  const isTurn = (await permit?.turn?.(stop)) ?? true;
  const leave = isTurn ? await pool.take(places, stop) : undefined;
  if (leave === undefined) {
    permit?.ended(undefined);
    const why = stop.aborted
      ? STOPPED
      : ({ code: "skipped", source: "agent", message: "too many runs wait for their turn" } as const);
    return notRun(order, unmeasured(type, why, stop.aborted ? "timeout" : "host_overloaded"));
  }
  const begun = hostClock.moment();
  const samples = typeof params.count === "number" ? params.count : 1;
  const watched = conditions.watch({ type, destination: order.destination, samples });
  const start = performance.now();
  const outcome = await noteLoad(places.line !== undefined, () =>
    runPermitted(type, aim, params as ParamsOf<typeof type>, { permit, stop, around, watched }),
  ).finally(leave);
  const duration_ms = round3(performance.now() - start);
  const told = await watched.over(outcome, stop);
  const other = peer === undefined ? {} : { peer: { client_id: peer.client_id, name: peer.name } };
  return measurementOf(order, { ...told, detail: { ...told.detail, ...other } }, begun, duration_ms);
}

/** The measurement of a run that did not begin. */
const notRun = (order: RunOrder, outcome: Outcome): Measurement => measurementOf(order, outcome, hostClock.moment(), 0);

function measurementOf(order: RunOrder, outcome: Outcome, begun: Moment, duration_ms: number): Measurement {
  return {
    type: order.type.slice(0, 32),
    destination: order.destination,
    address: outcome.address,
    started_at: begun.started_at,
    duration_ms,
    status: outcome.status,
    error: outcome.error,
    metrics: outcome.metrics,
    reasons: outcome.reasons,
    detail: markedDetail(outcome.detail, begun),
    flags: [...outcome.flags],
  };
}
