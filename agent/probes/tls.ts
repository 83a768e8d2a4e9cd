// TLS: TCP first, then the handshake alone, then the certificate, whether it is valid or not. Nothing is sent.
import { isIP, type Socket } from "node:net";
import { alpnProtocols, TLS_VERSIONS, type TlsParams } from "#contract/test-types/tls";
import type { Part } from "../budget.ts";
import { hostClock } from "../host-clock.ts";
import { LastSeen } from "./certificate-memory.ts";
import { connectFailure, type Dialled, dial, type Endpoint, type Failure, findEndpoint, STOPPED, warmUp } from "./endpoint.ts";
import { type Outcome, type Probe, type RunContext, unmeasured } from "./probe.ts";
import { silenceOf, watchSilence } from "./tcp-silence.ts";
import { contextFor, type Handshake, handshake, partFrom } from "./tls-handshake.ts";
import { type TlsReading, tlsMetrics } from "./tls-metrics.ts";
import { phaseRow, tlsView } from "./tls-rows.ts";
import { certificateFailure, handshakeFailure } from "./tls-verdict.ts";
import { tryVersions, type Way } from "./tls-versions.ts";
import { warmUpTls } from "./tls-warm.ts";

/** Kept for the end of a run that is cut off, ms. */
const RESERVE_MS = 20;

const lastSeen = new LastSeen();

async function run(destination: string, params: TlsParams, context: RunContext): Promise<Outcome> {
  const found = await findEndpoint(destination, params, context.budget.signal);
  if (context.budget.stopped) return unmeasured("tls", STOPPED.error, STOPPED.reason);
  if (!found.ok) return unmeasured("tls", found.error, found.reason, { detail: { resolve_ms: found.resolve_ms } });
  const { endpoint } = found;
  const host = params.servername ?? endpoint.host;
  const way = { endpoint, host, servername: isIP(host) === 0 ? host : undefined, alpn: alpnProtocols(params.alpn) };
  return measure(way, params, context);
}

async function measure(way: Way, params: TlsParams, context: RunContext): Promise<Outcome> {
  const { budget, show } = context;
  const { endpoint } = way;
  const secureContext = contextFor(params.min_version, params.max_version);
  await warmUp();
  await warmUpTls();
  context.measuring();
  const share = (name: string) => budget.part(name, budget.left(), RESERVE_MS);
  const connecting = share("connect");
  const { socket, outcome } = dial(endpoint, connecting.ms, connecting.signal);
  let shaken: Handshake | undefined;
  try {
    const dialled = await connected(outcome, socket, endpoint, connecting, () => budget.stopped);
    if ("error" in dialled) return report(way, params, context, {}, dialled);
    show(phaseRow("TCP", dialled.ms));
    shaken = await handshake(socket, { ...way, context: secureContext, signal: share("handshake").signal });
    const failure = budget.stopped ? connectFailure({ kind: "stopped", ms: 0 }, endpoint) : failureOf(shaken, way, socket);
    if (shaken.kind === "done") show(phaseRow(shaken.agreed.version ?? "TLS", shaken.ms));
    if (shaken.kind === "over") budget.hit("handshake");
    const versions = params.check_versions && !budget.over ? await tryVersions(way, share("versions")) : undefined;
    return report(way, params, context, { tcp_ms: dialled.ms, handshake: shaken, versions }, failure);
  } finally {
    partFrom(socket, shaken);
  }
}

/** The connect's end; when nobody answers it, whether the host is alive at all. */
async function connected(
  outcome: Promise<Dialled>,
  socket: Socket,
  endpoint: Endpoint,
  { ms, signal }: Part,
  stopped: () => boolean,
): Promise<Extract<Dialled, { kind: "connected" }> | Failure> {
  const watch = watchSilence(endpoint, ms, () => socket.connecting, signal);
  const dialled = await outcome;
  const alive = await watch.end();
  if (dialled.kind === "connected") return dialled;
  // The connect has the whole run's time: unless somebody stopped it, its end is the server's silence.
  const failure = connectFailure(dialled.kind === "stopped" && !stopped() ? { ...dialled, kind: "timeout" } : dialled, endpoint);
  return failure.error.code === "no_reply" ? silenceOf(failure, endpoint, alive, { connects: 1, timeout_ms: ms }) : failure;
}

function failureOf(shaken: Handshake, { endpoint, host }: Way, raw: Socket): Failure | undefined {
  if (shaken.kind !== "done") return handshakeFailure(shaken, endpoint, raw.bytesRead);
  const { authorization_error, certificate } = shaken.agreed;
  return authorization_error === null ? undefined : certificateFailure(authorization_error, host, certificate, hostClock.now());
}

type Found = Pick<TlsReading, "tcp_ms" | "handshake" | "versions">;

function report(
  { endpoint, host }: Way,
  params: TlsParams,
  context: RunContext,
  found: Found,
  failure: Failure | undefined,
): Outcome {
  const agreed = found.handshake?.kind === "done" ? found.handshake.agreed : undefined;
  const certificate = agreed?.certificate;
  const remembered = context.series !== undefined && certificate !== undefined;
  const before = remembered ? lastSeen.swap(context.series, certificate.fingerprint_sha256) : undefined;
  const absent = failure?.reason ?? "not_applicable";
  const sheet = tlsMetrics({ ...found, check_versions: params.check_versions, before, now: hostClock.now(), absent });
  const { port, resolve_ms, resolved_by } = endpoint;
  const detail: Record<string, unknown> = { port, resolve_ms, resolved_by, host };
  if (agreed !== undefined) Object.assign(detail, { cipher_openssl: agreed.cipher_openssl, key_exchange: agreed.key_exchange });
  if (certificate !== undefined) {
    const { sans, sans_count, chain } = certificate;
    Object.assign(detail, { names_host: certificate.names(host), sans, sans_count, chain });
  }
  if (found.versions !== undefined) detail.versions = found.versions.answers;
  return {
    address: endpoint.address,
    status: failure === undefined ? "ok" : "failed",
    error: failure?.error ?? null,
    metrics: sheet.metrics,
    reasons: sheet.reasons,
    detail,
    flags: [],
  };
}

/** A TLS handshake (RFC 8446) and the server's certificate (RFC 5280, 9525). */
export const tls: Probe<"tls"> = {
  places: ({ check_versions }) => ({ sockets: check_versions ? TLS_VERSIONS.length : 1 }),
  run,
  view: tlsView,
};
