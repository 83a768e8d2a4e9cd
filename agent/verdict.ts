// What the end of a connection means for the next step. Pure.
import { CLOSE } from "#contract/limits";
import { isTokenRefusal, type Refusal } from "./edge-http.ts";
import type { SessionEnd } from "./edge-socket.ts";

export type Verdict =
  /** Connect again: `spread` when a whole fleet may be doing the same, `wait` at least so many ms. */
  | { readonly next: "retry"; readonly spread?: boolean; readonly wait?: number | null }
  /** This client is none any more: people ended it, another one took its identity, or the server does not know it (any more). */
  | { readonly next: "revoked" | "superseded" | "unknown"; readonly why: string };

/** How a session ended, or undefined for one that never began: then the server has to be asked why. */
export function judgeEnd(end: SessionEnd): Verdict | undefined {
  if (end.code === CLOSE.revoked) return { next: "revoked", why: "this agent's access was revoked" };
  if (end.code === CLOSE.superseded) {
    return { next: "superseded", why: "another agent runs with the same identity (a copied disk?)" };
  }
  return end.welcomed ? { next: "retry", spread: end.code === CLOSE.tryLater || end.code === 1001 } : undefined;
}

/** What a refusal over HTTPS means. */
export function judgeRefusal(refused: Refusal): Verdict {
  if (isTokenRefusal(refused)) {
    const next = refused.code === "token_revoked" ? "revoked" : "unknown";
    return { next, why: `the server does not accept this agent's token (${refused.detail})` };
  }
  return { next: "retry", spread: refused.status === 429 || refused.status === 503, wait: refused.retryAfter };
}
