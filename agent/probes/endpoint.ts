// A host and a port: found, connected to, and what went wrong when it could not be. Shared by the probes that speak TCP.
import { connect, createServer, isIP, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { checkEndpoint } from "#contract/destination";
import type { Reason } from "#contract/metrics";
import type { ResultError } from "#contract/result";
import { type Family, resolveHost } from "../resolve.ts";
import { warmOnce } from "../warm-up.ts";

export interface Endpoint {
  /** The name or literal as the destination has it. */
  readonly host: string;
  /** An IP literal. */
  readonly address: string;
  readonly family: Family;
  readonly port: number;
  readonly resolve_ms: number;
  readonly resolved_by: string;
}

/** What a connection goes to. */
export type Peer = Pick<Endpoint, "address" | "family" | "port">;

/** A failure as a result tells it: the error, and why its metrics are null. */
export interface Failure {
  readonly error: ResultError;
  readonly reason: Reason;
}

export type FoundEndpoint = { ok: true; endpoint: Endpoint } | ({ ok: false; resolve_ms: number } & Failure);

/** The literal address behind a destination `host` or `host:port`. */
export async function findEndpoint(
  destination: string,
  params: { port: number; ip_version?: Family | undefined },
  signal: AbortSignal,
): Promise<FoundEndpoint> {
  const checked = checkEndpoint(destination);
  if (!checked.ok) {
    const error = { code: "invalid_instruction", source: "agent", message: `destination ${checked.message}` } as const;
    return { ok: false, resolve_ms: 0, error, reason: "not_applicable" };
  }
  const found = await resolveHost(checked.host, params.ip_version, signal);
  const { resolve_ms } = found;
  if (!found.ok) {
    return { ok: false, resolve_ms, error: { code: found.code, source: "resolver", message: found.message }, reason: "dns_fail" };
  }
  if (isIP(found.address) === 0) {
    const message = "the resolver gave no address literal";
    return { ok: false, resolve_ms, error: { code: "internal", source: "agent", message }, reason: "dns_fail" };
  }
  const { address, family, via } = found;
  return {
    ok: true,
    endpoint: { host: checked.host, address, family, port: checked.port ?? params.port, resolve_ms, resolved_by: via },
  };
}

/** `192.0.2.1:443`, `[2001:db8::1]:443`. */
export const showEndpoint = ({ address, family, port }: Peer): string =>
  family === 6 ? `[${address}]:${port}` : `${address}:${port}`;

export type Dialled =
  /** SYN to SYN/ACK as the event loop sees it, ms. */
  | { readonly kind: "connected"; readonly ms: number }
  /** `local`: this host's own kernel refused, before any packet left. */
  | { readonly kind: "error"; readonly errno: string; readonly local: boolean; readonly ms: number }
  | { readonly kind: "timeout"; readonly ms: number }
  | { readonly kind: "stopped"; readonly ms: number };

/** A connect under way. The socket is the caller's to close, whatever becomes of it. */
export interface Dial {
  readonly socket: Socket;
  readonly outcome: Promise<Dialled>;
  /** Why the connection broke after it was established, as Node's error code. */
  broken(): string | undefined;
}

/** Starts one connect to a literal. Nothing is read until the caller listens for it, beyond one buffer of Node's. */
export function dial({ address, family, port }: Peer, timeout_ms: number, signal: AbortSignal): Dial {
  let started = performance.now();
  let local = true;
  let broken: string | undefined;
  // Half-open, so that a peer that closes at once leaves a connection whose figures can still be read.
  const socket = connect({ host: address, port, family, autoSelectFamily: false, noDelay: true, allowHalfOpen: true });
  socket.once("connectionAttempt", () => {
    started = performance.now();
    // What this host's kernel answers by itself is told two ticks from here; what the network answers comes after all ticks.
    process.nextTick(() =>
      process.nextTick(() => {
        local = false;
      }),
    );
  });
  const outcome = new Promise<Dialled>((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const settle = (dialled: Dialled) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      resolve(dialled);
    };
    const ms = () => performance.now() - started;
    const stop = () => settle({ kind: "stopped", ms: ms() });
    socket.once("connect", () => settle({ kind: "connected", ms: ms() }));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      broken ??= error.code ?? "UNKNOWN";
      settle({ kind: "error", errno: broken, local, ms: ms() });
    });
    socket.once("close", stop);
    timer = setTimeout(() => settle({ kind: "timeout", ms: ms() }), timeout_ms);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
  });
  return { socket, outcome, broken: () => broken };
}

