// Agent to agent, on the agent wire: where a client answers others, and what others need to measure against it.
// Times are UTC epoch milliseconds by the edge's clock.
import { z } from "zod";
import { checkHost } from "./destination.ts";
import { LIMITS } from "./limits.ts";

const epochMs = z.number().int();
/** 32 bytes in base64url. */
const keyText = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "is not 32 bytes in base64url");
const port = z.number().int().min(1).max(65_535);
const clientId = z.string().min(1).max(64);

/** Port a reflector takes where nobody says otherwise; for UDP and TCP alike. */
export const REFLECTOR_PORT = 8862;

/** How long the edge's secret of a reflector is handed out to senders. It is good for as long again. */
export const SECRET_SLOT_MS = 6 * 60 * 60 * 1000;

export const reflectorBodySchema = z.object({
  /** UDP and TCP port of the reflector; null when there is none, and the client is measured by its address alone. */
  port: port.nullable(),
  /** IP literals this client is reached at, the best one first. */
  addresses: z.array(z.string().max(64)).max(LIMITS.reflectorAddresses),
});
export type ReflectorBody = z.infer<typeof reflectorBodySchema>;

/** Only the host itself is behind these; where edge and agents share one machine, that is the point. */
const OWN_HOST = /^(127\.|::1$)/;
/** Count on one link only, which the other client need not share (RFC 3927, RFC 4291 section 2.5.6). */
const LINK_LOCAL = /^(169\.254\.|fe[89ab])/;

/** Why a client cannot be reached at an address it names, or undefined. `local`: the edge runs on one machine. */
export function advertisedProblem(address: string, local: boolean): string | undefined {
  const checked = checkHost(address);
  if (!checked.ok) return checked.message;
  if (checked.version === 0) return "is not an IP address";
  if (LINK_LOCAL.test(checked.host)) return "counts on one link only";
  return OWN_HOST.test(checked.host) && !local ? "leads every client to itself" : undefined;
}

export const reflectorReplySchema = z.object({
  /** What the reflector's senders authenticate with; each counts from `from` until `until`. */
  secrets: z.array(z.object({ from: epochMs, until: epochMs, secret: keyText })),
  server_time: epochMs,
});
export type ReflectorReply = z.infer<typeof reflectorReplySchema>;

export const peersBodySchema = z.object({ client_ids: z.array(clientId).min(1).max(LIMITS.peersAtOnce) });

/** Why a client cannot be measured against. */
export const PEER_PROBLEMS = [
  /** It was deleted or retired. */
  "unknown",
  /** No test of the asking client names it. */
  "not_yours",
  /** It never said where it is: its agent has not been connected since the test was made, or is too old. */
  "no_address",
] as const;
export type PeerProblem = (typeof PEER_PROBLEMS)[number];

const peerSchema = z.object({
  client_id: clientId,
  name: z.string(),
  addresses: z.array(z.string()).min(1),
  /** Port of its reflector; null where it has none open. */
  port: port.nullable(),
  /** STAMP Session Identifier of the asking client (RFC 8972 section 3). */
  ssid: z.number().int().min(1).max(65_535),
  /** The asking client's key with this reflector. */
  key: keyText,
  /** The key counts until then. */
  until: epochMs,
});
/** A later edge may know further problems. */
const problemSchema = z.object({ client_id: clientId, problem: z.string() });

export const peersReplySchema = z.object({ peers: z.array(z.union([peerSchema, problemSchema])), server_time: epochMs });
export type PeersReply = z.infer<typeof peersReplySchema>;
export type PeerReply = PeersReply["peers"][number];
