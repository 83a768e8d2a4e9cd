// Destinations that are clients, in words. Nobody should have to read `client:<id>`.
import { signal } from "@preact/signals";
import { z } from "zod";
import { peerDestination } from "#contract/destination";
import { LIMITS } from "#contract/limits";
import type { Result } from "#contract/result";

export type PeerNames = ReadonlyMap<string, string>;

/** What is known of clients' names by now. */
export const peerNames = signal<PeerNames>(new Map());

/** The client a destination is; null for one that is an address, a name or every client. */
export function peerOf(destination: string): string | null {
  const peer = peerDestination(destination);
  return peer?.kind === "client" ? peer.client_id : null;
}

/** How a test names a client as its destination. */
export const peerDestinationOf = (clientId: string) => `client:${clientId}`;

export const isMesh = (destination: string) => peerDestination(destination)?.kind === "mesh";

/** A client's name; a short form of its id while it is not known. */
export const peerName = (id: string, names: PeerNames = peerNames.value) => names.get(id) ?? `client ${id.slice(0, 6)}…`;

const NAMED = /\bclient:([0-9a-z]{16})\b/g;

/** Every client that a destination or a message names by its id. */
export const idsIn = (text: string): string[] => [...text.matchAll(NAMED)].flatMap(([, id]) => (id === undefined ? [] : [id]));

/** What a server or an agent wrote, with clients by their names. */
export const withNames = (text: string, names: PeerNames = peerNames.value): string =>
  text.replaceAll(NAMED, (_, id: string) => peerName(id, names));

/** The name a result's own detail gives the client it measured; an agent of any version wrote it. */
const peerSchema = z.object({ name: z.string().min(1).max(LIMITS.nameLength) });

/** What a result measured: the peer where it has one, else its destination. */
export function resultTarget(
  { destination, peer_id, detail }: Pick<Result, "destination" | "peer_id" | "detail">,
  names: PeerNames = peerNames.value,
): string {
  const peer = peer_id ?? peerOf(destination);
  if (peer === null) return destinationText(destination, names);
  return names.get(peer) ?? peerSchema.safeParse(detail.peer).data?.name ?? peerName(peer, names);
}

/** What stands for a destination: the client's name, "each other" for a mesh, else itself. */
export function destinationText(destination: string, names: PeerNames = peerNames.value): string {
  const peer = peerOf(destination);
  if (peer !== null) return peerName(peer, names);
  return isMesh(destination) ? "each other" : destination;
}
