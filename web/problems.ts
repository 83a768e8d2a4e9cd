// What is wrong in the fleet, worst first, each with its evidence.
import type { FleetClient } from "#contract/api";
import { formatPercent, formatText, inSentence, sentence } from "./format.ts";
import { headline, isUp, statusReason, type Tone, whileOffline } from "./health.ts";
import { lossLevel } from "./loss.ts";
import { sinceText, spanText } from "./time.ts";

export interface FleetProblem {
  readonly client: FleetClient;
  readonly tone: Tone;
  readonly title: string;
  readonly text: string;
  /** When it began, where the fleet's data says so. */
  readonly since: string | null;
}

/** A file system or memory this full is about to break something. */
const NEARLY_FULL_PCT = 95;
const RANK: Record<Tone, number> = { bad: 0, none: 1, warn: 2, ok: 3 };

function offline(client: FleetClient, now: number): FleetProblem {
  const began = Date.parse(client.status_since);
  return {
    client,
    tone: "none",
    title: `${inSentence(client.name)} is offline, its targets are unknown`,
    text: `${sentence(statusReason(client.status_reason))} ${whileOffline(client.status_reason)}`,
    since: ["since", sinceText(began, now), spanText(began, now) && `· ${spanText(began, now)}`].filter(Boolean).join(" "),
  };
}

function failing(client: FleetClient): FleetProblem {
  const count = client.failing === 1 ? "One of its tests" : `${client.failing} of its tests`;
  return {
    client,
    tone: "bad",
    title: `${inSentence(client.name)}: ${client.failing === 1 ? "1 test fails" : `${client.failing} tests fail`}`,
    text: `${count} failed in the newest run; its page says which, and whose side it is.`,
    since: null,
  };
}

function lossy(client: FleetClient, loss: number): FleetProblem {
  const median = headline(client, "ping_rtt_median");
  return {
    client,
    tone: lossLevel(loss) === "high" ? "bad" : "warn",
    title: `${inSentence(client.name)}: ${formatText("ping_loss_pct", loss)} of packets lost`,
    text:
      median === null
        ? "In its worst test, newest run."
        : `In its worst test, newest run; worst median ${formatText("ping_rtt_median", median)}.`,
    since: null,
  };
}

function full(client: FleetClient, what: string, pct: number): FleetProblem {
  return {
    client,
    tone: "warn",
    title: `${inSentence(client.name)}: ${what} ${formatPercent(pct)} % full`,
    text: "A host out of space or memory loses results, and distorts what it measures.",
    since: null,
  };
}

export function problemsOf(client: FleetClient, now: number): FleetProblem[] {
  if (client.status === "offline") return [offline(client, now)];
  if (!isUp(client.status)) return [];
  const found: FleetProblem[] = [];
  const loss = headline(client, "ping_loss_pct");
  const disk = headline(client, "fs_used_pct");
  const memory = headline(client, "memory_percent");
  if (client.failing > 0) found.push(failing(client));
  else if (loss !== null && loss > 0) found.push(lossy(client, loss));
  if (disk !== null && disk >= NEARLY_FULL_PCT) found.push(full(client, "disk", disk));
  if (memory !== null && memory >= NEARLY_FULL_PCT) found.push(full(client, "memory", memory));
  return found;
}

export function fleetProblems(clients: readonly FleetClient[], now: number): FleetProblem[] {
  return clients
    .flatMap((client) => problemsOf(client, now))
    .sort((a, b) => RANK[a.tone] - RANK[b.tone] || a.client.name.localeCompare(b.client.name));
}

export interface LatencyBar {
  readonly client: FleetClient;
  readonly median: number;
  /** 0..1 of the slowest shown. */
  readonly share: number;
}

/** The slowest clients by their worst test's median; offline ones have no latency now. */
export function slowest(clients: readonly FleetClient[], count: number): LatencyBar[] {
  const known = clients.flatMap((client) => {
    const median = headline(client, "ping_rtt_median");
    return median !== null && isUp(client.status) ? [{ client, median }] : [];
  });
  known.sort((a, b) => b.median - a.median);
  const top = known[0]?.median ?? 0;
  return known.slice(0, count).map((bar) => ({ ...bar, share: top > 0 ? bar.median / top : 0 }));
}
