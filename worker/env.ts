// What the runtime hands to the Worker: bindings of wrangler.toml and secrets.
import type { ClientObject } from "./objects/client-object.ts";
import type { FleetObject } from "./objects/fleet-object.ts";
import type { PasswordObject } from "./objects/password-object.ts";

export interface Env {
  DB: D1Database;
  ASSETS: Fetcher;
  CLIENT: DurableObjectNamespace<ClientObject>;
  FLEET: DurableObjectNamespace<FleetObject>;
  PASSWORD: DurableObjectNamespace<PasswordObject>;
  FAILURES: RateLimit;
  /** Bytes of bandwidth tests, in units of ten million. */
  SPEED: RateLimit;
  /** Signs session cookies; at least 32 random bytes. */
  SESSION_KEY: string;
  /** Signs agent tokens; at least 32 random bytes. */
  AGENT_KEY: string;
  /** One-time code of the setup link; without it no first account can be made in the browser. */
  SETUP_CODE?: string;
  ADMIN_USERNAME?: string;
  ADMIN_PASSWORD?: string;
  /** Seeds a reusable enrolment token. */
  ENROLMENT_TOKEN?: string;
  /** Set by `npm start` only: this edge runs on one machine, not at Cloudflare. */
  STREAMSWARM_LOCAL?: string;
  LOCAL_AGENT_TOKEN?: string;
  STARTER_DESTINATION?: string;
  AUTH_BYPASS?: string;
}

/** True on an edge that `npm start` runs; `request.cf` is made up there and ignored. */
export function isLocal(env: Env): boolean {
  return env.STREAMSWARM_LOCAL === "1";
}

/**
 * An object as its callers see it: every method answers a promise. The generated stub type refuses values of unknown shape
 * (a result's detail), which structured clone carries without trouble.
 */
export type Stub<Target> = { fetch(request: Request): Promise<Response> } & {
  [Method in keyof Target as Method extends "fetch" ? never : Method]: Target[Method] extends (...args: infer Args) => infer Reply
    ? (...args: Args) => Promise<Awaited<Reply>>
    : never;
};

/** One client's object. Only for ids that a verified token or a row of D1 named: naming an object creates it. */
export function clientObject(env: Env, id: string, hint?: DurableObjectLocationHint): Stub<ClientObject> {
  return env.CLIENT.getByName(id, hint === undefined ? {} : { locationHint: hint }) as unknown as Stub<ClientObject>;
}

/** The one object that knows the whole fleet. */
export function fleet(env: Env): Stub<FleetObject> {
  return env.FLEET.getByName("fleet") as unknown as Stub<FleetObject>;
}
