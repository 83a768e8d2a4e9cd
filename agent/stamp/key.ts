// Keys of STAMP sessions: a reflector holds a secret, and each sender gets the key of its session identifier.
import { createHmac, randomBytes, randomInt } from "node:crypto";
import type { SessionKey } from "../peer.ts";

/** Length of a secret and of a key, bytes. */
export const SECRET_LENGTH = 32;

/** The key of one sender: HMAC-SHA-256(secret, "stamp-session" || ssid as 16 bits, big endian). */
export function deriveKey(secret: Uint8Array, ssid: number): Uint8Array {
  const id = Buffer.alloc(2);
  id.writeUInt16BE(ssid & 0xffff);
  return createHmac("sha256", secret).update("stamp-session").update(id).digest();
}

/** A fresh secret. */
export function newSecret(): Uint8Array {
  return randomBytes(SECRET_LENGTH);
}

/** A secret as people paste it: base64url, 43 characters. */
export function secretText(secret: Uint8Array): string {
  return Buffer.from(secret).toString("base64url");
}

/** Reads a secret in its text form; undefined when it is none. */
export function parseSecret(text: string): Uint8Array | undefined {
  const bare = text.trim();
  if (!/^[A-Za-z0-9_-]{43}=?$/.test(bare)) return undefined;
  const secret = Buffer.from(bare, "base64url");
  return secret.length === SECRET_LENGTH ? secret : undefined;
}

/** A session with a reflector whose secret is known, under a session identifier of its own (RFC 8972 section 3: never 0). */
export function sessionOf(secret: Uint8Array): SessionKey {
  const ssid = randomInt(1, 65536);
  return { ssid, key: deriveKey(secret, ssid) };
}
