// Which TLS versions a server takes: one handshake for each, offering only that version.

import { TLS_VERSIONS, type TlsVersion } from "#contract/test-types/tls";
import type { Part } from "../budget.ts";
import { dial, type Endpoint } from "./endpoint.ts";
import { contextFor, type Handshake, handshake, partFrom } from "./tls-handshake.ts";

export type VersionAnswer = "accepted" | "refused" | "unknown";
export type VersionAnswers = Readonly<Record<TlsVersion, VersionAnswer>>;

/** What a handshake is made with. */
export interface Way {
  readonly endpoint: Endpoint;
  readonly host: string;
  readonly servername: string | undefined;
  readonly alpn: readonly string[];
}

/** Tries each version at the same time. A server that answers nothing leaves it unknown. */
export async function tryVersions(way: Way, part: Part): Promise<VersionAnswers> {
  const answers = await Promise.all(
    TLS_VERSIONS.map(async (version) => [version, await tryVersion(version, way, part)] as const),
  );
  return Object.fromEntries(answers) as VersionAnswers;
}

async function tryVersion(version: TlsVersion, way: Way, part: Part): Promise<VersionAnswer> {
  const { socket, outcome } = dial(way.endpoint, part.ms, part.signal);
  let result: Handshake | undefined;
  try {
    if ((await outcome).kind !== "connected") return "unknown";
    result = await handshake(socket, { ...way, context: contextFor(version, version), signal: part.signal });
    if (result.kind === "done") return "accepted";
    // A connection that breaks says nothing about the version; an alert, or a polite end, does.
    return result.kind === "over" || result.reset ? "unknown" : "refused";
  } finally {
    partFrom(socket, result);
  }
}
