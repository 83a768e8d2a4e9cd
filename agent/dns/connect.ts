// Reaches a resolver over TCP or TLS and times both.
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import type { TLSSocket } from "node:tls";
import { round3 } from "../statistics.ts";
import { type Connect, type Failure, failure, type Server, socketFailure } from "./exchange.ts";

export type Link = { ok: true; socket: Socket; connect: Connect; alpn: string | null } | Failure;

/**
 * Waits for one event of a socket, or for what ends it before. The signal destroys the socket.
 * `connected` tells a silent network from a silent resolver.
 */
function untilReady(
  socket: Socket,
  event: string,
  server: Server,
  connected: boolean,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  return new Promise((resolve) => {
    const settle = (result: Failure | undefined) => {
      signal.removeEventListener("abort", abort);
      socket.off(event, ready);
      socket.off("close", close);
      socket.off("error", fail);
      if (result !== undefined) {
        // Destroying it may raise one more error, which nobody needs.
        socket.on("error", () => undefined);
        socket.destroy();
      }
      resolve(result);
    };
    const ready = () => settle(undefined);
    const fail = (error: Error) => settle(socketFailure(error, server, { connected }));
    const close = () => settle(failure("reset", `${server.label} closed the connection before it was set up`, { connected }));
    const abort = () => {
      const words = connected ? "accepted the connection but did not finish the TLS handshake" : "did not accept a connection";
      settle(failure("timeout", `${server.label} ${words} in time`, { connected }));
    };
    socket.once(event, ready);
    socket.once("error", fail);
    socket.once("close", close);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}

/** A TCP connection, and over it TLS with a verified certificate where protocols are given (RFC 7858, RFC 8484). */
export async function reach(server: Server, alpn: readonly string[] | undefined, signal: AbortSignal): Promise<Link> {
  // Loading TLS and the trusted certificates takes longer than many a handshake: it is done before the clock runs.
  const tls = alpn === undefined ? undefined : await import("node:tls");
  const secureContext = tls?.createSecureContext();
  const start = performance.now();
  const tcp = connectTcp({ host: server.address, port: server.port, noDelay: true });
  const unreached = await untilReady(tcp, "connect", server, false, signal);
  if (unreached !== undefined) return unreached;
  const tcp_ms = round3(performance.now() - start);
  if (alpn === undefined || tls === undefined)
    return { ok: true, socket: tcp, connect: { ms: tcp_ms, tcp_ms, tls_ms: null }, alpn: null };
  const name = server.servername;
  const socket = tls.connect({
    socket: tcp,
    host: server.address,
    secureContext,
    ALPNProtocols: [...alpn],
    // An address is checked as the certificate's address; it may not stand in SNI (RFC 6066 3).
    ...(name === undefined || isIP(name) !== 0 ? {} : { servername: name }),
  });
  const secured = await secure(tcp, socket, server, signal);
  if ("kind" in secured) return secured;
  const ms = round3(performance.now() - start);
  return {
    ok: true,
    socket: secured,
    connect: { ms, tcp_ms, tls_ms: round3(ms - tcp_ms) },
    alpn: secured.alpnProtocol === false ? null : secured.alpnProtocol,
  };
}

/** Waits for the handshake and the check of the certificate, which Node makes unless told otherwise. */
async function secure(tcp: Socket, socket: TLSSocket, server: Server, signal: AbortSignal): Promise<TLSSocket | Failure> {
  // What befalls the connection beneath is told by the TLS socket.
  tcp.on("error", () => undefined);
  return (await untilReady(socket, "secureConnect", server, true, signal)) ?? socket;
}
