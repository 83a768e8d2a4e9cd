// Queries over HTTPS (RFC 8484): POST over HTTP/2 where the resolver speaks it, else HTTP/1.1, on one connection.
import { Agent, request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { round3 } from "../statistics.ts";
import { Connector, type Secure } from "./connect.ts";
import { type Exchange, type Failure, failure, type Order, type Server, type Session, socketFailure } from "./exchange.ts";

/** A DNS message is never longer. */
const BODY_MAX = 65_535;
const MEDIA_TYPE = "application/dns-message";
/** RFC 8484 4.1 asks for id 0, so that caches see equal queries. */
const ID = 0;

interface Response {
  readonly status: number;
  readonly type: string;
  readonly body: Buffer;
  readonly query_ms: number;
}
type Post = (body: Buffer, signal: AbortSignal) => Promise<Response | Failure>;

interface Channel {
  readonly post: Post;
  /** Whether another request can be made on it. */
  usable(): boolean;
}

interface Open extends Channel {
  readonly socket: Socket;
}

export class HttpsSession implements Session {
  readonly #order: Order;
  readonly #connector: Connector;
  #open: Open | undefined;

  constructor(order: Order, secure: Secure) {
    this.#order = order;
    this.#connector = new Connector(order.server, secure, ({ socket, alpn }) => {
      socket.on("error", () => socket.destroy());
      this.#open = { socket, ...(alpn === "h2" ? http2Channel(order, socket) : http1Channel(order, socket)) };
    });
  }

  async ask(signal: AbortSignal): Promise<Exchange> {
    const { server, question, codec } = this.#order;
    const usable = this.#open?.usable() === true;
    if (!usable) this.close();
    // Null when the connection stood already; whoever waits for the same one is told its times.
    const connect = usable ? null : await this.#connector.wait(signal);
    if (connect !== null && "kind" in connect) return connect;
    const open = this.#open;
    if (open === undefined)
      return failure("reset", `${server.label} closed the connection at once`, { connected: true, connect });
    const response = await open.post(codec.query(ID, question), signal);
    if ("kind" in response) {
      // Whoever asks again starts anew.
      this.close();
      return { ...response, connect };
    }
    const unfit = unfitResponse(response, server.label);
    if (unfit !== undefined) return { ...unfit, connect };
    const reading = codec.read(response.body, ID, question);
    if (reading.ok) return { ok: true, reply: reading.reply, query_ms: response.query_ms, connect };
    return failure("bad_response", `${server.label} answered wrongly: ${reading.why}`, { connected: true, connect });
  }

  close(): void {
    this.#open?.socket.destroy();
    this.#open = undefined;
  }
}

/** Why an HTTP response holds no DNS message. */
function unfitResponse(response: Response, label: string): Failure | undefined {
  const { status, type } = response;
  if (status !== 200) {
    const redirect = status >= 300 && status < 400 ? "; redirects are not followed" : "";
    return failure("http_status", `${label} answered HTTP status ${status} instead of 200${redirect}`, { connected: true });
  }
  if (type.split(";")[0]?.trim().toLowerCase() === MEDIA_TYPE) return undefined;
  const said = type === "" ? "no media type" : type.slice(0, 80).replace(/[^ -~]/g, "?");
  const message = `${label} answered ${said}, not ${MEDIA_TYPE}: that is no DNS over HTTPS address, or somebody on the way answers for it`;
  return failure("bad_response", message, { connected: true });
}

const closed = (server: Server): Failure => socketFailure({ code: "ECONNRESET" }, server, { connected: true });

/** What both versions of HTTP need to turn events into one answer. */
class Pending {
  readonly #server: Server;
  readonly #resolve: (result: Response | Failure) => void;
  readonly #body: Buffer[] = [];
  #size = 0;
  sent_at = performance.now();
  status: number | undefined;
  type = "";

  /** `release` frees what a failed request still holds. */
  constructor(server: Server, signal: AbortSignal, resolve: (result: Response | Failure) => void, release: () => void) {
    this.#server = server;
    let settled = false;
    this.#resolve = (result) => {
      if (settled) return;
      settled = true;
      signal.removeEventListener("abort", this.expire);
      if ("kind" in result) release();
      resolve(result);
    };
    signal.addEventListener("abort", this.expire, { once: true });
    if (signal.aborted) queueMicrotask(this.expire);
  }

  readonly expire = (): void => {
    const how = this.status === undefined ? "accepted the connection but did not answer" : "began to answer but did not end";
    this.#resolve(failure("timeout", `${this.#server.label} ${how} in time`, { connected: true }));
  };

  readonly fail = (error: Error): void => this.#resolve(socketFailure(error, this.#server, { connected: true }));

  readonly close = (): void => this.#resolve(closed(this.#server));

  readonly begin = (status: number | undefined, type: string | undefined): void => {
    this.status = status ?? 0;
    this.type = type ?? "";
  };

  readonly data = (chunk: Buffer): void => {
    this.#size += chunk.length;
    if (this.#size <= BODY_MAX) this.#body.push(chunk);
    else {
      const message = `${this.#server.label} answered more than the ${BODY_MAX} bytes of a DNS message`;
      this.#resolve(failure("bad_response", message, { connected: true }));
    }
  };

  readonly end = (): void => {
    const query_ms = round3(performance.now() - this.sent_at);
    // An HTTP/2 stream whose session was cut ends, too, without ever having had a status.
    if (this.status === undefined) this.close();
    else this.#resolve({ status: this.status, type: this.type, body: Buffer.concat(this.#body), query_ms });
  };
}

function http1Channel({ server }: Order, socket: Socket): Channel {
  const url = new URL(server.url ?? "");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  // The connection stands already; a second one is never made.
  agent.createConnection = () => socket;
  const post: Post = (body, signal) =>
    new Promise((resolve) => {
      const headers = { host: url.host, accept: MEDIA_TYPE, "content-type": MEDIA_TYPE, "content-length": body.length };
      const request = httpRequest({ agent, method: "POST", path: `${url.pathname}${url.search}`, headers });
      const pending = new Pending(server, signal, resolve, () => request.destroy());
      request.once("socket", () => {
        pending.sent_at = performance.now();
      });
      request.on("error", pending.fail);
      request.once("response", (response) => {
        pending.begin(response.statusCode, response.headers["content-type"]);
        response.on("error", pending.fail);
        response.on("data", pending.data);
        response.once("end", pending.end);
      });
      request.end(body);
    });
  return { post, usable: () => !socket.destroyed };
}

function http2Channel({ server }: Order, socket: Socket): Channel {
  const url = new URL(server.url ?? "");
  const session = connectHttp2(url.origin, { createConnection: () => socket, settings: { enablePush: false } });
  session.on("error", () => socket.destroy());
  const usable = () => !session.closed && !session.destroyed;
  const post: Post = (body, signal) =>
    new Promise((resolve) => {
      if (!usable()) return resolve(closed(server));
      const stream = session.request({
        ":method": "POST",
        ":path": `${url.pathname}${url.search}`,
        accept: MEDIA_TYPE,
        "content-type": MEDIA_TYPE,
        "content-length": body.length,
      });
      const pending = new Pending(server, signal, resolve, () => stream.destroy());
      stream.on("error", pending.fail);
      stream.once("response", (headers) => pending.begin(headers[":status"], headers["content-type"]));
      stream.on("data", pending.data);
      stream.once("end", pending.end);
      stream.once("close", pending.close);
      stream.end(body);
    });
  return { post, usable };
}
