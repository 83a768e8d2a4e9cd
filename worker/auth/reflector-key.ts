// Keys between agents. A reflector's secret is derived, never stored: it ends with its slot of time and with the client's
// token. The agent derives a sender's key from the secret in the same way (agent/stamp/key.ts).
import type { Env } from "../env.ts";

const encoder = new TextEncoder();

async function hmac(key: Uint8Array, message: Uint8Array): Promise<Uint8Array> {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, message));
}

/** The secret of a client's reflector in one slot of time, 32 bytes. */
export function reflectorSecret(env: Env, clientId: string, tokenEpoch: number, slot: number): Promise<Uint8Array> {
  return hmac(encoder.encode(env.AGENT_KEY), encoder.encode(`reflector|${clientId}|${tokenEpoch}|${slot}`));
}

/** The key of one sender with a reflector: HMAC-SHA-256(secret, "stamp-session" || ssid as 16 bits, big endian). */
export function senderKey(secret: Uint8Array, ssid: number): Promise<Uint8Array> {
  return hmac(secret, new Uint8Array([...encoder.encode("stamp-session"), ssid >> 8, ssid & 255]));
}

/** A client's STAMP Session Identifier: the first 16 bits of the SHA-256 of its id; 0 names no session (RFC 8972 section 3). */
export async function sessionIdOf(clientId: string): Promise<number> {
  const [high = 0, low = 0] = new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(clientId)));
  return (high << 8) | low || 1;
}
