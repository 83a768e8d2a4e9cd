import type { Role, SessionUser } from "#contract/api";
import type { Env } from "../env.ts";

/** Who asks: a person with a session, a script with an API token, or the fixed admin of AUTH_BYPASS. */
export interface Actor {
  user: SessionUser;
  via: "session" | "token" | "bypass";
  scopes: string[];
}

export type App = { Bindings: Env; Variables: { actor: Actor } };

const RANK: Record<Role, number> = { viewer: 0, user: 1, admin: 2 };

export const atLeast = (role: Role, wanted: Role): boolean => RANK[role] >= RANK[wanted];
