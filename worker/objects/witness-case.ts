// One event while it is being heard and until it may be forgotten: what is kept in the client's object, so that it survives an
// eviction, and how it stands in D1.
import type { EdgeCheck, Evidence, NetworkEvent, SiblingEvidence, Verdict } from "#contract/events";
import type { WireResult } from "#contract/result";
import { readSeriesId } from "#contract/series-id";
import { openingSummary, opinionOf } from "../analysis/witness.ts";
import { type Aim, targetName } from "../analysis/witness-plan.ts";
import { lossOf } from "../analysis/witness-reading.ts";
import { newTimedId } from "../ids.ts";
import { toEvent } from "../store/events.ts";
import type { Stored } from "../store/ring.ts";
import type { EventRow } from "../store/schema.ts";
import { rfc3339 } from "../time.ts";
import { PENDING_CHECK } from "./edge-check.ts";
import type { Identity } from "./view.ts";
import {
  type SharedEvidence,
  type Sibling,
  WITNESS_MS,
  type WitnessOrder,
  type WitnessReply,
  type WitnessStatement,
} from "./witness-wire.ts";

/** What of a case D1 holds. */
export type Saved = "none" | "opened" | "complete" | "closed";

export interface Case {
  readonly id: string;
  readonly client_id: string;
  readonly series: string;
  readonly aim: Aim;
  readonly opened_at: number;
  readonly deadline: number;
  completed_at: number | null;
  closed_at: number | null;
  verdict: Verdict | null;
  summary: string;
  saved: Saved;
  /** The run that shows the client's path; null when none was ordered. */
  path_run: string | null;
  /** Whether others may share what this one finds out. */
  leads: boolean;
  /** The event whose edge check and siblings this one shares. */
  follows: string | null;
  /** Statements still to come, by client. */
  awaited: Record<string, { path: boolean; check: boolean }>;
  /** null once D1 holds it. */
  evidence: Evidence | null;
}

/** A new case of a result that failed. */
export function openCase(
  series: string,
  aim: Aim,
  { item, received_at }: Stored<WireResult>,
  clientId: string,
  now: number,
): Case {
  const failure: Evidence["failure"] = {
    result_id: `${clientId}.${item.seq}`,
    at: rfc3339(received_at),
    type: aim.type,
    destination: aim.destination,
    address: item.address,
    status: item.status,
    error: item.error,
    loss_pct: lossOf(item),
  };
  return {
    id: newTimedId(now),
    client_id: clientId,
    series,
    aim,
    opened_at: now,
    deadline: now + WITNESS_MS,
    completed_at: null,
    closed_at: null,
    verdict: null,
    summary: openingSummary(failure, targetName(aim)),
    saved: "none",
    path_run: null,
    leads: false,
    follows: null,
    awaited: {},
    evidence: {
      failure,
      edge: PENDING_CHECK,
      path: null,
      path_state: "pending",
      last_good: null,
      diff: null,
      siblings: [],
      shared_from: null,
    },
  };
}

/** A sibling that is being asked: all that it is asked for is waited for. */
export function addSibling(one: Case, sibling: Sibling, { path, check }: WitnessOrder): void {
  const told = { state: "pending", path: null, same_test: null, check: null, opinion: "unknown" } as const;
  one.evidence?.siblings.push({ ...sibling, ...told });
  one.awaited[sibling.client_id] = { path: path !== null, check: check !== null };
}

/** What a sibling answered at once: what it will not say is no longer waited for. */
export function answerSibling(one: Case, clientId: string, reply: WitnessReply): void {
  const sibling = one.evidence?.siblings.find(({ client_id }) => client_id === clientId);
  if (sibling === undefined) return;
  sibling.same_test ??= reply.same_test;
  const awaited = one.awaited[clientId];
  if (awaited !== undefined) {
    awaited.path &&= reply.path;
    awaited.check &&= reply.check;
    if (awaited.path || awaited.check) return;
    delete one.awaited[clientId];
  }
  sibling.state = reply.state === "asked" ? "answered" : reply.state;
}

