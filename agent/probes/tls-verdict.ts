// What a handshake's end means, in words and in the codes of a result. Pure.

import { type CertificateReading, daysLeft, isoOf } from "./certificate.ts";
import type { Endpoint, Failure } from "./endpoint.ts";
import { showEndpoint } from "./endpoint.ts";
import type { Handshake } from "./tls-handshake.ts";

/** A certificate that is not accepted, by the code Node and OpenSSL give. */
export function certificateFailure(
  code: string,
  host: string,
  certificate: CertificateReading | undefined,
  now: number,
): Failure {
  const message = `the certificate is not valid for ${host}: ${explainCertificate(code, host, certificate, now)} (${code})`;
  const source = code === HOST_CLOCK_WRONG ? "agent" : "target";
  return { error: { code: "certificate", source, message: message.slice(0, 1000) }, reason: "not_applicable" };
}

/** In place of an error about dates that only this host's wrong clock sees; what else may be wrong with the certificate it hides. */
export const HOST_CLOCK_WRONG = "HOST_CLOCK_WRONG";
const DATE_ERRORS: readonly (string | null)[] = ["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"];

/** What is wrong with a certificate by the true time (epoch ms), where the system's clock, by which it was judged, is not true. */
export function errorByTrueTime(error: string | null, certificate: CertificateReading | undefined, now: number): string | null {
  if (certificate === undefined || (error !== null && !DATE_ERRORS.includes(error))) return error;
  const dates = (name: "not_before" | "not_after") => certificate.chain.flatMap((link) => link[name] ?? []).map(Date.parse);
  if (dates("not_after").some((time) => time < now)) return "CERT_HAS_EXPIRED";
  if (dates("not_before").some((time) => time > now)) return "CERT_NOT_YET_VALID";
  return error === null ? null : HOST_CLOCK_WRONG;
}

/** What a code means for this certificate and what to do about it. Its names are free of control characters. */
export function explainCertificate(code: string, host: string, certificate: CertificateReading | undefined, now: number): string {
  const until = isoOf(certificate?.not_after ?? null)?.slice(0, 10) ?? "an unknown day";
  switch (code) {
    case "CERT_HAS_EXPIRED": {
      // An intermediate certificate may be the one that ended.
      if (certificate === undefined || certificate.not_after === null || certificate.not_after > now)
        return "a certificate of its chain has ended; renew the chain";
      return `it ended on ${until}, ${daysAgo(certificate.not_after, now)}; renew it`;
    }
    case "CERT_NOT_YET_VALID":
      return `it begins on ${isoOf(certificate?.not_before ?? null)?.slice(0, 10) ?? "a later day"}; look at the clocks of both ends`;
    case "ERR_TLS_CERT_ALTNAME_INVALID": {
      const names = certificate?.sans.slice(0, 5).join(", ") || certificate?.subject_cn || "no name at all";
      return `it names ${names}, not ${host}; ask for the right name or get a certificate for it`;
    }
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
      return "it is signed by itself, which no authority vouches for; use one from an authority, or let the agent trust it (--ca FILE)";
    case "SELF_SIGNED_CERT_IN_CHAIN":
      return "its chain ends at an authority this host does not trust; let the agent trust that authority (--ca FILE), or look for interception on the way";
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return "its issuer is unknown here; the server leaves out an intermediate certificate, or the agent has to be told of its authority (--ca FILE)";
    case HOST_CLOCK_WRONG:
      return "its dates are good, but not by this host's clock, which is wrong; set the clock";
    case "CERT_REVOKED":
      return "it was revoked; replace it";
    default:
      return "this host's checks refuse it";
  }
}

function daysAgo(then: number, now: number): string {
  const days = daysLeft(now, then);
  return days === 0 ? "less than a day ago" : days === 1 ? "a day ago" : `${days} days ago`;
}

/** What a handshake that failed means. `over` is the run's time, ended while the server owed an answer. */
export function handshakeFailure(result: Exclude<Handshake, { kind: "done" }>, endpoint: Endpoint, received: number): Failure {
  const where = showEndpoint(endpoint);
  if (result.kind === "over") {
    const got = received === 0 ? "sent nothing" : `sent ${received} bytes`;
    const message = `${where} accepted the connection and did not end the TLS handshake within ${(result.ms / 1000).toFixed(1)} s (it ${got})`;
    return { error: { code: "deadline", source: "target", message }, reason: "timeout" };
  }
  if (result.reset) {
    const message = `${where} reset the connection during the TLS handshake; a firewall that dislikes the name, or no TLS on this port`;
    return { error: { code: "reset", source: "target", message }, reason: "refused" };
  }
  const message = `${where} did not agree on TLS: ${refusal(result.code)} (${result.code})`;
  return { error: { code: "tls_failed", source: "target", message }, reason: "refused" };
}

/** OpenSSL's reasons, as Node names them. */
function refusal(code: string): string {
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG" || code === "ERR_SSL_UNKNOWN_PROTOCOL")
    return "what it answers is not TLS; is this port plain text, or one that begins with STARTTLS?";
  if (code.includes("PROTOCOL_VERSION") || code === "ERR_SSL_UNSUPPORTED_PROTOCOL" || code === "ERR_SSL_NO_PROTOCOLS_AVAILABLE")
    return "it takes none of the TLS versions offered; try --check-versions, or --min-version TLSv1";
  if (code.includes("NO_APPLICATION_PROTOCOL")) return "it speaks none of the protocols offered; change --alpn";
  if (code.includes("UNRECOGNIZED_NAME")) return "it knows no such name; change --servername";
  if (code.includes("CERTIFICATE_REQUIRED") || code.includes("BAD_CERTIFICATE")) return "it wants a client certificate";
  if (code.includes("EXCESSIVE_MESSAGE_SIZE"))
    return "it sent a message larger than TLS allows here, such as an endless certificate chain";
  if (code.includes("HANDSHAKE_FAILURE")) return "no cipher or parameter suits both sides";
  if (code === "ECONNRESET" || code === "EPIPE") return "it closed the connection";
  if (code.includes("ALERT")) return "it answered with an alert";
  return "its answer was not valid";
}
