// Reaches a resolver over TCP or TLS and times both, once for all queries that wait for it.
import { isIP, type Socket } from "node:net";
import { type Dialled, dial } from "../probes/endpoint.ts";
import { round3 } from "../statistics.ts";
import { type Connect, type Failure, failure, type Server, socketFailure } from "./exchange.ts";

export interface Link {
  readonly ok: true;
  readonly socket: Socket;
  readonly connect: Connect;
  /** Protocol agreed on by ALPN; null without TLS or agreement. */
  readonly alpn: string | null;
}

export type Secured = { readonly ok: true; readonly socket: Socket; readonly ms: number; readonly alpn: string | null } | Failure;

/** Puts TLS on a connection (RFC 7858, RFC 8484) and answers with it only when the certificate is the resolver's. */
export type Secure = (raw: Socket, server: Server, signal: AbortSignal) => Promise<Secured>;

/** For a connect that only its signal ends, milliseconds: the longest a timer takes. */
const NO_LIMIT_MS = 2 ** 31 - 1;

/** Nobody waits any longer. `connected` tells a silent network from a silent resolver. */
export function lateFailure({ label }: Server, connected: boolean): Failure {
  const words = connected ? "accepted the connection but did not finish the TLS handshake" : "did not accept a connection";
  return failure("timeout", `${label} ${words} in time`, { connected });
}

function unreached(dialled: Exclude<Dialled, { kind: "connected" }>, server: Server): Failure {
  return dialled.kind === "error" ? socketFailure({ code: dialled.errno }, server) : lateFailure(server, false);
}

/** A TCP connection, and TLS over it where it is asked for. `connected` is called in between. */
async function reach(
  server: Server,
  secure: Secure | undefined,
  signal: AbortSignal,
  connected: () => void,
): Promise<Link | Failure> {
  const { address, port } = server;
  const { socket, outcome } = dial({ address, port, family: isIP(address) === 6 ? 6 : 4 }, NO_LIMIT_MS, signal);
  const dialled = await outcome;
  if (dialled.kind !== "connected") {
    socket.destroy();
    return unreached(dialled, server);
  }
  connected();
  // A resolver that closes is gone: there is nothing left to say to it.
  socket.allowHalfOpen = false;
  const tcp_ms = round3(dialled.ms);
  if (secure === undefined) return { ok: true, socket, connect: { ms: tcp_ms, tcp_ms, tls_ms: null }, alpn: null };
  const secured = await secure(socket, server, signal);
  if (!secured.ok) {
    socket.destroy();
    return secured;
  }
  const tls_ms = round3(secured.ms);
  return { ok: true, socket: secured.socket, connect: { ms: round3(tcp_ms + tls_ms), tcp_ms, tls_ms }, alpn: secured.alpn };
}

interface Attempt {
  waiting: number;
  connected: boolean;
  readonly end: AbortController;
  readonly outcome: Promise<Connect | Failure>;
}

/** Makes the connection of a session. Several queries may wait for the same one: it ends with the last of them, not with the first. */
export class Connector {
  readonly #server: Server;
  readonly #secure: Secure | undefined;
  readonly #opened: (link: Link) => void;
  #attempt: Attempt | undefined;

  /** `opened` is given each connection that was made. */
  constructor(server: Server, secure: Secure | undefined, opened: (link: Link) => void) {
    this.#server = server;
    this.#secure = secure;
    this.#opened = opened;
  }

  /** Waits for the connection under way, or for one it begins, until the signal aborts. Never rejects. */
  wait(signal: AbortSignal): Promise<Connect | Failure> {
    this.#attempt ??= this.#begin();
    const attempt = this.#attempt;
    attempt.waiting += 1;
    return new Promise((resolve) => {
      const leave = () => {
        attempt.waiting -= 1;
        if (attempt.waiting === 0) this.#giveUp(attempt);
        resolve(lateFailure(this.#server, attempt.connected));
      };
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      void attempt.outcome.then((outcome) => {
        signal.removeEventListener("abort", leave);
        resolve(outcome);
      });
    });
  }

  #begin(): Attempt {
    const end = new AbortController();
    const made = reach(this.#server, this.#secure, end.signal, () => {
      attempt.connected = true;
    });
    const outcome = made.then((link) => {
      if (this.#attempt === attempt) this.#attempt = undefined;
      if (!link.ok) return link;
      if (end.signal.aborted) {
        link.socket.destroy();
        return lateFailure(this.#server, true);
      }
      this.#opened(link);
      return link.connect;
    });
    const attempt: Attempt = { waiting: 0, connected: false, end, outcome };
    return attempt;
  }

  #giveUp(attempt: Attempt): void {
    // Whoever asks from now on starts anew.
    if (this.#attempt === attempt) this.#attempt = undefined;
    attempt.end.abort();
  }
}
