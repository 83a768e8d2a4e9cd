// A certificate in words: for how long it is valid, why it is not, and the chain above it.
import { z } from "zod";
import type { Result } from "#contract/result";
import { formatText } from "../format.ts";
import { listOf, textOrNull, texts, wordOf } from "./read.ts";

export const WARN_BELOW_DAYS = 21;
export const BAD_BELOW_DAYS = 7;

export function daysTone(days: unknown): "ok" | "warn" | "bad" | null {
  if (typeof days !== "number") return null;
  if (days < BAD_BELOW_DAYS) return "bad";
  return days < WARN_BELOW_DAYS ? "warn" : "ok";
}

const days = (count: number) => formatText("cert_days_left", count);

/** "expired 3 days ago", "expires today", "63 days left". */
export function daysText(left: number): string {
  const whole = Math.floor(left);
  if (whole < 0) return `expired ${days(-whole)} ago`;
  return whole === 0 ? "expires within a day" : `${days(whole)} left`;
}

/** Why a chain is refused, by the code Node and OpenSSL give it (X509_verify_cert_error_string(3)). */
const WHY: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "it has expired",
  CERT_NOT_YET_VALID: "its validity has not begun yet (or this host's clock is behind)",
  ERR_TLS_CERT_ALTNAME_INVALID: "it is for other names than the one that was asked for",
  HOSTNAME_MISMATCH: "it is for other names than the one that was asked for",
  DEPTH_ZERO_SELF_SIGNED_CERT: "it signed itself; no authority this host trusts stands behind it",
  SELF_SIGNED_CERT_IN_CHAIN: "its chain ends at an authority this host does not trust",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the server leaves out the certificate that signed it",
  UNABLE_TO_GET_ISSUER_CERT: "the certificate of its issuer is missing",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its issuer is unknown to this host",
  CERT_REVOKED: "it was revoked",
  CERT_UNTRUSTED: "it is not trusted for this use",
  CERT_REJECTED: "it is not trusted for this use",
  CERT_SIGNATURE_FAILURE: "its signature is wrong",
  CERT_CHAIN_TOO_LONG: "its chain is too long",
  INVALID_CA: "a certificate in its chain may not sign others",
  INVALID_PURPOSE: "it is not meant for servers",
  PATH_LENGTH_EXCEEDED: "its chain is longer than its issuer allows",
  WEAK_KEY: "its key is too weak",
};

/** Why the certificate is not valid, as the end of a sentence; null while it is, or when nothing was said. */
export function whyInvalid({ metrics, error }: Pick<Result, "metrics" | "error">): string | null {
  if (metrics.tls_authorized === true) return null;
  const code = metrics.tls_error;
  if (typeof code === "string" && code !== "") return wordOf(WHY, code) ?? code.toLowerCase().replaceAll("_", " ");
  return metrics.tls_authorized === false ? (error?.message ?? "this host does not trust it") : null;
}

/** What is to be said of a certificate that was seen: until when it is valid, or that it is not; null when none was. */
export function certificateSentence(
  result: Pick<Result, "metrics" | "error">,
): { tone: "ok" | "warn" | "bad"; text: string } | null {
  const left = result.metrics.cert_days_left;
  const tone = daysTone(left);
  const why = whyInvalid(result);
  if (why !== null) return { tone: "bad", text: `Its certificate is not valid: ${why}.` };
  if (tone === null || typeof left !== "number") return null;
  return { tone, text: left < 0 ? `Its certificate ${daysText(left)}.` : `Its certificate is valid: ${daysText(left)}.` };
}

const NAMES_MOST = 100;

/** Names the certificate is good for, as far as the run brought them. */
export function namesOf({ detail, metrics }: Pick<Result, "detail" | "metrics">): string[] {
  const listed = texts(detail.sans, NAMES_MOST);
  if (listed.length > 0 || typeof metrics.cert_sans !== "string") return listed;
  return metrics.cert_sans.split(",").flatMap((name) => name.trim() || []);
}

const linkSchema = z.object({
  subject: textOrNull,
  issuer: textOrNull,
  not_after: textOrNull,
});
export type ChainLink = z.output<typeof linkSchema>;

/** From the server's own certificate up, as far as it is known. */
export const chainOf = ({ detail }: Pick<Result, "detail">): ChainLink[] => listOf(detail.chain, linkSchema, 12);
