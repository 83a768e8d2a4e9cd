// Who of a mesh measures whom, and when. Pure.
import { LIMITS } from "#contract/limits";

export interface MeshPlan {
  /** Clients to measure against, nearest on the ring first. */
  peers: string[];
  /** Members that are not measured because a client takes only so many. */
  left_out: number;
}

/**
 * The clients that one client of a mesh measures. The members stand on a ring in the order of their ids and each takes the
 * next ones, so that in a mesh larger than the limit every client is measured as often as it measures.
 */
export function meshPlan(clientId: string, members: readonly string[], atMost: number = LIMITS.meshPeers): MeshPlan {
  const ring = ringFrom(clientId, members);
  return { peers: ring.slice(0, atMost), left_out: Math.max(0, ring.length - atMost) };
}

/** The members of a mesh that measure this client: those just before it on the ring. */
export function measuredBy(clientId: string, members: readonly string[], atMost: number = LIMITS.meshPeers): string[] {
  return ringFrom(clientId, members).slice(-atMost);
}

/** The other members, beginning with the one after the client. */
function ringFrom(clientId: string, members: readonly string[]): string[] {
  const others = members.filter((id) => id !== clientId).sort((a, b) => (a < b ? -1 : 1));
  const after = others.findIndex((id) => id > clientId);
  return after < 0 ? others : [...others.slice(after), ...others.slice(0, after)];
}

/** A number from 0 to 1 that is always the same for a text, and spread evenly over texts (FNV-1a, 32 bits). */
function fraction(text: string): number {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193) >>> 0;
  return hash / 2 ** 32;
}

const toMillis = (seconds: number): number => Math.round((seconds + Number.EPSILON) * 1000) / 1000;

/** Seconds into the interval at which a client runs a test: the same each time, different from client to client. */
export function startOffset(clientId: string, testId: string, intervalS: number): number {
  return toMillis(fraction(`${clientId}/${testId}`) * intervalS);
}

/**
 * The same for one of the peers of a mesh test. The interval is cut into one slot a peer. In slot k every client measures
 * the k-th client after it on the ring, so that in each slot each client measures one and is measured by one. A client's
 * own delay of up to half a slot keeps them from starting together.
 */
export function meshOffset(clientId: string, testId: string, intervalS: number, place: number, peers: number): number {
  const slot = intervalS / Math.max(1, peers);
  const start = fraction(testId) * intervalS + place * slot + fraction(`${clientId}/${testId}`) * (slot / 2);
  return toMillis(start % intervalS);
}
