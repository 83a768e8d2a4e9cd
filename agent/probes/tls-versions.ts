// Which TLS versions a server takes: one handshake for each, offering only that version.

import type { Reason } from "#contract/metrics";
import { TLS_VERSIONS, type TlsVersion } from "#contract/test-types/tls";
import type { Part } from "../budget.ts";
import { dial, type Endpoint } from "./endpoint.ts";
import { contextFor, type Handshake, handshake, partFrom } from "./tls-handshake.ts";

export type VersionAnswer = "accepted" | "refused" | "unknown";

/** What became of each version, and why some are unknown. */
export interface VersionAnswers {
  readonly answers: Readonly<Record<TlsVersion, VersionAnswer>>;
  readonly absent: Reason;
}

/** What a handshake is made with. */
export interface Way {
  readonly endpoint: Endpoint;
  readonly host: string;
  readonly servername: string | undefined;
  readonly alpn: readonly string[];
}

/** Tries each version at the same time. A server that answers nothing leaves it unknown. */
export async function tryVersions(way: Way, part: Part): Promise<VersionAnswers> {
  const tried = await Promise.all(TLS_VERSIONS.map(async (version) => [version, await tryVersion(version, way, part)] as const));
  const answers = Object.fromEntries(tried) as VersionAnswers["answers"];
  return { answers, absent: part.signal.aborted ? "timeout" : "unsupported" };
}

async function tryVersion(version: TlsVersion, way: Way, part: Part): Promise<VersionAnswer> {
  const { socket, outcome } = dial(way.endpoint, part.ms, part.signal);
  let result: Handshake | undefined;
  try {
    if ((await outcome).kind !== "connected") return "unknown";
    result = await handshake(socket, { ...way, context: contextFor(version, version), signal: part.signal });
    if (result.kind === "done") return "accepted";
    return result.kind === "error" && isRefusal(result) ? "refused" : "unknown";
  } finally {
    partFrom(socket, result);
  }
}

/** Alerts about what is offered beside the version (RFC 6066 3, RFC 7301 3.2). */
const ABOUT_ELSE = /UNRECOGNIZED_NAME|NO_APPLICATION_PROTOCOL/;

/**
 * Whether the server refused the version: by an alert, by a polite end, or by answering in another version. A connection that
 * breaks says nothing about it, nor does what this host's own OpenSSL refuses, such as a key that is too short.
 */
function isRefusal({ code, reset, alert }: Extract<Handshake, { kind: "error" }>): boolean {
  if (alert) return !ABOUT_ELSE.test(code);
  return (code === "ECONNRESET" && !reset) || code === "ERR_SSL_UNSUPPORTED_PROTOCOL";
}
