// The throughput server: GET /__down?bytes=N, POST /__up. Small on purpose, as it stands on an open port.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type ProblemCode, problem } from "#contract/problem";
import { hostClock } from "../host-clock.ts";
import { HttpGate } from "./http-auth.ts";
import { Line, type LineHold } from "./http-line.ts";
import { networkOf, Strangers } from "./http-strangers.ts";
import { type Passed, receiveUp, sendDown } from "./http-transfer.ts";
import type { Keyring } from "./keyring.ts";
import { HTTP_LIMITS } from "./limits.ts";

/** Why requests got nothing. */
export interface HttpRefusals {
  /** No proof of a key; a first request has none yet, so each test shows here too. */
  unauthenticated: number;
  /** The line was taken, or the hour's bytes were used up. */
  busy: number;
  /** Neither of the two requests there are. */
  unknown: number;
  /** Connections beyond those one network, or all together, may have or begin. */
  connections: number;
  /** Requests without proof beyond the rate of their network; they end the connection. */
  rate: number;
}

export interface HttpStats {
  downloads: number;
  uploads: number;
  sent_bytes: number;
  received_bytes: number;
  refused: HttpRefusals;
}

/** One finished transfer, for whoever watches. */
export interface Transfer extends Passed {
  readonly direction: "down" | "up";
  readonly address: string;
  readonly owner: string;
}

interface Parts {
  readonly keyring: Keyring;
  /** Whether requests without proof of a key are served. */
  readonly open: boolean;
  onTransfer(transfer: Transfer): void;
}

/** A body nobody asked for is read away for this long, so that the answer is seen before the connection ends. */
const DISCARD_MS = 500;

type Wanted = { readonly direction: "down"; readonly bytes: number } | { readonly direction: "up" };

/** What a request asks for, or the problem with it. */
function read(method: string, target: string): Wanted | ProblemCode {
  const [path, query = ""] = target.split("?", 2);
  if (method === "POST" && path === "/__up") return { direction: "up" };
  if (method !== "GET" || path !== "/__down") return "not_found";
  const bytes = new URLSearchParams(query).get("bytes") ?? "";
  if (!/^\d{1,11}$/.test(bytes) || Number(bytes) > HTTP_LIMITS.transferBytes) return "bad_query";
  return { direction: "down", bytes: Number(bytes) };
}