/** What a sibling said; false for one that was not asked, or that has spoken already. */
export function hearSibling(one: Case, from: string, { path, check, same_test }: WitnessStatement): boolean {
  const awaited = one.awaited[from];
  const sibling = one.evidence?.siblings.find(({ client_id }) => client_id === from);
  if (awaited === undefined || sibling === undefined) return false;
  if (path !== undefined && awaited.path) {
    sibling.path = path;
    awaited.path = false;
  } else if (check !== undefined && awaited.check) {
    sibling.check = check;
    awaited.check = false;
  } else return false;
  if (same_test) sibling.same_test = same_test;
  if (!awaited.path && !awaited.check) {
    delete one.awaited[from];
    sibling.state = "answered";
  }
  return true;
}

/** Whether every witness has spoken. */
export const isHeard = ({ evidence, awaited }: Case): boolean =>
  evidence !== null &&
  evidence.edge.state !== "pending" &&
  evidence.path_state !== "pending" &&
  Object.keys(awaited).length === 0;

/** Ends the waiting: who has not spoken is silent, and everyone's opinion is read. */
export function concludeHearing(evidence: Evidence, interrupted: EdgeCheck): void {
  if (evidence.edge.state === "pending") evidence.edge = interrupted;
  if (evidence.path_state === "pending") evidence.path_state = "silent";
  for (const sibling of evidence.siblings) {
    // One that said a part of it has spoken.
    const spoke = sibling.path !== null || sibling.check !== null;
    if (sibling.state === "pending") sibling.state = spoke ? "answered" : "silent";
    sibling.opinion = opinionOf(sibling, evidence);
  }
}

/** What another event about the same target may use: its edge check and siblings, and its own client as one of them. */
export function toShare(one: Case, evidence: Evidence, { id, name, site }: Identity): SharedEvidence {
  const { failure } = evidence;
  const { result_id, type, at, status, error } = failure;
  const own: SiblingEvidence = {
    client_id: id,
    name,
    site,
    same_site: false,
    runs_test: true,
    state: "answered",
    opinion: "failed",
    path: evidence.path,
    same_test: { result_id, type, at, status, error, opinion: "failed", latency_ms: null },
    check: null,
  };
  return {
    event_id: one.id,
    lasts: one.verdict === "target" && one.closed_at === null,
    test_id: readSeriesId(one.series).test_id,
    edge: evidence.edge,
    siblings: [own, ...evidence.siblings],
  };
}

/** Takes over what another event found out. */
export function adopt(one: Case, shared: SharedEvidence, { id, site }: Identity): void {
  const { evidence } = one;
  if (evidence === null) return;
  const same = shared.test_id === readSeriesId(one.series).test_id;
  evidence.edge = shared.edge;
  evidence.shared_from = shared.event_id;
  evidence.siblings = shared.siblings
    .filter(({ client_id }) => client_id !== id)
    .map((sibling) => ({
      ...sibling,
      same_site: site !== "" && sibling.site === site,
      // What it says of another test to the same target is a check of it.
      ...(same ? {} : { runs_test: false, same_test: null, check: sibling.check ?? sibling.same_test }),
    }));
}

/** What a case and its row have in common: everything but the evidence. */
function outlineOf({
  id,
  client_id,
  series,
  opened_at,
  completed_at,
  closed_at,
  verdict,
  summary,
}: Case): Omit<EventRow, "evidence"> {
  return { id, client_id, ...readSeriesId(series), kind: "target_failed", opened_at, completed_at, closed_at, verdict, summary };
}

/** The case as D1 keeps it; undefined once its evidence was let go. */
export function toRow(one: Case): EventRow | undefined {
  return one.evidence === null ? undefined : { ...outlineOf(one), evidence: one.evidence };
}

/** The case as live pages see it. */
export const toFrame = (one: Case): NetworkEvent => toEvent(outlineOf(one));
