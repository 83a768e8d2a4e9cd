// One TLS handshake over a connection that stands already, so that its time holds nothing else.
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { type CipherNameAndProtocol, connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import type { TlsVersion } from "#contract/test-types/tls";
import { hostClock } from "../host-clock.ts";
import { printable } from "../printable.ts";
import { type CertificateReading, readCertificate } from "./certificate.ts";
import { hangUp } from "./endpoint.ts";
import { errorByTrueTime, HOST_CLOCK_WRONG } from "./tls-verdict.ts";

export interface HandshakeOrder {
  /** What the certificate must name: a host name, which is asked for by SNI, or an IP literal, which is not (RFC 6066 3). */
  readonly host: string;
  readonly servername: string | undefined;
  readonly alpn: readonly string[];
  readonly context: SecureContext;
  readonly signal: AbortSignal;
}

/** What the handshake agreed on, read at its end: a closed connection tells nothing more. */
export interface Agreement {
  readonly version: string | null;
  /** IANA's name, and OpenSSL's. */
  readonly cipher: string | null;
  readonly cipher_openssl: string | null;
  readonly alpn: string | null;
  readonly resumed: boolean;
  /** null where this host's clock is too wrong to tell. */
  readonly authorized: boolean | null;
  /** Why the certificate is not accepted, as Node's code, or HOST_CLOCK_WRONG; null when it is. */
  readonly authorization_error: string | null;
  readonly key_exchange: object | null;
  readonly ocsp_stapled: boolean;
  readonly certificate: CertificateReading | undefined;
}

export type Handshake =
  /** ClientHello to the end of the handshake, ms; `at` is that moment of the monotonic clock. What was agreed on is read after it. */
  | {
      readonly kind: "done";
      readonly ms: number;
      readonly at: number;
      readonly agreed: Agreement;
      readonly socket: TLSSocket;
      close(): void;
    }
  /** `reset`: the peer reset the connection. `alert`: it sent one (RFC 8446 6). `code` is Node's. */
  | { readonly kind: "error"; readonly code: string; readonly reset: boolean; readonly alert: boolean; readonly ms: number }
  | { readonly kind: "over"; readonly ms: number };

/** Trust store and versions, made before the clock runs. Versions before 1.2 need ciphers OpenSSL keeps behind level 0. */
export function contextFor(min: TlsVersion, max: TlsVersion): SecureContext {
  const old = min === "TLSv1" || min === "TLSv1.1";
  return createSecureContext({ minVersion: min, maxVersion: max, ...(old ? { ciphers: "DEFAULT:@SECLEVEL=0" } : {}) });
}

/** Handshakes on a connected socket. The socket stays the caller's to close; nothing is sent after the handshake. */
export function handshake(raw: Socket, order: HandshakeOrder): Promise<Handshake> {
  const { host, servername, alpn, context, signal } = order;
  const started = performance.now();
  const ms = () => performance.now() - started;
  return new Promise((resolve) => {
    const over = () => settle({ kind: "over", ms: ms() });
    const settle = (result: Handshake) => {
      signal.removeEventListener("abort", over);
      resolve(result);
    };
    if (signal.aborted) return over();
    let stapled = false;
    // The verdict on the certificate is wanted, not its effect: an invalid one is read like any other.
    const socket = connect({
      socket: raw,
      host,
      secureContext: context,
      rejectUnauthorized: false,
      requestOCSP: true,
      ...(servername === undefined ? {} : { servername }),
      ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    });
    socket.once("OCSPResponse", (response: Buffer | null) => {
      stapled = response !== null && response.length > 0;
    });
    socket.once("secureConnect", () => {
      const at = performance.now();
      settle({ kind: "done", ms: at - started, at, agreed: read(socket, stapled), socket, close: () => leave(socket, raw) });
    });
    // Errors after the handshake concern nobody: the result stands, and the caller closes.
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const code = error.code ?? "UNKNOWN";
      const reset = code === "ECONNRESET" && error.syscall === "read";
      // Several alerts' codes do not say what they are; OpenSSL's message does.
      settle({ kind: "error", code, reset, alert: /SSL alert number \d/.test(error.message), ms: ms() });
    });
    socket.once("close", () => settle({ kind: "error", code: "ECONNRESET", reset: false, alert: false, ms: ms() }));
    signal.addEventListener("abort", over, { once: true });
  });
}

/** A peer whose window is shut would hold our farewell for minutes. */
const FAREWELL_MS = 1000;

function leave(socket: TLSSocket, raw: Socket): void {
  const timer = setTimeout(() => raw.destroy(), FAREWELL_MS);
  raw.once("close", () => clearTimeout(timer));
  socket.end(() => raw.destroy());
}

function read(socket: TLSSocket, ocsp_stapled: boolean): Agreement {
  const cipher: CipherNameAndProtocol | undefined = socket.getCipher();
  const certificate = readCertificate(socket);
  const found = authorizationError(socket);
  // OpenSSL holds a certificate's dates against the system's clock.
  const error = hostClock.corrected ? errorByTrueTime(found, certificate, hostClock.now()) : found;
  return {
    version: socket.getProtocol(),
    cipher: cipher?.standardName ?? null,
    cipher_openssl: cipher?.name ?? null,
    alpn: socket.alpnProtocol ? printable(socket.alpnProtocol) : null,
    resumed: socket.isSessionReused(),
    authorized: error === HOST_CLOCK_WRONG ? null : error === null,
    authorization_error: error,
    key_exchange: socket.getEphemeralKeyInfo(),
    ocsp_stapled,
    certificate,
  };
}

function authorizationError(socket: TLSSocket): string | null {
  if (socket.authorized) return null;
  const error: unknown = socket.authorizationError;
  if (error instanceof Error) return (error as NodeJS.ErrnoException).code ?? printable(error.message, 100);
  return typeof error === "string" ? printable(error, 100) : "UNSPECIFIED";
}

/**
 * Closes after a handshake: politely where it was completed, since a reset right behind it reads like an attack in the server's
 * log; with a reset where it was not.
 */
export function partFrom(raw: Socket, result: Handshake | undefined): void {
  if (result?.kind === "done") result.close();
  else hangUp(raw);
}
