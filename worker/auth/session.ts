// Session cookies: a signed token that names a session row. Deleting the row, or disabling the user, ends it at once.
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { errors, jwtVerify, SignJWT } from "jose";
import type { Env } from "../env.ts";
import { newId } from "../ids.ts";
import { type Database, database } from "../store/database.ts";
import type { UserRow } from "../store/schema.ts";
import { deleteSession, findSessionUser, insertSession } from "../store/users.ts";

const COOKIE = "streamswarm_session";
const LASTS_S = 14 * 86_400;
const ISSUER = "streamswarm";

const secret = (env: Env) => new TextEncoder().encode(env.SESSION_KEY);

type AppContext = Context<{ Bindings: Env }>;

function cookieOptions(context: AppContext) {
  return { httpOnly: true, sameSite: "Lax", path: "/", secure: new URL(context.req.url).protocol === "https:" } as const;
}

export async function startSession(context: AppContext, db: Database, userId: string): Promise<void> {
  const id = newId() + newId();
  const now = Date.now();
  await insertSession(db, id, userId, now, now + LASTS_S * 1000);
  const token = await new SignJWT({ sid: id })
    .setProtectedHeader({ alg: "HS256" })
    .setIssuer(ISSUER)
    .setExpirationTime(new Date(now + LASTS_S * 1000))
    .sign(secret(context.env));
  setCookie(context, COOKIE, token, { ...cookieOptions(context), maxAge: LASTS_S });
}

async function sessionId(context: AppContext): Promise<string | undefined> {
  const cookie = getCookie(context, COOKIE);
  if (cookie === undefined) return undefined;
  try {
    const { payload } = await jwtVerify<{ sid: string }>(cookie, secret(context.env), { issuer: ISSUER, algorithms: ["HS256"] });
    return payload.sid;
  } catch (error) {
    if (error instanceof errors.JOSEError) return "";
    throw error;
  }
}

/** `absent` without a cookie, `ended` with one that is forged, expired, revoked or whose user is disabled. */
export async function readSession(context: AppContext): Promise<UserRow | "absent" | "ended"> {
  const id = await sessionId(context);
  if (id === undefined) return "absent";
  if (id === "") return "ended";
  return (await findSessionUser(database(context.env.DB), id, Date.now())) ?? "ended";
}

export async function endSession(context: AppContext): Promise<void> {
  const id = await sessionId(context);
  if (id !== undefined && id !== "") await deleteSession(database(context.env.DB), id);
  deleteCookie(context, COOKIE, cookieOptions(context));
}
