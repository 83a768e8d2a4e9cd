// Who asks, and whether the role allows it.
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import type { Role } from "#contract/api";
import { readSession } from "../auth/session.ts";
import { type Env, isLocal } from "../env.ts";
import { sha256 } from "../ids.ts";
import { ProblemError } from "../problem-error.ts";
import { database } from "../store/database.ts";
import { findApiToken, touchToken } from "../store/tokens.ts";
import { toSessionUser } from "../store/users.ts";
import { type Actor, type App, atLeast } from "./context.ts";

const LOOPBACK = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

const BYPASS_ADMIN: Actor = {
  user: { id: "local-admin", username: "local admin", role: "admin", sites: null },
  via: "bypass",
  scopes: ["read", "write"],
};

/** AUTH_BYPASS counts only on a local edge, and only when both the address asked and the asking page are on this machine. */
export function bypassed(context: Context<App>): boolean {
  if (context.env.AUTH_BYPASS !== "1" || !isLocal(context.env)) return false;
  const host = context.req.header("host") ?? "";
  if (!LOOPBACK.test(host.replace(/:\d+$/, "")) || !LOOPBACK.test(new URL(context.req.url).hostname)) return false;
  const origin = context.req.header("origin");
  return origin === undefined || (URL.canParse(origin) && LOOPBACK.test(new URL(origin).hostname));
}

export function bearer(context: Context): string | undefined {
  return /^Bearer +([^\s]+)$/i.exec(context.req.header("authorization") ?? "")?.[1];
}

async function identify(context: Context<App>): Promise<Actor> {
  const token = bearer(context);
  if (token !== undefined) return identifyToken(context, token);
  const session = await readSession(context as unknown as Context<{ Bindings: Env }>);
  if (typeof session === "object") return { user: toSessionUser(session), via: "session", scopes: ["read", "write"] };
  if (bypassed(context)) return BYPASS_ADMIN;
  if (session === "ended") throw new ProblemError("session_expired", "Your session has ended. Sign in again.");
  throw new ProblemError("unauthenticated", "Sign in, or send an API token as Authorization: Bearer.");
}

async function identifyToken(context: Context<App>, secret: string): Promise<Actor> {
  const db = database(context.env.DB);
  const now = Date.now();
  const found = await findApiToken(db, await sha256(secret), now);
  // What the admin of AUTH_BYPASS made speaks for it, and only while there is such an admin.
  const bypassAdmin = found?.token.user_id === BYPASS_ADMIN.user.id && bypassed(context) ? BYPASS_ADMIN.user : undefined;
  const owner = found?.owner === undefined ? bypassAdmin : toSessionUser(found.owner);
  if (found === undefined || owner === undefined) {
    throw new ProblemError("bad_token", "This API token is not known, has expired or was revoked. Make a new one under Tokens.");
  }
  context.executionCtx.waitUntil(touchToken(db, found.token, now));
  return { user: owner, via: "token", scopes: found.token.scopes };
}

export const authenticate = createMiddleware<App>(async (context, next) => {
  const actor = await identify(context);
  const writes = !["GET", "HEAD", "OPTIONS"].includes(context.req.method);
  if (writes && !actor.scopes.includes("write")) throw new ProblemError("forbidden", "This API token may only read.");
  context.set("actor", actor);
  await next();
});

/** Lets a role and the ones above it pass. */
export function allow(role: Role) {
  return createMiddleware<App>(async (context, next) => {
    const { user } = context.get("actor");
    if (!atLeast(user.role, role)) {
      throw new ProblemError("forbidden", `This needs the role ${role}; yours is ${user.role}. Ask an admin.`);
    }
    await next();
  });
}
