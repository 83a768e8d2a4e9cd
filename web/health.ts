// What a client's figures mean: a shape, a word and a tone.
import type { ClientStatus, FleetClient } from "#contract/api";
import type { Result } from "#contract/result";
import { TEST_TYPE_NAMES, testType } from "#contract/test-types/index";
import { OUTBOX_PROBLEMS } from "#contract/wire";
import { metricUnit } from "./format.ts";
import { lossLevel } from "./loss.ts";
import { isFailing, type NotMeasured, notMeasured } from "./not-measured.ts";

const PING_RTT = "ping_rtt_median";
/** Leads with a time that is a difference of latencies, none itself. */
const SPREADS = new Set(["qos_rtt_spread_ms"]);
/** The time each type leads with; a type that leads with something else has none. */
const LATENCIES = TEST_TYPE_NAMES.flatMap((type) => {
  const [metric] = testType(type).headline;
  return metric !== undefined && metricUnit(metric) === "ms" && !SPREADS.has(metric) ? [{ type, metric }] : [];
});

export type Tone = "ok" | "warn" | "bad" | "none";

export interface Health {
  readonly tone: Tone;
  readonly word: string;
  /** Sorts the worst first. */
  readonly rank: number;
}

export const STATUS_WORD: Record<ClientStatus, string> = {
  online: "online",
  testing: "testing",
  offline: "offline",
  never_seen: "never seen",
  pending: "pending",
  retired: "retired",
};

const REASON_WORD: Record<string, string> = {
  connected: "connected",
  closed: "connection closed",
  silent: "went silent",
  stopped: "shut down cleanly",
  registered: "registered, not yet connected",
};

export const statusReason = (reason: string) => REASON_WORD[reason] ?? reason.replaceAll("_", " ");

/** Why an agent's disk takes no more results; a word of tomorrow as it is. */
export const outboxProblem = (problem: string): string =>
  Object.entries(OUTBOX_PROBLEMS).find(([word]) => word === problem)?.[1] ?? problem.slice(0, 60).replaceAll("_", " ");

export const isUp = (status: ClientStatus) => status === "online" || status === "testing";

/** A client's own line: its connection, the worst of its running tests. */
export function clientHealth(
  status: ClientStatus,
  failing: number,
  lossPct: number | null | undefined,
  unmeasured: NotMeasured | null = null,
): Health {
  if (status === "retired") return { tone: "none", word: "retired", rank: 5 };
  if (status === "offline") return { tone: "none", word: "offline", rank: 1 };
  if (!isUp(status)) return { tone: "none", word: STATUS_WORD[status], rank: 3 };
  if (failing > 0) return { tone: "bad", word: failing === 1 ? "1 test failing" : `${failing} tests failing`, rank: 0 };
  const level = lossLevel(lossPct);
  if (level === "high") return { tone: "bad", word: "heavy loss", rank: 0 };
  if (level === "mid" || level === "low") return { tone: "warn", word: "loss", rank: 2 };
  if (unmeasured?.tone === "warn") return { tone: "warn", word: `online, ${unmeasured.word}`, rank: 2 };
  return { tone: "ok", word: STATUS_WORD[status], rank: 4 };
}

/** A client as its newest runs show it: of those that were not measured, the first one that is a worry says so. */
export function healthOfRuns(status: ClientStatus, runs: readonly Result[], lossPct: number | null): Health {
  const unmeasured = runs.map(notMeasured).find((one) => one?.tone === "warn") ?? null;
  return clientHealth(status, runs.filter(isFailing).length, lossPct, unmeasured);
}

/** A headline figure; null where it is not known. */
export function headline(client: Pick<FleetClient, "headline">, name: string): number | null {
  const value = client.headline[name];
  return typeof value === "number" ? value : null;
}

/** A headline figure as of now: of a client nobody hears, none is known. */
export const currentFigure = (client: Pick<FleetClient, "headline" | "status">, name: string) =>
  isUp(client.status) ? headline(client, name) : null;

export interface ClientLatency {
  readonly type: string;
  readonly metric: string;
  readonly ms: number;
}

/** What stands for a client's latency: its slowest ping; where it runs none, the slowest of what other tests lead with. */
export function currentLatency(client: Pick<FleetClient, "headline" | "status">): ClientLatency | null {
  const known = LATENCIES.flatMap(({ type, metric }) => {
    const ms = currentFigure(client, metric);
    return ms === null ? [] : [{ type, metric, ms }];
  });
  const pings = PING_RTT in client.headline;
  return known
    .filter(({ metric }) => !pings || metric === PING_RTT)
    .reduce<ClientLatency | null>((slowest, one) => (slowest === null || one.ms > slowest.ms ? one : slowest), null);
}

/** What to expect of a client that is offline. */
export const whileOffline = (reason: string) =>
  reason === "stopped"
    ? "Nothing is measured there until it is started again."
    : "If its host still runs, what it measures meanwhile arrives when it returns.";

/** A fleet's line says how many tests were not measured, not why: no worry by itself, the owner may just not allow one. */
export function fleetHealth(client: FleetClient): Health {
  const health = clientHealth(client.status, client.failing, headline(client, "ping_loss_pct"));
  const { unmeasured } = client;
  if (unmeasured === 0 || health.tone !== "ok") return health;
  return { ...health, word: `${health.word}, ${unmeasured === 1 ? "1 test" : `${unmeasured} tests`} not measured` };
}
