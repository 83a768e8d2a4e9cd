// Agent tokens: `ssa_<client id>_<epoch>_<HMAC-SHA256>`. Verified without a database read and before any object is named;
// the client's object compares the epoch, so that a revoked token ends at once. Nothing is stored that could be stolen.
import type { Env } from "../env.ts";
import { base64url } from "../ids.ts";

const encoder = new TextEncoder();

function key(env: Env): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", encoder.encode(env.AGENT_KEY), { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]);
}

export async function issueAgentToken(env: Env, clientId: string, epoch: number): Promise<string> {
  const body = `ssa_${clientId}_${epoch}`;
  const mac = await crypto.subtle.sign("HMAC", await key(env), encoder.encode(body));
  return `${body}_${base64url(new Uint8Array(mac))}`;
}

/** Whose token it is, or undefined for anything this edge did not issue. Says nothing of revocation. */
export async function verifyAgentToken(env: Env, token: string): Promise<{ client_id: string; epoch: number } | undefined> {
  const parts = /^(ssa_([0-9a-z]{16})_(\d{1,9}))_([A-Za-z0-9_-]{43})$/.exec(token);
  if (parts === null) return undefined;
  const [, body = "", clientId = "", epoch = "", mac = ""] = parts;
  const bytes = Uint8Array.from(atob(mac.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
  const genuine = await crypto.subtle.verify("HMAC", await key(env), bytes, encoder.encode(body));
  return genuine ? { client_id: clientId, epoch: Number(epoch) } : undefined;
}
