// HTTP/1.1 (RFC 9112) on a socket of ours, spoken and parsed by Node's own client.
import { type ClientRequest, type IncomingMessage, request as nodeRequest } from "node:http";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import {
  type Exchange,
  HEADER_BYTES_MAX,
  type HttpConnection,
  type HttpRequest,
  interimFailure,
  lateFailure,
  Recorder,
  type ResponseHeaders,
} from "./exchange.ts";
import { exchangeFailure, failure } from "./failure.ts";

/** Notes when bytes arrive on a socket, before Node's parser sees them. */
class Arrivals {
  readonly #socket: Socket;
  #latest = 0;
  /** First byte since the request, or since the last interim response. */
  #first: number | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.prependListener("data", this.#note);
  }

  readonly #note = (): void => {
    this.#latest = performance.now();
    this.#first ??= this.#latest;
  };

  /** An interim response ended: the next byte is the first of another one. */
  restart(): void {
    this.#first = null;
  }

  /** When the response that has just been read began; it may share its first bytes' arrival with an interim one. */
  get first(): number {
    return this.#first ?? this.#latest;
  }

  stop(): void {
    this.#socket.off("data", this.#note);
  }
}

function headersOf(response: IncomingMessage): ResponseHeaders {
  const entries = Object.entries(response.headersDistinct);
  return new Map(entries.map(([name, values]) => [name, values ?? []]));
}

export class Http1Connection implements HttpConnection {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Bytes nobody asked for could pass for the next response; such a connection is given up (RFC 9112 9.2). */
  readonly #unasked = (): void => {
    this.#socket.destroy();
  };

  exchange(request: HttpRequest, signal: AbortSignal): Promise<Exchange> {
    const socket = this.#socket;
    socket.off("data", this.#unasked);
    const recorder = new Recorder(request.max_bytes);
    let sent: ClientRequest;
    try {
      sent = this.#send(request);
    } catch (error) {
      recorder.fail(failure("internal", "agent", `the request could not be made: ${String(error)}`));
      return recorder.done;
    }
    let arrivals: Arrivals | undefined;
    sent.once("socket", () => {
      arrivals = new Arrivals(socket);
    });
    const abort = () => recorder.fail(lateFailure(recorder));
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    this.#listen(sent, recorder, request, () => arrivals);
    sent.end();
    return recorder.done
      .finally(() => {
        signal.removeEventListener("abort", abort);
        arrivals?.stop();
      })
      .then((exchange) => {
        if (exchange.reusable) socket.on("data", this.#unasked);
        else socket.destroy();
        return exchange;
      });
  }

  #send(request: HttpRequest): ClientRequest {
    const { target } = request;
    return nodeRequest({
      createConnection: () => this.#socket,
      method: request.method,
      path: target.path,
      setHost: false,
      headers: {
        Host: target.authority,
        // Stated, because Node asks to close what no agent of its own keeps.
        Connection: "keep-alive",
        ...Object.fromEntries(request.headers.map(({ name, value }) => [name, value])),
      },
      maxHeaderSize: HEADER_BYTES_MAX,
    });
  }

  #listen(sent: ClientRequest, recorder: Recorder, request: HttpRequest, arrivals: () => Arrivals | undefined): void {
    sent.once("finish", () => recorder.written());
    sent.on("information", () => {
      arrivals()?.restart();
      if (!recorder.interim()) recorder.fail(interimFailure());
    });
    sent.once("upgrade", () =>
      recorder.fail(failure("bad_response", "target", "the server changed to another protocol, which nobody asked for")),
    );
    sent.once("response", (response) => {
      const status = response.statusCode ?? 0;
      const headers = headersOf(response);
      recorder.head(status, response.httpVersion, headers, arrivals()?.first ?? performance.now());
      if (request.wantsBody(status, headers)) this.#read(sent, response, recorder);
      else recorder.leave();
    });
    // Stays until the end: an error after the exchange has settled has nothing left to say.
    sent.on("error", (error) => recorder.fail(exchangeFailure(error, recorder.answered)));
    sent.once("close", () => {
      if (!recorder.answered) recorder.fail(exchangeFailure({ code: "ECONNRESET", message: "closed" }, false));
    });
  }

  #read(sent: ClientRequest, response: IncomingMessage, recorder: Recorder): void {
    response.on("data", (chunk: Buffer) => {
      if (!recorder.settled && !recorder.body(chunk)) recorder.finish({ complete: false, truncated: true, reusable: false });
    });
    response.once("end", () => {
      if (response.complete) recorder.finish({ complete: true, reusable: sent.shouldKeepAlive && !this.#socket.destroyed });
    });
    const short = () => {
      const length = response.headers["content-length"];
      const of = length === undefined ? "" : ` of ${length}`;
      recorder.fail(
        failure("bad_response", "target", `the connection was closed after ${recorder.received}${of} bytes of the body`),
      );
    };
    // Without a system call's name it is Node's way of saying that the connection was closed.
    response.on("error", (error: NodeJS.ErrnoException) =>
      error.code === "ECONNRESET" && error.syscall === undefined ? short() : recorder.fail(exchangeFailure(error, true)),
    );
    response.once("close", short);
  }
}
