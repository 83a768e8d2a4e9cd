// Results of a test: from the API and from the socket, each once.
import type { Result } from "#contract/result";

/** Newest first; the same id twice is one result (the later copy wins: it is the stored one). */
export function mergeResults(known: readonly Result[], more: readonly Result[]): Result[] {
  if (more.length === 0) return [...known];
  const byId = new Map(known.map((result) => [result.id, result]));
  for (const result of more) byId.set(result.id, result);
  return [...byId.values()].sort((a, b) => Date.parse(b.started_at) - Date.parse(a.started_at) || b.seq - a.seq);
}

const connectTime = (connect: unknown): unknown =>
  typeof connect === "object" && connect !== null && "connect_ms" in connect ? connect.connect_ms : null;

/** Round trips of every packet, or the time of every connect, where the result carries them. */
export function roundTrips({ rtts, connects }: Record<string, unknown>): number[] | null {
  const times: unknown[] = Array.isArray(rtts) ? rtts : Array.isArray(connects) ? connects.map(connectTime) : [];
  const numbers = times.filter((value): value is number => typeof value === "number" && Number.isFinite(value));
  return numbers.length > 0 ? numbers.sort((a, b) => a - b) : null;
}
