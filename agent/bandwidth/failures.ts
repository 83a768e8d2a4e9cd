// What went wrong with a bandwidth run, whose fault it is, and what to do. Pure.

import { printable } from "../printable.ts";
import { connectFailure, type Failure, type Peer, STOPPED, showEndpoint } from "../probes/endpoint.ts";
import type { ResponseHead } from "./response-reader.ts";
import type { WireTrouble } from "./wire.ts";

const target = (code: Failure["error"]["code"], message: string, reason: Failure["reason"]): Failure => ({
  error: { code, source: "target", message: message.slice(0, 1000) },
  reason,
});

/** A connection or an exchange that broke. `waited_ms` is how long it was waited for. */
export function wireFailure(trouble: WireTrouble, peer: Peer, waited_ms: number): Failure {
  const where = showEndpoint(peer);
  switch (trouble.kind) {
    case "stopped":
      return STOPPED;
    case "timeout":
      return connectFailure({ kind: "timeout", ms: waited_ms }, peer);
    case "errno":
      return connectFailure({ kind: "error", errno: trouble.errno, local: trouble.local, ms: 0 }, peer);
    case "certificate":
      return target(
        "certificate",
        `the certificate of ${where} is not accepted (${printable(trouble.code)}); run 'probe tls' on it, or give --ca`,
        "not_applicable",
      );
    case "tls":
      return target("tls_failed", `TLS with ${where} failed: ${printable(trouble.message)}`, "refused");
    case "closed":
      return target("reset", `${where} closed the connection before its answer was complete`, "refused");
    case "bad":
      return target("bad_response", `${where} speaks no HTTP/1.1 as it should: ${trouble.message}`, "unsupported");
  }
}

/** An answer that carries no measurement; undefined for one that does. `method` is the request's. */
export function statusFailure({ status, headers }: ResponseHead, method: string, peer: Peer): Failure | undefined {
  if (status >= 200 && status < 300) return undefined;
  const where = showEndpoint(peer);
  if (status === 503 || status === 429) {
    const after = /^\d{1,6}$/.exec(headers.get("retry-after") ?? "")?.[0];
    const wait = after === undefined ? "" : `; it asks to come again in ${after} s`;
    return target("skipped", `${where} is busy (${status})${wait}`, "not_applicable");
  }
  if (status >= 300 && status < 400) {
    const to = printable(headers.get("location") ?? "").slice(0, 200);
    return target(
      "http_status",
      `${where} redirects (${status}) to ${to}, which is not followed; name that URL`,
      "not_applicable",
    );
  }
  if (status === 401 || status === 403) {
    const message = `${where} answers ${status}: it wants a key or a token that this run has not; a reflector's is given by --key`;
    return target("http_status", message, "no_permission");
  }
  return target("http_status", `${where} answers ${method} with status ${status}`, "not_applicable");
}

/** An answer with too few bytes for a rate. */
export const tooSmall = (bytes: number, peer: Peer): Failure =>
  target(
    "bad_response",
    `${showEndpoint(peer)} answers with ${bytes} bytes only; a rate needs files of 256 KiB and more, better 100 MB`,
    "not_applicable",
  );

/** Nothing moved for as long as it was waited. */
export function silentFailure(direction: "down" | "up", peer: Peer, waited_ms: number): Failure {
  const what = direction === "down" ? "sent no byte" : "took no byte";
  const message = `${showEndpoint(peer)} accepted the connection and ${what} within ${(waited_ms / 1000).toFixed(1)} s`;
  return target("no_reply", message, "timeout");
}
