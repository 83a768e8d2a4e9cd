// One connection of a bandwidth run: HTTP/1.1 requests over a socket of ours, whose bytes are counted and never kept.
import { isIP, connect as netConnect, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { type TLSSocket, connect as tlsConnect } from "node:tls";
import { hangUp, type Peer } from "../probes/endpoint.ts";
import { BadResponse, type ResponseHead, ResponseReader } from "./response-reader.ts";

/** Bytes are read into one buffer that all connections share: what arrives is counted at once, or small. */
const READ_BUFFER = Buffer.allocUnsafe(256 * 1024);

/** Where a connection goes: the literal, and the host name where TLS is spoken. */
export interface WirePeer extends Peer {
  readonly tls: { readonly host: string } | undefined;
}

/** Why a connection or an exchange ended too early. */
export type WireTrouble =
  | { readonly kind: "errno"; readonly errno: string; readonly local: boolean }
  | { readonly kind: "timeout" }
  | { readonly kind: "stopped" }
  | { readonly kind: "certificate"; readonly code: string }
  | { readonly kind: "tls"; readonly message: string }
  /** The peer closed before its answer was complete. */
  | { readonly kind: "closed" }
  | { readonly kind: "bad"; readonly message: string };

export interface ExchangeOrder {
  /** Request line and headers, with the empty line behind them. */
  readonly head: string;
  /** Whether it is a HEAD request, whose answer has no body. */
  readonly bodiless?: boolean;
  onHead?(head: ResponseHead): void;
  /** A piece of the body; only good until this returns. */
  onBody?(piece: Buffer): void;
}

export type Exchanged =
  | { readonly ok: true; readonly head: ResponseHead; readonly reusable: boolean }
  | { readonly ok: false; readonly head: ResponseHead | undefined; readonly trouble: WireTrouble };

interface Pending {
  readonly order: ExchangeOrder;
  head: ResponseHead | undefined;
  settle(result: Exchanged): void;
}

export class Wire {
  /** What is read from and written to. */
  readonly socket: Socket;
  /** The TCP connection, which is the same without TLS. */
  readonly tcp: Socket;
  readonly connected_ms: number;
  /** TLS handshake, from the established connection on; null without TLS. */
  readonly tls_ms: number | null;
  #read = 0;
  #pending: Pending | undefined;
  #trouble: WireTrouble | undefined;
  readonly #reader = new ResponseReader({
    head: (head) => {
      const pending = this.#pending;
      if (pending === undefined) return;
      pending.head = head;
      pending.order.onHead?.(head);
    },
    body: (piece) => this.#pending?.order.onBody?.(piece),
    end: (reusable) => {
      const pending = this.#pending;
      if (pending?.head === undefined) return;
      this.#pending = undefined;
      pending.settle({ ok: true, head: pending.head, reusable });
    },
  });

  private constructor(socket: Socket, tcp: Socket, connected_ms: number, tls_ms: number | null) {
    this.socket = socket;
    this.tcp = tcp;
    this.connected_ms = connected_ms;
    this.tls_ms = tls_ms;
  }

  /** Bytes read so far, heads included. */
  get bytesRead(): number {
    return this.#read;
  }

  /** Bytes given to the kernel so far, heads included. */
  get bytesSent(): number {
    return Math.max(0, this.socket.bytesWritten - this.socket.writableLength);
  }

  /** Connects, with TLS where the peer has it. Ends at the signal or after `timeout_ms`. */
  static open(peer: WirePeer, timeout_ms: number, signal: AbortSignal): Promise<Wire | WireTrouble> {
    let wire: Wire | undefined;
    const began = performance.now();
    let connectedAt = began;
    const { tcp, socket } = start(peer, (bytes) => wire?.take(bytes));
    return new Promise((resolve) => {
      let local = true;
      tcp.once("connectionAttempt", () =>
        process.nextTick(() =>
          process.nextTick(() => {
            local = false;
          }),
        ),
      );
      const settle = (result: Wire | WireTrouble) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", stop);
        if (!(result instanceof Wire)) hangUp(tcp);
        resolve(result);
      };
      const stop = () => settle({ kind: "stopped" });
      const timer = setTimeout(() => settle({ kind: "timeout" }), timeout_ms);
      tcp.once("connect", () => {
        connectedAt = performance.now();
      });
      socket.once(peer.tls === undefined ? "connect" : "secureConnect", () => {
        const tls_ms = peer.tls === undefined ? null : performance.now() - connectedAt;
        wire = new Wire(socket, tcp, connectedAt - began, tls_ms);
        settle(wire);
      });
      const failed = (error: NodeJS.ErrnoException) => {
        const trouble = troubleOf(error, local);
        if (wire === undefined) settle(trouble);
        else wire.fail(trouble);
      };
      const closed = () => (wire === undefined ? settle({ kind: "closed" }) : wire.ended());
      for (const one of new Set([socket, tcp])) {
        one.on("error", failed);
        one.once("close", closed);
      }
      socket.once("end", closed);
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
    });
  }

  /** Bytes as they came. */
  take(bytes: Buffer): void {
    this.#read += bytes.length;
    try {
      this.#reader.feed(bytes);
    } catch (error) {
      if (!(error instanceof BadResponse)) throw error;
      this.fail({ kind: "bad", message: error.message });
    }
  }

  /** The peer will send no more. */
  ended(): void {
    if (!this.#reader.closed()) this.fail({ kind: "closed" });
    else this.#trouble ??= { kind: "closed" };
    this.close();
  }

  fail(trouble: WireTrouble): void {
    this.#trouble ??= trouble;
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.settle({ ok: false, head: pending.head, trouble: this.#trouble });
    this.close();
  }

  /** Whether another exchange may begin. */
  get open(): boolean {
    return this.#trouble === undefined && this.#pending === undefined && !this.socket.destroyed;
  }

  /** Sends one request head and reads the answer to its end. A body is written by the caller meanwhile. */
  exchange(order: ExchangeOrder): Promise<Exchanged> {
    return new Promise((resolve) => {
      if (!this.open) {
        resolve({ ok: false, head: undefined, trouble: this.#trouble ?? { kind: "closed" } });
        return;
      }
      this.#pending = { order, head: undefined, settle: resolve };
      this.#reader.expect(order.bodiless === true);
      this.socket.write(order.head, "latin1");
    });
  }

  /** Ends the connection with a reset, so that what is still under way is dropped at both ends. */
  close(): void {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#trouble ??= { kind: "stopped" };
    pending?.settle({ ok: false, head: pending.head, trouble: this.#trouble });
    hangUp(this.tcp);
    this.socket.destroy();
  }
}

/** Starts a connection; with TLS the TCP connection stays at hand, since only that can be reset. */
function start(peer: WirePeer, onBytes: (bytes: Buffer) => void): { tcp: Socket; socket: Socket } {
  const { address, family, port } = peer;
  const to = { host: address, port, family, autoSelectFamily: false, noDelay: true };
  if (peer.tls === undefined) {
    const callback = (count: number) => {
      onBytes(READ_BUFFER.subarray(0, count));
      return true;
    };
    const tcp = netConnect({ ...to, onread: { buffer: READ_BUFFER, callback } });
    return { tcp, socket: tcp };
  }
  const tcp = netConnect(to);
  const { host } = peer.tls;
  // An address is no server name (RFC 6066 section 3).
  const servername = isIP(host) === 0 ? { servername: host } : {};
  const socket = tlsConnect({ socket: tcp, host, ...servername, ALPNProtocols: ["http/1.1"] });
  socket.on("data", onBytes);
  return { tcp, socket };
}

function troubleOf(error: NodeJS.ErrnoException, local: boolean): WireTrouble {
  const code = error.code ?? "UNKNOWN";
  if (error.syscall !== undefined) return { kind: "errno", errno: code, local };
  if (code.startsWith("ERR_SSL") || code === "EPROTO") return { kind: "tls", message: error.message };
  if (code === "ECONNRESET" || code === "EPIPE" || code === "ERR_STREAM_PREMATURE_CLOSE") return { kind: "closed" };
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID" || /CERT|SIGNATURE|ISSUER|CRL|SELF_SIGNED/.test(code)) {
    return { kind: "certificate", code };
  }
  return { kind: "errno", errno: code, local };
}

/** Whether a TLS connection needed one round trip for its handshake (RFC 8446) or two (RFC 5246). */
export const tlsRoundTrips = (socket: Socket): number => ((socket as TLSSocket).getProtocol?.() === "TLSv1.3" ? 1 : 2);
