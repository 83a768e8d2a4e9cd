// Becoming a client: an enrolment token is exchanged for a client id and a token of the agent's own.
import os from "node:os";
import type { ConsentReport } from "#contract/consent";
import type { Capabilities, Platform, RegisterReply } from "#contract/wire";
import type { Config } from "./config.ts";
import type { Answer, EdgeHttp, Refusal } from "./edge-http.ts";
import { FatalError } from "./exit.ts";
import type { Identity } from "./identity.ts";
import { VERSION } from "./version.ts";

/** This host, as the server shows it. */
export function platform(): Platform {
  const short = (text: string, length: number) => text.slice(0, length);
  return {
    os: process.platform,
    arch: short(process.arch, 32),
    release: short(os.release(), 128),
    hostname: short(os.hostname(), 255),
    node: process.version,
  };
}

/** One try. The old client token, where one is held, proves that this is the same client. */
export function register(
  http: EdgeHttp,
  config: Config,
  identity: Identity,
  told: { readonly capabilities: Capabilities; readonly consent: ConsentReport | null | undefined },
): Promise<Answer<RegisterReply>> {
  if (config.token === undefined) {
    throw new FatalError(
      "this agent is not registered and has no enrolment token. Make one in the dashboard (Settings, Tokens) and start again with --token",
    );
  }
  return http.register(config.token, {
    name: config.name,
    version: VERSION,
    platform: platform(),
    install_id: identity.install_id,
    ...told,
    ...(config.site === undefined ? {} : { site: config.site }),
    ...(Object.keys(config.tags).length === 0 ? {} : { tags: config.tags }),
    ...(identity.token === null ? {} : { proof: identity.token }),
  });
}

/** What an enrolment that can never succeed means for people. Undefined: try again later. */
export function registrationVerdict({ status, code, detail }: Refusal): string | undefined {
  if (status === 401)
    return `the server does not accept the enrolment token (${detail}). Make a new one in the dashboard and start again with --token`;
  if (status === 403 || status === 409) return `the server refuses to register this agent: ${detail}`;
  if (status === 422 || status === 400) return `the server does not accept how this agent describes itself: ${detail}`;
  if (status === 404) return "there is no StreamSwarm at this address; is --server right?";
  return code === "" && status < 500 && status !== 429
    ? `the server answered ${status} ${detail}; is --server right?`
    : undefined;
}