export class HttpReflector {
  readonly stats: HttpStats = {
    downloads: 0,
    uploads: 0,
    sent_bytes: 0,
    received_bytes: 0,
    refused: { unauthenticated: 0, busy: 0, unknown: 0, connections: 0, rate: 0 },
  };
  readonly server: Server;
  readonly #parts: Parts;
  readonly #gate = new HttpGate();
  readonly #line = new Line();
  readonly #strangers = new Strangers();
  /** By network. */
  readonly #connections = new Map<string, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.server = createServer({
      headersTimeout: HTTP_LIMITS.headers_ms,
      requestTimeout: HTTP_LIMITS.transfer_ms + HTTP_LIMITS.stall_ms,
      keepAliveTimeout: HTTP_LIMITS.idle_ms,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: HTTP_LIMITS.headerBytes,
      noDelay: true,
    });
    this.server.maxHeadersCount = HTTP_LIMITS.headerCount;
    this.server.maxConnections = HTTP_LIMITS.connections;
    this.server.maxRequestsPerSocket = HTTP_LIMITS.requestsPerConnection;
    // A connection on which nothing moves, whatever it was for.
    this.server.timeout = HTTP_LIMITS.stall_ms;
    this.server.on("connection", (socket) => this.#count(socket));
    this.server.on("drop", () => this.#refuse("connections"));
    this.server.on("request", (request, response) => this.#serve(request, response));
    this.server.on("checkContinue", (request, response) => this.#serve(request, response));
  }

  #refuse(why: keyof HttpRefusals): void {
    this.stats.refused[why] += 1;
  }

  /** Each network gets a share of the connections. */
  #count(socket: Socket): void {
    const network = networkOf(socket.remoteAddress ?? "");
    const open = (this.#connections.get(network) ?? 0) + 1;
    if (open > HTTP_LIMITS.connectionsPerNetwork || !this.#strangers.admit(network)) {
      this.#refuse("connections");
      socket.destroy();
      return;
    }
    this.#connections.set(network, open);
    socket.once("close", () => {
      const left = (this.#connections.get(network) ?? 1) - 1;
      if (left > 0) this.#connections.set(network, left);
      else this.#connections.delete(network);
    });
  }

  /** Whether a request without proof is within the rate of its network; the connection of one that is not ends. */
  #bears({ socket }: IncomingMessage): boolean {
    if (this.#strangers.admit(networkOf(socket.remoteAddress ?? ""))) return true;
    this.#refuse("rate");
    socket.destroy();
    return false;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { method = "", url = "" } = request;
    // A connection that breaks takes its request and its answer with it; nothing else hears of it.
    request.on("error", () => response.destroy());
    response.on("error", () => response.destroy());
    // Of one packet with many requests, those behind the one that ended the connection.
    if (request.socket.destroyed) return;
    const wanted = read(method, url);
    if (typeof wanted === "string") {
      if (!this.#bears(request)) return;
      this.#refuse("unknown");
      const detail =
        wanted === "bad_query" ? `bytes must be 0 to ${HTTP_LIMITS.transferBytes}` : "only /__down and /__up are here";
      answer(request, response, wanted, detail);
      return;
    }
    const { owner, proved } = this.#ownerOf(request, method, url);
    if (!proved && !this.#bears(request)) return;
    if (owner === undefined) {
      this.#refuse("unauthenticated");
      const header = { "www-authenticate": this.#gate.challenge() };
      answer(request, response, "unauthenticated", "prove the key of a session with this nonce", header);
      return;
    }
    const hold = this.#line.take(owner);
    if ("why" in hold) {
      this.#refuse("busy");
      const detail =
        hold.why === "busy" ? "another throughput test has the line" : "this session's bytes of the hour are used up";
      answer(request, response, "unavailable", detail, { "retry-after": String(hold.retry_s) });
      return;
    }
    this.#transfer(request, response, { wanted, owner, hold });
  }

  /** Who a request speaks for: a session by its key, or in open mode an address. */
  #ownerOf(request: IncomingMessage, method: string, target: string): { owner: string | undefined; proved: boolean } {
    const keysOf = (ssid: number) => this.#parts.keyring.keysOf(ssid, hostClock.now()).map(({ key }) => key);
    const ssid = this.#gate.admit(request.headers.authorization, method, target, keysOf);
    if (ssid !== undefined) return { owner: `ssid ${ssid}`, proved: true };
    return { owner: this.#parts.open ? `address ${request.socket.remoteAddress ?? ""}` : undefined, proved: false };
  }

  #transfer(
    request: IncomingMessage,
    response: ServerResponse,
    { wanted, owner, hold }: { wanted: Wanted; owner: string; hold: LineHold },
  ): void {
    const address = request.socket.remoteAddress ?? "";
    const { direction } = wanted;
    const done = (passed: Passed) => {
      hold.release();
      this.stats[direction === "down" ? "sent_bytes" : "received_bytes"] += passed.bytes;
      this.#parts.onTransfer({ ...passed, direction, address, owner });
    };
    if (wanted.direction === "down") {
      this.stats.downloads += 1;
      sendDown(response, wanted.bytes, hold, done);
    } else {
      this.stats.uploads += 1;
      if (request.headers.expect !== undefined) response.writeContinue();
      receiveUp(request, response, hold, done);
    }
  }
}

/** A short refusal. The connection stays for the next request, unless a body is under way that nobody wants. */
function answer(
  request: IncomingMessage,
  response: ServerResponse,
  code: ProblemCode,
  detail: string,
  headers: Record<string, string> = {},
): void {
  const body = problem(code, detail);
  const text = JSON.stringify(body);
  response.writeHead(body.status, {
    ...headers,
    "content-type": "application/problem+json",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
  });
  response.end(text);
  request.resume();
  const discard = setTimeout(() => request.complete || request.destroy(), DISCARD_MS).unref();
  request.once("close", () => clearTimeout(discard));
}
