// What asking a resolver once can end with, over whatever transport.
import type { DnsTransport } from "#contract/test-types/dns";
import { printable } from "../printable.ts";
import type { Codec, Question, Reply } from "./codec.ts";

/** A resolver to speak to: an address literal, never a name. */
export interface Server {
  /** As people know it: its address, with a port that is not the usual one, or its URL's host. */
  readonly label: string;
  readonly address: string;
  readonly port: number;
  readonly transport: DnsTransport;
  /** Name its certificate must have; the address where undefined. */
  readonly servername: string | undefined;
  /** For https. */
  readonly url: string | undefined;
}

/** How long it took to reach the resolver, milliseconds. `tls_ms` is null without TLS. */
export interface Connect {
  readonly ms: number;
  readonly tcp_ms: number;
  readonly tls_ms: number | null;
}

export type FailureKind =
  | "timeout"
  | "refused"
  | "unreachable"
  | "no_route"
  | "reset"
  | "tls_failed"
  | "certificate"
  | "bad_response"
  | "http_status"
  | "internal";

export interface Failure {
  readonly ok: false;
  readonly kind: FailureKind;
  readonly message: string;
  /** Whether the resolver had been reached when it failed: then it is the resolver that is silent. */
  readonly connected: boolean;
  readonly connect: Connect | null;
}

export interface Answered {
  readonly ok: true;
  readonly reply: Reply;
  /** Query sent to response read, milliseconds. */
  readonly query_ms: number;
  /** The connection this query had to wait for; null on UDP and on a connection that stood already. */
  readonly connect: Connect | null;
}

export type Exchange = Answered | Failure;

/** Asks one question of one server; keeps a connection where the transport has one. */
export interface Session {
  /** One try; ends when the signal aborts. Never rejects. */
  ask(signal: AbortSignal): Promise<Exchange>;
  close(): void;
}

/** What a session needs to know. */
export interface Order {
  readonly server: Server;
  readonly question: Question;
  readonly codec: Codec;
}

export const failure = (
  kind: FailureKind,
  message: string,
  more: { connected?: boolean; connect?: Connect | null } = {},
): Failure => ({ ok: false, kind, message, connected: more.connected ?? false, connect: more.connect ?? null });

const KINDS: Readonly<Record<string, FailureKind>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "reset",
  EPIPE: "reset",
  ENETUNREACH: "no_route",
  EADDRNOTAVAIL: "no_route",
  EHOSTUNREACH: "unreachable",
  ENETDOWN: "unreachable",
  EHOSTDOWN: "unreachable",
  ETIMEDOUT: "timeout",
  // What a firewall on this host or an administratively prohibited code (RFC 1812 5.2.7.1) becomes.
  EACCES: "unreachable",
  EPERM: "unreachable",
};

const WORDS: Readonly<Partial<Record<FailureKind, string>>> = {
  refused: "refuses connections: nothing listens there, or a firewall rejects it",
  reset: "closed the connection before it answered",
  no_route: "cannot be reached: this host has no route to it",
  unreachable: "cannot be reached: the network says so, or a firewall on the way",
  timeout: "did not answer in time",
  tls_failed: "and this host cannot agree on TLS: it may not speak it at that port, or only a version too old",
  bad_response: "does not keep to HTTP",
};

/** What an error of a socket says about the resolver. */
export function socketFailure(
  error: { readonly code?: string | undefined; readonly message?: string },
  server: Server,
  more: { connected?: boolean; connect?: Connect | null } = {},
): Failure {
  const { code = "", message = "" } = error;
  const kind = KINDS[code] ?? tlsKind(code);
  const said = message === "" ? "" : `: ${printable(message)}`;
  const words = WORDS[kind] ?? `could not be asked${said}`;
  return failure(kind, `${server.label} ${words}${code === "" ? "" : ` (${code})`}`, more);
}

/** Errors of TLS and HTTP, which have codes by the dozen; the rest is this host's own doing (EMFILE, ENOBUFS, …). */
function tlsKind(code: string): FailureKind {
  if (/^(HPE_|ERR_HTTP2_)/.test(code)) return "bad_response";
  return /^(ERR_SSL|EPROTO|ERR_TLS)/.test(code) ? "tls_failed" : "internal";
}
