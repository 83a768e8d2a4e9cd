// Asks a SIP server for its OPTIONS (RFC 3261 section 11) and times the answer. A dialog is never begun, nobody is called.
import { randomBytes } from "node:crypto";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import type { SipTransport } from "#contract/test-types/voip";
import { connectFailure, dial, type Endpoint, type Failure, hangUp, showEndpoint, warmUp } from "../probes/endpoint.ts";
import { type OptionsRequest, optionsRequest, ResponseReader, readResponse, type SipResponse } from "./sip-message.ts";

/** Retransmission of requests over UDP (RFC 3261 section 17.1.2.2): first after T1, then twice as long up to T2, ms. */
const T1_MS = 500;
const T2_MS = 4000;
/** Messages that are no final answer to us, read before the server is given up. */
const MESSAGES_MAX = 256;

export interface SipAnswer extends SipResponse {
  readonly ok: true;
  /** First request sent to final response read, ms. */
  readonly rtt_ms: number;
  readonly retransmissions: number;
  /** What the connection took, ms; null over UDP. */
  readonly connect_ms: number | null;
  /** Why the server's certificate is not valid; null where it is, or where there is none. */
  readonly certificate_error: string | null;
}

export type SipOutcome = SipAnswer | ({ readonly ok: false } & Failure);

export interface SipServer {
  readonly endpoint: Endpoint;
  readonly transport: SipTransport;
}

const failed = (failure: Failure): SipOutcome => ({ ok: false, ...failure });
const named = ({ endpoint, transport }: SipServer): string => `SIP server ${showEndpoint(endpoint)} (${transport})`;

/** The transaction's random names; guessing them is the only way to forge an answer (RFC 3261 sections 8.1.1.4, 8.1.1.7). */
function identity(): Pick<OptionsRequest, "branch" | "callId" | "fromTag"> {
  const random = () => randomBytes(12).toString("hex");
  return { branch: `z9hG4bK${random()}`, callId: `${random()}${random()}`, fromTag: random() };
}

function authority(host: string, port: number): string {
  const bare = host.replace(/%.*$/, "");
  return bare.includes(":") ? `[${bare}]:${port}` : `${bare}:${port}`;
}

/** What has arrived for one request: the answer, or why nothing was one. */
class Transaction {
  readonly #server: SipServer;
  readonly #request: OptionsRequest;
  #strays = 0;
  #provisionals = 0;
  #why = "";
  #provisional: number | undefined;

  constructor(server: SipServer, request: OptionsRequest) {
    this.#server = server;
    this.#request = request;
  }

