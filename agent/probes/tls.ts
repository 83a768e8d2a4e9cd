// TLS: TCP first, then the handshake alone, then the certificate, whether it is valid or not. Nothing is sent.

import { isIP, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { metricsOf } from "#contract/metrics";
import { alpnProtocols, TLS_VERSIONS, type TlsParams } from "#contract/test-types/tls";
import { round3 } from "../statistics.ts";
import { type CertificateReading, daysLeft, isoOf, readCertificate } from "./certificate.ts";
import { LastSeen } from "./certificate-memory.ts";
import { connectFailure, dial, type Endpoint, type Failure, findEndpoint, warmUp } from "./endpoint.ts";
import { MetricSheet, type Outcome, type Probe, type RunContext, unmeasured } from "./probe.ts";
import { silenceOf, watchSilence } from "./tcp-silence.ts";
import { contextFor, type Handshake, handshake, partFrom, warmUpTls } from "./tls-handshake.ts";
import { phaseRow, tlsView } from "./tls-rows.ts";
import { certificateFailure, handshakeFailure } from "./tls-verdict.ts";
import { tryVersions, type VersionAnswers } from "./tls-versions.ts";

/** Kept for the end of a run that is cut off, ms. */
const RESERVE_MS = 20;

const lastSeen = new LastSeen();

/** Everything one run found; what was not reached is absent. */
interface Reading {
  readonly endpoint: Endpoint;
  /** Name or address the certificate must be good for. */
  readonly host: string;
  readonly tcp_ms?: number;
  readonly handshake?: Handshake;
  readonly versions?: VersionAnswers | undefined;
  readonly certificate?: CertificateReading | undefined;
  readonly failure?: Failure | undefined;
}

async function run(destination: string, params: TlsParams, context: RunContext): Promise<Outcome> {
  const { budget } = context;
  const found = await findEndpoint(destination, params, budget.signal);
  if (!found.ok) return unmeasured("tls", found.error, found.reason, { detail: { resolve_ms: found.resolve_ms } });
  const { endpoint } = found;
  const secureContext = contextFor(params.min_version, params.max_version);
  await warmUp();
  await warmUpTls(secureContext);
  const name = params.servername ?? endpoint.host;
  const servername = isIP(name) === 0 ? name : undefined;
  const way = { endpoint, host: name, servername, alpn: alpnProtocols(params.alpn) };
  const part = budget.part("connect", budget.left(), RESERVE_MS);
  const { socket, outcome } = dial(endpoint, part.ms, part.signal);
  const watch = watchSilence(endpoint, part.ms, () => socket.connecting, part.signal);
  let shaken: Handshake | undefined;
  try {
    const dialled = await outcome;
    const alive = await watch.end();
    if (dialled.kind !== "connected") {
      const silent = dialled.kind === "stopped" && !budget.stopped ? ({ kind: "timeout", ms: dialled.ms } as const) : dialled;
      const failure = connectFailure(silent, endpoint);
      const told = failure.error.code === "no_reply" ? silenceOf(failure, endpoint, alive) : failure;
      return outcomeOf({ endpoint, host: name, failure: told }, params, context);
    }
    context.show(phaseRow("TCP", dialled.ms));
    const shaking = budget.part("handshake", budget.left(), RESERVE_MS);
    shaken = await handshake(socket, { ...way, context: secureContext, signal: shaking.signal });
    const certificate = shaken.kind === "done" ? readCertificate(shaken.socket) : undefined;
    const reading = { endpoint, host: name, tcp_ms: dialled.ms, handshake: shaken, certificate };
    const failure = budget.stopped ? connectFailure({ kind: "stopped", ms: 0 }, endpoint) : failureOf(reading, socket);
    if (shaken.kind === "done") context.show(phaseRow(shaken.socket.getProtocol() ?? "TLS", shaken.ms));
    const versions =
      params.check_versions && !budget.over
        ? await tryVersions(way, budget.part("versions", budget.left(), RESERVE_MS))
        : undefined;
    return outcomeOf({ ...reading, versions, failure }, params, context);
  } finally {
    partFrom(socket, shaken);
  }
}

function failureOf(
  { handshake: shaken, endpoint, host, certificate }: Reading & { handshake: Handshake },
  raw: Socket,
): Failure | undefined {
  if (shaken.kind !== "done") return handshakeFailure(shaken, endpoint, raw.bytesRead);
  const code = authorizationCode(shaken.socket);
  return code === undefined ? undefined : certificateFailure(code, host, certificate, Date.now());
}

/** Why the certificate is not accepted, as Node's code; undefined when it is. */
function authorizationCode(socket: TLSSocket): string | undefined {
  if (socket.authorized) return undefined;
  const error: unknown = socket.authorizationError;
  if (error instanceof Error) return (error as NodeJS.ErrnoException).code ?? error.message.slice(0, 100);
  return typeof error === "string" ? error.slice(0, 100) : "UNSPECIFIED";
}

function outcomeOf(reading: Reading, params: TlsParams, context: RunContext): Outcome {
  const { endpoint, host, failure, handshake: shaken, certificate } = reading;
  const sheet = new MetricSheet();
  const done = shaken?.kind === "done" ? shaken : undefined;
  const absent = failure?.reason ?? "not_applicable";
  sheet.set("tls_tcp_ms", reading.tcp_ms === undefined ? undefined : round3(reading.tcp_ms), absent);
  setHandshake(sheet, shaken);
  setCertificate(sheet, certificate, done !== undefined);
  setChanged(sheet, certificate, context.series, absent);
  setVersions(sheet, reading.versions, params);
  sheet.fill(metricsOf("tls"), absent);
  return {
    address: endpoint.address,
    status: failure === undefined ? "ok" : "failed",
    error: failure?.error ?? null,
    metrics: sheet.metrics,
    reasons: sheet.reasons,
    detail: {
      port: endpoint.port,
      resolve_ms: endpoint.resolve_ms,
      resolved_by: endpoint.resolved_by,
      host,
      ...(done === undefined ? {} : handshakeDetail(done.socket, certificate?.names(host))),
      ...(certificate === undefined
        ? {}
        : { sans: certificate.sans, sans_count: certificate.sans_count, chain: certificate.chain }),
      ...(reading.versions === undefined ? {} : { versions: reading.versions }),
    },
    flags: [],
  };
}

function setHandshake(sheet: MetricSheet, shaken: Handshake | undefined): void {
  if (shaken === undefined) return;
  if (shaken.kind === "error") sheet.set("tls_error", shaken.code, "not_applicable");
  if (shaken.kind !== "done") return;
  const { socket, ms, ocsp } = shaken;
  const { standardName } = socket.getCipher();
  sheet.set("tls_handshake_ms", round3(ms), "unsupported");
  sheet.set("tls_version", socket.getProtocol(), "unsupported");
  sheet.set("tls_cipher", standardName, "unsupported");
  sheet.set("tls_alpn", socket.alpnProtocol || undefined, "not_applicable");
  sheet.set("tls_resumed", socket.isSessionReused(), "unsupported");
  sheet.set("tls_authorized", socket.authorized, "unsupported");
  sheet.set("tls_error", authorizationCode(socket), "not_applicable");
  sheet.set("tls_ocsp_stapled", ocsp !== null && ocsp.length > 0, "unsupported");
}

function setCertificate(sheet: MetricSheet, certificate: CertificateReading | undefined, done: boolean): void {
  if (certificate === undefined) {
    if (done)
      sheet.fill(
        metricsOf("tls").filter((name) => name.startsWith("cert_")),
        "not_applicable",
      );
    return;
  }
  const { not_after } = certificate;
  sheet.set("cert_days_left", not_after === null ? undefined : daysLeft(not_after, Date.now()), "unsupported");
  sheet.set("cert_not_after", isoOf(not_after), "unsupported");
  sheet.set("cert_issuer", certificate.issuer, "not_applicable");
  sheet.set("cert_subject_cn", certificate.subject_cn, "not_applicable");
  sheet.set("cert_sans", certificate.sans.length === 0 ? undefined : certificate.sans.join(", ").slice(0, 500), "not_applicable");
  sheet.set("cert_fingerprint_sha256", certificate.fingerprint_sha256, "unsupported");
  sheet.set("cert_key_bits", certificate.key_bits, "unsupported");
  sheet.set("cert_key_type", certificate.key_type, "unsupported");
  sheet.set("cert_chain_len", certificate.chain_len, "unsupported");
}

function setChanged(
  sheet: MetricSheet,
  certificate: CertificateReading | undefined,
  series: string | undefined,
  absent: Failure["reason"],
): void {
  if (certificate === undefined) {
    sheet.set("cert_changed", null, absent);
    return;
  }
  const before = series === undefined ? undefined : lastSeen.swap(series, certificate.fingerprint_sha256);
  sheet.set("cert_changed", before === undefined ? undefined : before !== certificate.fingerprint_sha256, "too_few_samples");
}

function setVersions(sheet: MetricSheet, versions: VersionAnswers | undefined, params: TlsParams): void {
  if (versions === undefined) {
    sheet.set("tls_versions", null, params.check_versions ? "timeout" : "not_applicable");
    return;
  }
  // A list with a gap in it would read as a refusal.
  const known = TLS_VERSIONS.every((version) => versions[version] !== "unknown");
  const accepted = TLS_VERSIONS.filter((version) => versions[version] === "accepted");
  sheet.set("tls_versions", known ? accepted.join(", ") || "none" : undefined, "timeout");
}

function handshakeDetail(socket: TLSSocket, names_host: boolean | undefined): Record<string, unknown> {
  return { cipher_openssl: socket.getCipher().name, key_exchange: socket.getEphemeralKeyInfo(), names_host: names_host ?? null };
}

/** A TLS handshake (RFC 8446) and the server's certificate (RFC 5280, 9525). */
export const tls: Probe<"tls"> = {
  places: ({ check_versions }) => ({ sockets: check_versions ? TLS_VERSIONS.length : 1 }),
  run,
  view: tlsView,
};
