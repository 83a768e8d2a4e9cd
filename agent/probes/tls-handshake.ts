// One TLS handshake over a connection that stands already, so that its time holds nothing else.
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import type { TlsVersion } from "#contract/test-types/tls";
import { dial, hangUp, onLoopback } from "./endpoint.ts";

export interface HandshakeOrder {
  /** What the certificate must name: a host name, which is asked for by SNI, or an IP literal, which is not (RFC 6066 3). */
  readonly host: string;
  readonly servername: string | undefined;
  readonly alpn: readonly string[];
  readonly context: SecureContext;
  readonly signal: AbortSignal;
}

export type Handshake =
  /** ClientHello to the end of the handshake, ms. */
  | { readonly kind: "done"; readonly ms: number; readonly socket: TLSSocket; readonly ocsp: Buffer | null }
  /** `reset`: the peer reset the connection. `code` is Node's. */
  | { readonly kind: "error"; readonly code: string; readonly message: string; readonly reset: boolean; readonly ms: number }
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
    let ocsp: Buffer | null = null;
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
      ocsp = response;
    });
    socket.once("secureConnect", () => settle({ kind: "done", ms: ms(), socket, ocsp }));
    // Errors after the handshake concern nobody: the result stands, and the caller closes.
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const code = error.code ?? "UNKNOWN";
      const reset = code === "ECONNRESET" && error.syscall === "read";
      settle({ kind: "error", code, message: error.message, reset, ms: ms() });
    });
    socket.once("close", () => settle({ kind: "error", code: "ECONNRESET", message: "closed", reset: false, ms: ms() }));
    signal.addEventListener("abort", over, { once: true });
  });
}

/**
 * Closes after a handshake: politely where it was completed, since a reset right behind it reads like an attack in the server's
 * log; with a reset where it was not.
 */
export function partFrom(raw: Socket, result: Handshake | undefined): void {
  if (result?.kind === "done") result.socket.end(() => raw.destroy());
  else hangUp(raw);
}

let warm: Promise<void> | undefined;

/** Begins a handshake on loopback, once in a process, for the same reason as the first connects: see warmUp. */
export function warmUpTls(context: SecureContext): Promise<void> {
  warm ??= onLoopback(async (target, signal) => {
    const { socket, outcome } = dial(target, 1000, signal);
    await outcome;
    if (!socket.destroyed) await handshake(socket, { host: "localhost", servername: "localhost", alpn: ["h2"], context, signal });
    hangUp(socket);
  });
  return warm;
}
