// Reads the environment of `npm start` and refuses what cannot work or would be unsafe.
import { isIPv4, isIPv6 } from "node:net";
import { LIMITS } from "#contract/limits";
import { OpsError } from "./ops-error.ts";
import { type StatePaths, stateDir, statePaths } from "./paths.ts";

export interface Settings {
  host: string;
  port: number;
  /** What people open. */
  url: string;
  /** How this machine reaches the edge, without asking a resolver. */
  localUrl: string;
  state: StatePaths;
  localAgent: boolean;
  authBypass: boolean;
  /** The first account is given, so no setup link is needed. */
  admin: { username: string; password: string } | null;
  enrolmentToken: string | null;
}

export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const host = env.HOST === "localhost" ? "127.0.0.1" : env.HOST || "127.0.0.1";
  if (!isIPv4(host) && !isIPv6(host)) {
    throw new OpsError(
      `HOST=${host} is not an IP address to listen on. Use 127.0.0.1 for this machine only, 0.0.0.0 for every address.`,
    );
  }
  const port = Number(env.PORT || 8787);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new OpsError(`PORT=${env.PORT} is not a port. Give a number from 1 to 65535, as in PORT=8788 npm start.`);
  }
  const authBypass = env.AUTH_BYPASS === "1";
  if (authBypass && !isLoopback(host)) {
    throw new OpsError(
      `AUTH_BYPASS=1 lets everybody in as an administrator, and HOST=${host} is reachable from other machines, so this does not start.\n` +
        "Leave HOST away (127.0.0.1), or leave AUTH_BYPASS away and sign in.",
    );
  }
  return {
    host,
    port,
    url: `http://${publicName(host)}:${port}`,
    localUrl: `http://${bracketed(reachable(host))}:${port}`,
    state: statePaths(stateDir(env)),
    localAgent: env.STREAMSWARM_LOCAL_AGENT !== "0",
    authBypass,
    admin: readAdmin(env),
    enrolmentToken: env.ENROLMENT_TOKEN || null,
  };
}

function readAdmin(env: NodeJS.ProcessEnv): Settings["admin"] {
  const username = env.ADMIN_USERNAME || "";
  const password = env.ADMIN_PASSWORD || "";
  if (!username && !password) return null;
  if (!username || !password) {
    throw new OpsError(
      `${username ? "ADMIN_PASSWORD" : "ADMIN_USERNAME"} is missing. The first account needs both; without either you get a setup link.`,
    );
  }
  const { min, max } = LIMITS.password;
  if (password.length < min || password.length > max) {
    throw new OpsError(`ADMIN_PASSWORD has ${password.length} characters; it must have ${min} to ${max}.`);
  }
  return { username, password };
}

export function isLoopback(host: string): boolean {
  return host.startsWith("127.") || host === "::1";
}

function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

function publicName(host: string): string {
  return ["127.0.0.1", "::1", "0.0.0.0", "::"].includes(host) ? "localhost" : bracketed(host);
}

function bracketed(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}
