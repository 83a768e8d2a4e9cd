// Queries over TCP or TLS (RFC 7766, RFC 7858): each message behind its length, several at once on one connection.
import { randomInt } from "node:crypto";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { round3 } from "../statistics.ts";
import { Connector, type Secure } from "./connect.ts";
import { type Connect, type Exchange, type Failure, failure, type Order, type Session, socketFailure } from "./exchange.ts";

/** Repeated answers, read before the connection is given up. */
const REPEATED_MAX = 64;
const HEADER_BYTES = 12;

/** Cuts a byte stream into messages of two bytes' length and as many bytes (RFC 1035 4.2.2). Keeps at most one message. */
export class MessageReader {
  #rest: Buffer[] = [];
  #size = 0;

  /** Whole messages that this chunk completes. */
  push(chunk: Buffer): Buffer[] {
    this.#rest.push(chunk);
    this.#size += chunk.length;
    if (this.#size < this.#needed()) return [];
    let bytes = Buffer.concat(this.#rest);
    const messages: Buffer[] = [];
    while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
      const end = 2 + bytes.readUInt16BE(0);
      messages.push(bytes.subarray(2, end));
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes.length > 0 ? [bytes] : [];
    this.#size = bytes.length;
    return messages;
  }

  /** Bytes until the next message is whole; a trickle of single bytes must not be copied at each one. */
  #needed(): number {
    const [first] = this.#rest;
    return first !== undefined && first.length >= 2 ? 2 + first.readUInt16BE(0) : 2;
  }

  /** Whether a message has begun and not ended. */
  get partial(): boolean {
    return this.#size > 0;
  }
}

interface Open {
  readonly socket: Socket;
  readonly pending: Map<number, (message: Buffer | Failure) => void>;
  /** Every id asked on this connection: its answer may come after its time. */
  readonly asked: Set<number>;
  repeated: number;
}

export class StreamSession implements Session {
  readonly #order: Order;
  readonly #connector: Connector;
  #open: Open | undefined;

  /** `secure` for TLS. */
  constructor(order: Order, secure: Secure | undefined) {
    this.#order = order;
    this.#connector = new Connector(order.server, secure, ({ socket }) => {
      this.#open = this.#listen(socket);
    });
  }

  async ask(signal: AbortSignal): Promise<Exchange> {
    // Null when the connection stood already; whoever waits for the same one is told its times.
    const connect = this.#open === undefined ? await this.#connector.wait(signal) : null;
    if (connect !== null && "kind" in connect) return connect;
    const open = this.#open;
    const { server } = this.#order;
    if (open === undefined)
      return failure("reset", `${server.label} closed the connection at once`, { connected: true, connect });
    return this.#exchange(open, connect, signal);
  }

  close(): void {
    this.#open?.socket.destroy();
    this.#open = undefined;
  }

  #listen(socket: Socket): Open {
    const { server } = this.#order;
    const open: Open = { socket, pending: new Map(), asked: new Set(), repeated: 0 };
    const reader = new MessageReader();
    const end = (what: Failure) => {
      if (this.#open === open) this.#open = undefined;
      socket.destroy();
      const waiting = [...open.pending.values()];
      open.pending.clear();
      for (const settle of waiting) settle(what);
    };
    socket.on("error", (error) => end(socketFailure(error, server, { connected: true })));
    socket.on("close", () => {
      const how = reader.partial ? "in the middle of a message" : "without an answer";
      end(failure("reset", `${server.label} closed the connection ${how}`, { connected: true }));
    });
    socket.on("data", (chunk) => {
      for (const message of reader.push(chunk)) {
        const unfit = deliver(open, message);
        if (unfit !== undefined) {
          return end(failure("bad_response", `${server.label} ${unfit}`, { connected: true }));
        }
      }
    });
    return open;
  }

  #exchange(open: Open, connect: Connect | null, signal: AbortSignal): Promise<Exchange> {
    const { server, question, codec } = this.#order;
    let id = randomInt(65_536);
    while (open.asked.has(id)) id = randomInt(65_536);
    open.asked.add(id);
    const message = codec.query(id, question);
    const framed = Buffer.alloc(2 + message.length);
    framed.writeUInt16BE(message.length);
    message.copy(framed, 2);
    return new Promise((resolve) => {
      const settle = (result: Buffer | Failure) => {
        const query_ms = round3(performance.now() - sent_at);
        signal.removeEventListener("abort", expire);
        open.pending.delete(id);
        if (!Buffer.isBuffer(result)) return resolve({ ...result, connect });
        const reading = codec.read(result, id, question);
        if (reading.ok) return resolve({ ok: true, reply: reading.reply, query_ms, connect });
        resolve(failure("bad_response", `${server.label} answered wrongly: ${reading.why}`, { connected: true, connect }));
      };
      const expire = () => {
        settle(failure("timeout", `${server.label} accepted the connection but did not answer in time`, { connected: true }));
        // Whoever asks again starts anew: a connection that swallowed a query is not to be trusted.
        if (this.#open === open && open.pending.size === 0) this.close();
      };
      open.pending.set(id, settle);
      const sent_at = performance.now();
      if (signal.aborted) return expire();
      signal.addEventListener("abort", expire, { once: true });
      open.socket.write(framed);
    });
  }
}

/** Gives a message to the query it answers; what is wrong with it when the connection is not worth keeping. */
function deliver(open: Open, message: Buffer): string | undefined {
  if (message.length < HEADER_BYTES) return `sent a message of ${message.length} bytes, less than a header`;
  const id = message.readUInt16BE(0);
  if (!open.asked.has(id)) return "answered with an id that was not asked";
  const settle = open.pending.get(id);
  settle?.(message);
  open.repeated += settle === undefined ? 1 : 0;
  return open.repeated >= REPEATED_MAX ? `repeated its answers ${open.repeated} times` : undefined;
}
