// Reads the certificate a server showed. Names in it are the server's own words: bounded, and freed of control characters.
import { type KeyObject, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { DetailedPeerCertificate } from "node:tls";

const CHAIN_MOST = 8;
const SANS_MOST = 50;
const TEXT_MOST = 200;
const DAY_MS = 86_400_000;

export interface ChainLink {
  readonly subject: string;
  readonly issuer: string;
  /** RFC 3339, null where the certificate holds no date. */
  readonly not_before: string | null;
  readonly not_after: string | null;
  /** SHA-256 of the certificate, lower-case hexadecimal. */
  readonly fingerprint: string;
}

export interface CertificateReading {
  readonly subject_cn: string | null;
  /** Common name of the issuer, else its organisation. */
  readonly issuer: string | null;
  /** Names it is good for, without their kind, at most 50. */
  readonly sans: readonly string[];
  readonly sans_count: number;
  /** Epoch ms; null where the certificate holds no date. */
  readonly not_before: number | null;
  readonly not_after: number | null;
  readonly fingerprint_sha256: string;
  readonly key_type: string | null;
  readonly key_bits: number | null;
  /** Leaf first, up to the root where it is known; at most 8. */
  readonly chain: readonly ChainLink[];
  readonly chain_len: number;
  /** Whether it is good for this name or IP literal (RFC 9525). */
  names(host: string): boolean;
}

/** The part of a TLSSocket that is read, so that what it gave may be read once the socket is gone. */
export interface ShowsCertificate {
  getPeerCertificate(detailed: true): DetailedPeerCertificate;
}

/** The peer's certificate after a handshake; undefined when it showed none, or none that can be read. Never throws. */
export function readCertificate(socket: ShowsCertificate): CertificateReading | undefined {
  const [leaf, ...issuers] = chainOf(socket);
  if (leaf === undefined) return undefined;
  const sans = namesOf(leaf.subjectAltName);
  const key = keyOf(leaf);
  return {
    subject_cn: attribute(leaf.subject, "CN"),
    issuer: attribute(leaf.issuer, "CN") ?? attribute(leaf.issuer, "O"),
    sans: sans.slice(0, SANS_MOST),
    sans_count: sans.length,
    not_before: dateOf(leaf.validFrom),
    not_after: dateOf(leaf.validTo),
    fingerprint_sha256: hex(leaf.fingerprint256),
    key_type: key?.asymmetricKeyType ?? null,
    key_bits: key === undefined ? null : keyBits(key),
    chain: [leaf, ...issuers].slice(0, CHAIN_MOST).map(linkOf),
    chain_len: 1 + issuers.length,
    names: (host) => (isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host)) !== undefined,
  };
}

/** Whole days until a certificate ends, negative once it has ended. */
export const daysLeft = (not_after: number, now: number): number => Math.floor((not_after - now) / DAY_MS);

function linkOf(certificate: X509Certificate): ChainLink {
  return {
    subject: nameOf(certificate.subject),
    issuer: nameOf(certificate.issuer),
    not_before: isoOf(dateOf(certificate.validFrom)),
    not_after: isoOf(dateOf(certificate.validTo)),
    fingerprint: hex(certificate.fingerprint256),
  };
}

/**
 * The certificate and its issuers, each once: a root is its own issuer, and hostile chains go in circles.
 * By getPeerCertificate, since getPeerX509Certificate takes the leaf out of the connection and can be called but once.
 */
function chainOf(socket: ShowsCertificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  const seen = new Set<string>();
  let next: Partial<DetailedPeerCertificate> | null = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && next.fingerprint256 !== undefined && !seen.has(next.fingerprint256)) {
    seen.add(next.fingerprint256);
    const certificate = parse(next.raw);
    if (certificate === undefined) break;
    chain.push(certificate);
    next = next.issuerCertificate ?? null;
  }
  return chain;
}

function parse(der: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    // What the handshake took and this parser does not is no certificate we can speak of.
    return undefined;
  }
}

/** The distinguished name on one line: `CN=crm.example, O=Example`. Node gives one attribute a line. */
const nameOf = (name = ""): string => clean(name.split("\n").join(", "));

function attribute(name: string | undefined, key: string): string | null {
  const line = (name ?? "").split("\n").find((each) => each.startsWith(`${key}=`));
  const value = line === undefined ? "" : clean(line.slice(key.length + 1));
  return value === "" ? null : value;
}

/** `DNS:crm.example, IP Address:192.0.2.10` as the bare names; Node quotes what holds a comma. */
function namesOf(text: string | undefined): string[] {
  const entries = (text ?? "").match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
  return entries.map((entry) => clean(entry.replace(/^\s*(DNS|IP Address|URI|email):/, ""))).filter((entry) => entry !== "");
}

function keyOf(certificate: X509Certificate): KeyObject | undefined {
  try {
    return certificate.publicKey;
  } catch {
    // A key of a kind this OpenSSL does not know is no key to us.
    return undefined;
  }
}

const CURVE_BITS: Readonly<Record<string, number>> = {
  prime256v1: 256,
  secp256k1: 256,
  secp384r1: 384,
  secp521r1: 521,
};
const EDWARDS_BITS: Readonly<Record<string, number>> = { ed25519: 256, ed448: 456 };

function keyBits(key: KeyObject): number | null {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  return modulusLength ?? CURVE_BITS[namedCurve ?? ""] ?? EDWARDS_BITS[key.asymmetricKeyType ?? ""] ?? null;
}

function dateOf(text: string): number | null {
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time;
}

/** RFC 3339, UTC. */
export const isoOf = (time: number | null): string | null => (time === null ? null : new Date(time).toISOString());

const hex = (fingerprint: string): string => fingerprint.replaceAll(":", "").toLowerCase();

/** Control and direction characters would act on a terminal or a page that shows the name. */
const clean = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "")
    .trim()
    .slice(0, TEXT_MOST);
