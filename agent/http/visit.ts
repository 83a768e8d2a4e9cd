// One URL visited on a connection of its own: name, TCP, TLS, request. Redirects are somebody else's business.
import { isIP, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import type { SecureContext } from "node:tls";
import type { HeaderLine, HttpParams } from "#contract/test-types/http";
import { hostClock } from "../host-clock.ts";
import { connectFailure, type Dialled, dial, type Endpoint, showEndpoint } from "../probes/endpoint.ts";
import { type Agreement, contextFor, type Handshake, handshake } from "../probes/tls-handshake.ts";
import { certificateFailure, handshakeFailure } from "../probes/tls-verdict.ts";
import { type Family, resolveHost, type Via } from "../resolve.ts";
import { type Exchange, type HttpConnection, type HttpRequest, headerOf } from "./exchange.ts";
import { type Failure, failure } from "./failure.ts";
import { Http1Connection } from "./http1.ts";
import { Http2Connection, type Http2Module } from "./http2.ts";
import { isRedirect, type Target } from "./target.ts";

/** For a part that only the run's deadline ends, milliseconds: the longest a timer takes. */
const NO_LIMIT_MS = 2 ** 31 - 1;

/** Moments of the monotonic clock; null where the visit did not come so far or has no such phase. */
export interface Clock {
  begun: number;
  resolved: number | null;
  connected: number | null;
  secured: number | null;
  /** The request's start. What lies between it and the moment before, reading the certificate, is this host's own time. */
  asked: number | null;
}

export interface Visit {
  readonly target: Target;
  readonly clock: Clock;
  address: string | null;
  family: Family | null;
  /** Where the address came from; null until there is one. */
  via: Via | null;
  tls: Agreement | null;
  connection: HttpConnection | null;
  exchange: Exchange | null;
  failure: Failure | null;
}

export type PhaseName = "dns" | "tcp" | "tls" | "head";

export interface VisitOrder {
  readonly target: Target;
  readonly params: HttpParams;
  readonly headers: readonly HeaderLine[];
  readonly http2: Http2Module | undefined;
  readonly signal: AbortSignal;
  /** Called as each phase ends. */
  readonly passed: (phase: PhaseName, visit: Visit) => void;
}

/** The request a visit sends; the same again measures the connection's reuse. */
export const requestOf = ({ target, params, headers }: VisitOrder): HttpRequest => ({
  method: params.method,
  target,
  headers,
  max_bytes: params.max_bytes,
  wantsBody: (status, fields) => params.redirects === 0 || !isRedirect(status, headerOf(fields, "location")),
});

/** Visits the URL. The connection of a visit that did not fail is still open: its taker closes it. Never rejects. */
export async function visit(order: VisitOrder): Promise<Visit> {
  // Made before the clock runs: the first of a process loads the certificate authorities.
  const context = order.target.scheme === "https" ? contextFor("TLSv1.2", "TLSv1.3") : null;
  const going: Visit = {
    target: order.target,
    clock: { begun: performance.now(), resolved: null, connected: null, secured: null, asked: null },
    address: null,
    family: null,
    via: null,
    tls: null,
    connection: null,
    exchange: null,
    failure: null,
  };
  going.failure = await travel(going, order, context);
  if (going.failure !== null) going.connection?.close();
  return going;
}

type Station<T> = { ok: true; value: T } | { ok: false; failure: Failure };

/** The stations of a visit in turn; answers what stopped it. */
async function travel(going: Visit, order: VisitOrder, context: SecureContext | null): Promise<Failure | null> {
  const resolved = await resolve(going, order);
  if (!resolved.ok) return resolved.failure;
  const endpoint = resolved.value;
  const dialled = await connect(going, order, endpoint);
  if (!dialled.ok) return dialled.failure;
  const secured = context === null ? dialled : await secure(going, order, { endpoint, raw: dialled.value, context });
  if (!secured.ok) {
    dialled.value.destroy();
    return secured.failure;
  }
  going.connection = connectionOf(order, going, secured.value);
  const request = requestOf(order);
  going.clock.asked = performance.now();
  going.exchange = await going.connection.exchange(request, order.signal);
  if (going.exchange.status !== null) order.passed("head", going);
  return going.exchange.failure;
}

async function resolve(going: Visit, order: VisitOrder): Promise<Station<Endpoint>> {
  const { target, params, signal } = order;
  const found = await resolveHost(target.host, params.ip_version, signal);
  if (!found.ok) return { ok: false, failure: failure(found.code, "resolver", found.message) };
  const { address, family, via, resolve_ms } = found;
  if (isIP(address) === 0) return { ok: false, failure: failure("internal", "agent", "the resolver gave no address literal") };
  Object.assign(going, { address, family, via });
  if (via === "literal") going.clock.begun = performance.now();
  else {
    going.clock.resolved = performance.now();
    order.passed("dns", going);
  }
  return { ok: true, value: { host: target.host, port: target.port, address, family, resolve_ms, resolved_by: via } };
}

async function connect(going: Visit, order: VisitOrder, endpoint: Endpoint): Promise<Station<Socket>> {
  const started = performance.now();
  const { socket, outcome } = dial(endpoint, NO_LIMIT_MS, order.signal);
  const dialled = await outcome;
  if (dialled.kind === "connected") {
    going.clock.connected = performance.now();
    order.passed("tcp", going);
    return { ok: true, value: socket };
  }
  socket.destroy();
  // The signal is the run's deadline; whether somebody stopped the run is for the run to say.
  const ended: Dialled = dialled.kind === "stopped" ? { kind: "timeout", ms: performance.now() - started } : dialled;
  const { error } = connectFailure(ended, endpoint);
  return { ok: false, failure: failure(error.code, error.source, error.message, "errno" in dialled ? dialled.errno : null) };
}

const ALPN: Record<HttpParams["http_version"], readonly string[]> = {
  auto: ["h2", "http/1.1"],
  "1.1": ["http/1.1"],
  "2": ["h2"],
};

async function secure(
  going: Visit,
  order: VisitOrder,
  { endpoint, raw, context }: { endpoint: Endpoint; raw: Socket; context: SecureContext },
): Promise<Station<Socket>> {
  const { target, params, signal } = order;
  const servername = isIP(target.host) === 0 ? target.host : undefined;
  const shaken = await handshake(raw, { host: target.host, servername, alpn: ALPN[params.http_version], context, signal });
  if (shaken.kind !== "done") return { ok: false, failure: handshakeProblem(shaken, endpoint, raw) };
  going.clock.secured = shaken.at;
  going.tls = shaken.agreed;
  order.passed("tls", going);
  const refused = unfit(going.tls, endpoint, params);
  return refused === null ? { ok: true, value: shaken.socket } : { ok: false, failure: refused };
}

function handshakeProblem(shaken: Exclude<Handshake, { kind: "done" }>, endpoint: Endpoint, raw: Socket): Failure {
  const code = shaken.kind === "error" ? shaken.code : null;
  if (code?.includes("NO_APPLICATION_PROTOCOL") === true) return noHttp2(endpoint, "refused the handshake", code);
  const { error } = handshakeFailure(shaken, endpoint, raw.bytesRead);
  return failure(error.code, error.source, error.message, code);
}

const noHttp2 = (endpoint: Endpoint, instead: string, code: string | null): Failure =>
  failure("bad_response", "target", `${showEndpoint(endpoint)} does not offer the HTTP version asked for; it ${instead}`, code);

/** Why nothing is sent over this TLS connection, or null. */
function unfit(tls: Agreement, endpoint: Endpoint, params: HttpParams): Failure | null {
  const { authorization_error: why, certificate } = tls;
  if (why !== null && !params.insecure) {
    const { error } = certificateFailure(why, endpoint.host, certificate, hostClock.now());
    return failure(error.code, error.source, `${error.message}; nothing was sent`, why);
  }
  return params.http_version === "2" && tls.alpn !== "h2" ? noHttp2(endpoint, `chose ${tls.alpn ?? "no protocol"}`, null) : null;
}

function connectionOf(order: VisitOrder, going: Visit, socket: Socket): HttpConnection {
  const second = going.tls === null ? order.params.http_version === "2" : going.tls.alpn === "h2";
  return second && order.http2 !== undefined ? new Http2Connection(order.http2, socket) : new Http1Connection(socket);
}
