// What objects say to each other about an event. Everything here was made by this Worker; what it holds of an agent's results was
// read with suspicion before.
import type { EdgeCheck, SeenPath, SiblingEvidence, WitnessCheck } from "#contract/events";
import type { Job } from "#contract/wire";

/**
 * Witnesses have spoken or are given up after this long, milliseconds: a path takes six seconds and half a second to arrive, the
 * edge at most 7.5 s, and the event is to stand in D1 within ten.
 */
export const WITNESS_MS = 8500;
/** Other clients asked for one event. */
export const SIBLINGS = 2;
/** What was found out of a target that nobody reaches serves later events about it for this long, milliseconds. */
export const SHARED_MS = 60_000;
/** Events for which one client is asked as a witness in a minute. */
export const ASKED_A_MINUTE = 6;

/** A client that failed asks the fleet who can witness. */
export interface WitnessAsk {
  readonly event_id: string;
  readonly client_id: string;
  readonly site: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly test_id: string;
  /** The client measured against; only clients that run the same test may be told where it is. */
  readonly peer_id: string | null;
  /** Names what the edge would check. */
  readonly key: string;
}

/** Another client as it is asked. */
export interface Sibling {
  readonly client_id: string;
  readonly name: string;
  readonly site: string;
  readonly same_site: boolean;
  readonly runs_test: boolean;
}

/** What one event found out and others may use. */
export interface SharedEvidence {
  readonly event_id: string;
  /**
   * Whether it serves events that open later. Where somebody reached the target it serves those alone that waited for it: a client
   * that begins to fail after that contradicts it.
   */
  readonly lasts: boolean;
  /** The test that the siblings' `same_test` is about. */
  readonly test_id: string;
  readonly edge: EdgeCheck;
  /** The siblings, and first the client of the event itself. */
  readonly siblings: readonly SiblingEvidence[];
}

/** `lead`: ask these. `follow`: another event about the same target is asking, `shared` is null until it has its answers. */
export type WitnessChoice =
  | { readonly role: "lead"; readonly siblings: readonly Sibling[] }
  | { readonly role: "follow"; readonly of: string; readonly shared: SharedEvidence | null };

/** What a sibling is asked to do. */
export interface WitnessOrder {
  readonly event_id: string;
  readonly victim: string;
  /** The series that failed. */
  readonly series: string;
  /** When it failed, epoch milliseconds by the edge's clock. */
  readonly since: number;
  readonly path: Job | null;
  readonly check: Job | null;
}

/** What it answers at once. `path` and `check` say whether a statement about them will follow. */
export interface WitnessReply {
  readonly state: "asked" | "busy" | "away";
  readonly same_test: WitnessCheck | null;
  readonly path: boolean;
  readonly check: boolean;
}

/** What it says later, part by part. */
export interface WitnessStatement {
  readonly path?: SeenPath;
  readonly check?: WitnessCheck;
  readonly same_test?: WitnessCheck | null;
}
