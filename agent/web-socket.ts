// A WebSocket client (RFC 6455) for text messages, over Node's own HTTP. The one built into Node brings a whole second HTTP client
// along, 6 MB of memory for a line that carries a few frames a minute; it is used where a proxy stands in between.
import { createHash, randomBytes } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { FrameError, FrameReader, maskedFrame, OPCODE } from "./web-socket-frames.ts";

export interface SocketEvents {
  open(): void;
  message(text: string): void;
  /** Why the connection broke or never came to be; `close` follows. */
  error(why: string): void;
  /** Once, at the end. Code 1006 where the other side sent none. */
  close(code: number, reason: string): void;
}

export interface TextSocket {
  /** Sends a message; nothing while the socket is not open. */
  send(text: string): void;
  close(code: number, reason: string): void;
}

/** What is added to the key before it is hashed (RFC 6455 1.3). */
const HANDSHAKE_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** Far above any message of our server. */
const MESSAGE_MAX = 16 * 1024 * 1024;
/** A peer that does not answer a goodbye is left after this long. */
const CLOSE_MS = 5000;
const ABNORMAL = 1006;
const NO_STATUS = 1005;

class Client implements TextSocket {
  readonly #events: SocketEvents;
  readonly #reader = new FrameReader(MESSAGE_MAX);
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true });
  #socket: Socket | undefined;
  #cancel: () => void;
  #parts: Buffer[] | undefined;
  #closing = false;
  #over = false;
  #code = ABNORMAL;
  #reason = "";
  #timer: NodeJS.Timeout | undefined;

  constructor(url: string, headers: Readonly<Record<string, string>>, events: SocketEvents) {
    this.#events = events;
    const key = randomBytes(16).toString("base64");
    const secure = url.startsWith("wss:");
    const request = (secure ? httpsRequest : httpRequest)(url.replace(/^ws/, "http"), {
      // A connection of its own: it stays when the request is over.
      agent: false,
      headers: {
        ...headers,
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": key,
      },
    });
    this.#cancel = () => request.destroy();
    request.on("upgrade", (response, socket, head) => this.#upgraded(response, socket as Socket, head, key));
    request.on("response", (response) => {
      response.resume();
      this.#fail(`the server answered ${response.statusCode ?? 0}`);
    });
    request.on("error", (error) => this.#fail(error.message));
    request.end();
  }

  send(text: string): void {
    if (this.#socket !== undefined && !this.#closing) this.#write(OPCODE.text, Buffer.from(text, "utf8"));
  }

  close(code: number, reason: string): void {
    if (this.#over || this.#closing) return;
    this.#closing = true;
    if (this.#socket === undefined) {
      this.#end();
      return;
    }
    this.#write(OPCODE.close, closePayload(code, reason));
    this.#timer = setTimeout(() => this.#end(), CLOSE_MS);
  }

  #write(opcode: number, payload: Buffer): void {
    this.#socket?.write(maskedFrame(opcode, payload, randomBytes(4)));
  }

  #upgraded(response: IncomingMessage, socket: Socket, head: Buffer, key: string): void {
    const accept = createHash("sha1")
      .update(key + HANDSHAKE_SUFFIX)
      .digest("base64");
    this.#cancel = () => socket.destroy();
    socket.on("error", (error) => this.#fail(error.message));
    if (this.#over) {
      socket.destroy();
      return;
    }
    const { headers } = response;
    const extension = headers["sec-websocket-extensions"] ?? headers["sec-websocket-protocol"];
    if (headers["sec-websocket-accept"] !== accept || extension !== undefined) {
      this.#fail("the server does not speak WebSocket as it was asked to");
      return;
    }
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setTimeout(0);
    socket.on("close", () => this.#end());
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#events.open();
    if (head.length > 0) this.#read(head);
  }

  #read(chunk: Buffer): void {
    if (this.#over) return;
    try {
      for (const { fin, opcode, payload } of this.#reader.push(chunk)) {
        if (this.#over) return;
        if (opcode === OPCODE.ping) this.#write(OPCODE.pong, payload);
        else if (opcode === OPCODE.close) this.#closedByServer(payload);
        else if (opcode !== OPCODE.pong) this.#part(fin, opcode, payload);
      }
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#events.error(error.message);
      this.close(error.code, error.message);
      this.#end();
    }
  }

  /** One frame of a message. Messages of bytes are read and left alone: our server sends none. */
  #part(fin: boolean, opcode: number, payload: Buffer): void {
    const begins = opcode === OPCODE.text || opcode === OPCODE.binary;
    if (!begins && opcode !== OPCODE.continuation) throw new FrameError(1002, "a frame of an unknown kind");
    if (begins !== (this.#parts === undefined)) throw new FrameError(1002, "a message begins inside another one, or nowhere");
    if (opcode === OPCODE.binary) throw new FrameError(1003, "a message of bytes, where only text is spoken");
    const parts = [...(this.#parts ?? []), payload];
    if (parts.reduce((sum, { length }) => sum + length, 0) > MESSAGE_MAX) throw new FrameError(1009, "a message is too large");
    this.#parts = fin ? undefined : parts;
    if (!fin) return;
    this.#events.message(this.#text(parts.length === 1 ? payload : Buffer.concat(parts)));
  }

  #text(bytes: Buffer): string {
    try {
      return this.#utf8.decode(bytes);
    } catch {
      throw new FrameError(1007, "a message is no UTF-8");
    }
  }

  /** The goodbye of the server, or its answer to ours. */
  #closedByServer(payload: Buffer): void {
    this.#code = payload.length >= 2 ? payload.readUInt16BE(0) : NO_STATUS;
    this.#reason = payload.subarray(2).toString("utf8");
    if (!this.#closing) this.#write(OPCODE.close, payload.subarray(0, 2));
    this.#closing = true;
    this.#socket?.end();
    this.#timer ??= setTimeout(() => this.#end(), CLOSE_MS);
  }

  #fail(why: string): void {
    if (this.#over) return;
    this.#events.error(why);
    this.#end();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#cancel();
    this.#events.close(this.#code, this.#reason);
  }
}

function closePayload(code: number, reason: string): Buffer {
  const words = Buffer.from(reason, "utf8").subarray(0, 123);
  const payload = Buffer.alloc(2 + words.length);
  payload.writeUInt16BE(code, 0);
  words.copy(payload, 2);
  return payload;
}

/** The client built into Node, which knows its way through a proxy of the environment. */
function builtIn(url: string, headers: Readonly<Record<string, string>>, events: SocketEvents): TextSocket {
  const socket = new WebSocket(url, { headers: { ...headers } });
  socket.addEventListener("open", () => events.open());
  socket.addEventListener("message", ({ data }) => {
    if (typeof data === "string") events.message(data);
  });
  socket.addEventListener("error", (event) => events.error(String(event.message || event.type)));
  socket.addEventListener("close", ({ code, reason }) => events.close(code, reason));
  return {
    send: (text) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    close: (code, reason) => socket.close(code, reason),
  };
}

/** Opens a socket; `proxied` where the environment names a proxy. A refused upgrade closes it with code 1006. */
export function openSocket(
  url: string,
  headers: Readonly<Record<string, string>>,
  proxied: boolean,
  events: SocketEvents,
): TextSocket {
  return proxied ? builtIn(url, headers, events) : new Client(url, headers, events);
}