  get bytes(): Buffer {
    return optionsRequest(this.#request);
  }

  /** Whether the server said that it works on it (1xx). */
  get proceeding(): boolean {
    return this.#provisional !== undefined;
  }

  get tooMany(): boolean {
    return this.#strays + this.#provisionals >= MESSAGES_MAX;
  }

  /** The final response in this message, if it is one. */
  read(message: Buffer): SipResponse | undefined {
    const reading = readResponse(message, this.#request);
    if (reading.ok && reading.response.status >= 200) return reading.response;
    if (reading.ok) {
      this.#provisionals += 1;
      this.#provisional = reading.response.status;
    } else this.refuse(reading.why);
    return undefined;
  }

  refuse(why: string): void {
    this.#strays += 1;
    this.#why = why;
  }

  /** How the wait ended without a final response. */
  verdict(): SipOutcome {
    const label = named(this.#server);
    if (this.#strays > 0) {
      const message = `${label} sent ${this.#strays} messages that are no answer to OPTIONS: the last ${this.#why}`;
      return failed({ error: { code: "bad_response", source: "target", message }, reason: "timeout" });
    }
    if (this.tooMany) {
      const message = `${label} sent ${this.#provisionals} provisional answers, the last ${this.#provisional}, and no final one`;
      return failed({ error: { code: "bad_response", source: "target", message }, reason: "timeout" });
    }
    const said = this.#provisional === undefined ? "" : `; it only said ${this.#provisional}`;
    const message = `${label} did not answer OPTIONS in time${said}; look whether it serves this transport and this address`;
    return failed({ error: { code: "no_reply", source: "network", message }, reason: "timeout" });
  }
}

function transactionOf(server: SipServer, local: { address: string; port: number }): Transaction {
  const target = authority(server.endpoint.host, server.endpoint.port);
  const { transport } = server;
  return new Transaction(server, { target, transport, local: authority(local.address, local.port), ...identity() });
}

/** Failures after the connection stood; a refusal over UDP is an ICMP port unreachable. */
function brokenFailure(server: SipServer, errno: string): SipOutcome {
  const label = named(server);
  if (server.transport === "udp" && errno === "ECONNREFUSED") {
    const message = `nothing listens at ${label}: its host answered "port unreachable"`;
    return failed({ error: { code: "refused", source: "target", message }, reason: "refused" });
  }
  if (errno === "ECONNRESET" || errno === "EPIPE") {
    const message = `${label} closed the connection without an answer`;
    return failed({ error: { code: "reset", source: "target", message }, reason: "refused" });
  }
  return failed(connectFailure({ kind: "error", errno, local: false, ms: 0 }, server.endpoint));
}

/** Sends the request and repeats it until it is answered (RFC 3261 17.1.2.2, timers E and F; F is the signal). */
function overUdp(server: SipServer, signal: AbortSignal): Promise<SipOutcome> {
  const { address, family, port } = server.endpoint;
  return new Promise((resolve) => {
    const socket = createSocket({ type: family === 6 ? "udp6" : "udp4" });
    let transaction: Transaction | undefined;
    let timer: NodeJS.Timeout | undefined;
    let sends = 0;
    let started = 0;
    const finish = (outcome: SipOutcome) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", expire);
      close(socket);
      resolve(outcome);
    };
    const expire = () => finish((transaction ?? transactionOf(server, { address: "0.0.0.0", port: 0 })).verdict());
    const send = (bytes: Buffer, wait_ms: number) => {
      sends += 1;
      socket.send(bytes);
      timer = setTimeout(() => send(bytes, transaction?.proceeding ? T2_MS : Math.min(2 * wait_ms, T2_MS)), wait_ms);
    };
    socket.once("error", (error: NodeJS.ErrnoException) => finish(brokenFailure(server, error.code ?? "UNKNOWN")));
    socket.on("message", (datagram) => {
      const rtt_ms = performance.now() - started;
      const response = transaction?.read(datagram);
      if (response !== undefined) {
        finish({ ok: true, ...response, rtt_ms, retransmissions: sends - 1, connect_ms: null, certificate_error: null });
      } else if (transaction?.tooMany) expire();
    });
    // A connected socket hears only this server, and hears that its port is closed (ICMP port unreachable).
    socket.once("connect", () => {
      transaction = transactionOf(server, socket.address());
      started = performance.now();
      send(transaction.bytes, T1_MS);
    });
    if (signal.aborted) return expire();
    signal.addEventListener("abort", expire, { once: true });
    socket.connect(port, address);
  });
}

function close(socket: UdpSocket): void {
  socket.removeAllListeners("message");
  // Errors that arrive after the end concern nobody.
  socket.removeAllListeners("error").on("error", () => undefined);
  socket.close();
}

interface Connection {
  readonly ok: true;
  readonly socket: Socket;
  readonly connect_ms: number;
  readonly certificate_error: string | null;
  leave(): void;
}

async function connectTo(server: SipServer, signal: AbortSignal): Promise<Connection | SipOutcome> {
  const dialled = dial(server.endpoint, 2 ** 31 - 1, signal);
  const reached = await dialled.outcome;
  const raw = dialled.socket;
  if (reached.kind !== "connected") {
    hangUp(raw);
    if (reached.kind !== "stopped") return failed(connectFailure(reached, server.endpoint));
    const message = `${named(server)} did not accept a connection in time`;
    return failed({ error: { code: "no_reply", source: "network", message }, reason: "timeout" });
  }
  raw.allowHalfOpen = false;
  const plain = { ok: true, socket: raw, connect_ms: reached.ms, certificate_error: null, leave: () => hangUp(raw) } as const;
  return server.transport === "tls" ? secure(server, plain, signal) : plain;
}

/** TLS over the connection. Nothing secret is sent, so a bad certificate is told and does not end the measurement. */
async function secure(server: SipServer, plain: Connection, signal: AbortSignal): Promise<Connection | SipOutcome> {
  const { contextFor, handshake } = await import("../probes/tls-handshake.ts");
  const { host } = server.endpoint;
  const servername = host.includes(":") || /^[\d.]+$/.test(host) ? undefined : host;
  const context = contextFor("TLSv1.2", "TLSv1.3");
  const shaken = await handshake(plain.socket, { host, servername, alpn: [], context, signal });
  if (shaken.kind === "done") {
    const { authorization_error: certificate_error } = shaken.agreed;
    return { ...plain, socket: shaken.socket, connect_ms: plain.connect_ms + shaken.ms, certificate_error };
  }
  plain.leave();
  const what = shaken.kind === "over" ? "did not finish the TLS handshake in time" : `broke the TLS handshake (${shaken.code})`;
  const message = `${named(server)} ${what}`;
  return shaken.kind === "over"
    ? failed({ error: { code: "no_reply", source: "target", message }, reason: "timeout" })
    : failed({ error: { code: "tls_failed", source: "target", message }, reason: "refused" });
}

async function overStream(server: SipServer, signal: AbortSignal): Promise<SipOutcome> {
  const connection = await connectTo(server, signal);
  if (!("socket" in connection)) return connection;
  const { socket, connect_ms, certificate_error, leave } = connection;
  const { localAddress: address = "0.0.0.0", localPort: port = 0 } = socket;
  const transaction = transactionOf(server, { address, port });
  const outcome = await new Promise<SipOutcome>((resolve) => {
    const reader = new ResponseReader();
    let started = performance.now();
    const expire = () => resolve(transaction.verdict());
    if (signal.aborted) return expire();
    signal.addEventListener("abort", expire, { once: true });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(brokenFailure(server, error.code ?? "UNKNOWN")));
    socket.once("close", () => resolve(brokenFailure(server, "ECONNRESET")));
    socket.on("data", (chunk: Buffer) => {
      const rtt_ms = performance.now() - started;
      const read = reader.push(chunk);
      if (!Array.isArray(read)) {
        transaction.refuse(read.why);
        return expire();
      }
      for (const message of read) {
        const response = transaction.read(message);
        if (response !== undefined) {
          return resolve({ ok: true, ...response, rtt_ms, retransmissions: 0, connect_ms, certificate_error });
        }
        if (transaction.tooMany) return expire();
      }
    });
    started = performance.now();
    socket.write(transaction.bytes);
  });
  leave();
  return outcome;
}

/** Gets the code ready that a first connection of a process would else be timed with. */
export async function prepareSip(transport: SipTransport): Promise<void> {
  if (transport !== "udp") await warmUp();
  if (transport === "tls") await (await import("../probes/tls-warm.ts")).warmUpTls();
}

/** One OPTIONS transaction; ends when it is answered, refused, or the signal aborts. Never rejects. */
export function askOptions(server: SipServer, signal: AbortSignal): Promise<SipOutcome> {
  return server.transport === "udp" ? overUdp(server, signal) : overStream(server, signal);
}