/** Closes with a reset, which leaves no TIME-WAIT behind, here or there. */
export function hangUp(socket: Socket): void {
  if (socket.destroyed) return;
  // A reset of a connect under way would wait for its end, which may be minutes off.
  if (socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}

/** Connects twice on loopback, so that the first sample is as good as the others. A host without loopback measures without. */
export function warmUp(): Promise<void> {
  return warmOnce("connect", () =>
    onLoopback(async (target, signal) => {
      for (let i = 0; i < 2; i++) {
        const { socket, outcome } = dial(target, WARM_UP_MS, signal);
        await outcome;
        hangUp(socket);
      }
    }),
  );
}

const WARM_UP_MS = 500;

/** Lends a port of this host that accepts, and hangs up at the first byte. */
async function onLoopback(use: (target: Peer, signal: AbortSignal) => Promise<void>): Promise<void> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => socket.destroy());
  });
  const listening = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(0, "127.0.0.1", () => resolve(true));
  });
  const bound = server.address();
  if (!listening || bound === null || typeof bound === "string") return;
  await use({ address: "127.0.0.1", family: 4, port: bound.port }, AbortSignal.timeout(WARM_UP_MS));
  server.close();
}

/**
 * Whether a connect says nothing about the network: this host's own kernel refused it before a packet left, or the run ended
 * before an answer could come. It is no loss. A refusal told at once is the target's, which is this host then.
 */
export const saysNothing = (dialled: Dialled): boolean =>
  dialled.kind === "stopped" || (dialled.kind === "error" && dialled.local && dialled.errno !== "ECONNREFUSED");

/** A run that was stopped from outside. */
export const STOPPED: Failure = {
  error: { code: "aborted", source: "agent", message: "the run was stopped before its end" },
  reason: "timeout",
};

/** What a failed connect means and whose fault it is. Errno names as connect(2); `tried_ms` is how long it was waited. */
export function connectFailure(dialled: Exclude<Dialled, { kind: "connected" }>, endpoint: Peer): Failure {
  const where = showEndpoint(endpoint);
  if (dialled.kind === "stopped") return STOPPED;
  if (dialled.kind === "timeout") {
    const message = `${where} did not answer the SYN within ${(dialled.ms / 1000).toFixed(1)} s`;
    return { error: { code: "no_reply", source: "network", message }, reason: "timeout" };
  }
  return dialled.local && dialled.errno !== "ECONNREFUSED"
    ? localFailure(dialled.errno, where)
    : remoteFailure(dialled.errno, where, endpoint.port);
}

/** Answers of this host's own kernel. */
function localFailure(errno: string, where: string): Failure {
  if (errno === "EACCES" || errno === "EPERM") {
    const message = `a rule of this host forbids connections to ${where} (${errno}); look at its routes and its firewall`;
    return { error: { code: "filtered", source: "agent", message }, reason: "no_permission" };
  }
  if (["ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "ENETDOWN", "EINVAL", "EAFNOSUPPORT"].includes(errno)) {
    const message = `this host has no route to ${where} (${errno}); look at its addresses and routes`;
    return { error: { code: "no_route", source: "agent", message }, reason: "no_route" };
  }
  if (EXHAUSTED.includes(errno)) {
    const message = `this host has no room for a connection to ${where} (${errno}); look at its open files and its memory`;
    return { error: { code: "host_overloaded", source: "agent", message }, reason: "host_overloaded" };
  }
  const message = `this host could not open a connection to ${where} (${errno})`;
  return { error: { code: "internal", source: "agent", message }, reason: "unsupported" };
}

/** What connect(2) and socket(2) say when this host has run out of something. */
const EXHAUSTED: readonly string[] = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EAGAIN"];

/** Answers that came over the network. */
function remoteFailure(errno: string, where: string, port: number): Failure {
  switch (errno) {
    case "ECONNREFUSED": {
      const message = `${where} refused the connection: the host is up and nothing listens on port ${port}, or a firewall rejects it`;
      return { error: { code: "refused", source: "target", message }, reason: "refused" };
    }
    case "EACCES":
    case "EPERM": {
      const message = `a router or firewall answered "administratively prohibited" for ${where} (${errno})`;
      return { error: { code: "filtered", source: "network", message }, reason: "refused" };
    }
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EHOSTDOWN":
    case "ENOPROTOOPT": {
      const what = errno === "ENETUNREACH" ? "network" : errno === "ENOPROTOOPT" ? "protocol" : "host";
      const message = `a router answered "${what} unreachable or prohibited" for ${where}, or its link layer gave no answer (${errno})`;
      return { error: { code: "unreachable", source: "network", message }, reason: "no_route" };
    }
    case "ETIMEDOUT":
      return {
        error: { code: "no_reply", source: "network", message: `${where} did not answer the SYN` },
        reason: "timeout",
      };
    case "ECONNRESET":
    case "EPIPE":
    case "ECONNABORTED":
      return {
        error: { code: "reset", source: "target", message: `${where} accepted the connection and reset it` },
        reason: "refused",
      };
    default:
      return {
        error: { code: "internal", source: "agent", message: `the connection to ${where} failed with ${errno}` },
        reason: "unsupported",
      };
  }
}
