// From one handshake to the metrics of a tls run. Pure.
import { metricsOf, type Reason } from "#contract/metrics";
import { HTTP_TLS_METRICS } from "#contract/test-types/http";
import { TLS_VERSIONS } from "#contract/test-types/tls";
import { round3 } from "../statistics.ts";
import { type CertificateReading, daysLeft, isoOf } from "./certificate.ts";
import { MetricSheet } from "./probe.ts";
import type { Agreement, Handshake } from "./tls-handshake.ts";
import type { VersionAnswers } from "./tls-versions.ts";

/** What one run found; what it did not reach is absent. */
export interface TlsReading {
  readonly tcp_ms?: number;
  readonly handshake?: Handshake;
  readonly versions?: VersionAnswers | undefined;
  /** Whether the versions were to be tried. */
  readonly check_versions: boolean;
  /** Fingerprint of the test's last run, where there was one. */
  readonly before?: string | undefined;
  /** Epoch ms. */
  readonly now: number;
  /** Why the run came no further. */
  readonly absent: Reason;
}

const CERTIFICATE = HTTP_TLS_METRICS.filter((name) => name.startsWith("cert_"));
/** Longest text a metric may be. */
const TEXT_MOST = 500;

/** Every tls metric of a run, value or null with its reason. */
export function tlsMetrics(reading: TlsReading): MetricSheet {
  const sheet = new MetricSheet();
  const { tcp_ms, handshake, absent } = reading;
  sheet.set("tls_tcp_ms", tcp_ms === undefined ? undefined : round3(tcp_ms), absent);
  if (handshake?.kind === "error") sheet.set("tls_error", handshake.code, absent);
  if (handshake?.kind === "done") {
    sheet.set("tls_handshake_ms", round3(handshake.ms), absent);
    const { agreed } = handshake;
    setAgreement(sheet, agreed, reading.now);
    sheet.set("tls_resumed", agreed.resumed, "unsupported");
    sheet.set("tls_ocsp_stapled", agreed.ocsp_stapled, "unsupported");
    setChange(sheet, agreed.certificate, reading);
  }
  setVersions(sheet, reading);
  sheet.fill(metricsOf("tls"), absent);
  return sheet;
}

/** What the handshake agreed on and the certificate, for every probe that speaks TLS. `now` is epoch ms. */
export function setAgreement(sheet: MetricSheet, agreed: Agreement, now: number): void {
  sheet.set("tls_version", agreed.version, "unsupported");
  sheet.set("tls_cipher", agreed.cipher, "unsupported");
  sheet.set("tls_alpn", agreed.alpn, "not_applicable");
  sheet.set("tls_authorized", agreed.authorized, "not_applicable");
  sheet.set("tls_error", agreed.authorization_error, "not_applicable");
  if (agreed.certificate === undefined) sheet.fill(CERTIFICATE, "not_applicable");
  else setCertificate(sheet, agreed.certificate, now);
}

function setCertificate(sheet: MetricSheet, certificate: CertificateReading, now: number): void {
  const { not_after, sans, fingerprint_sha256 } = certificate;
  sheet.set("cert_days_left", not_after === null ? null : daysLeft(not_after, now), "unsupported");
  sheet.set("cert_not_after", isoOf(not_after), "unsupported");
  sheet.set("cert_issuer", certificate.issuer, "not_applicable");
  sheet.set("cert_subject_cn", certificate.subject_cn, "not_applicable");
  sheet.set("cert_sans", sans.length === 0 ? null : sans.join(", ").slice(0, TEXT_MOST), "not_applicable");
  sheet.set("cert_fingerprint_sha256", fingerprint_sha256, "unsupported");
  sheet.set("cert_key_bits", certificate.key_bits, "unsupported");
  sheet.set("cert_key_type", certificate.key_type, "unsupported");
  sheet.set("cert_chain_len", certificate.chain_len, "unsupported");
}

function setChange(sheet: MetricSheet, certificate: CertificateReading | undefined, { before }: TlsReading): void {
  const changed = before === undefined ? null : before !== certificate?.fingerprint_sha256;
  sheet.set("cert_changed", changed, certificate === undefined ? "not_applicable" : "too_few_samples");
}

function setVersions(sheet: MetricSheet, { versions, check_versions, handshake, absent }: TlsReading): void {
  if (versions === undefined) {
    const late: Reason = handshake === undefined ? absent : "timeout";
    sheet.set("tls_versions", null, check_versions ? late : "not_applicable");
    return;
  }
  // A list with a gap in it would read as a refusal.
  const known = TLS_VERSIONS.every((version) => versions.answers[version] !== "unknown");
  const accepted = TLS_VERSIONS.filter((version) => versions.answers[version] === "accepted");
  sheet.set("tls_versions", known ? accepted.join(", ") || "none" : null, versions.absent);
}
