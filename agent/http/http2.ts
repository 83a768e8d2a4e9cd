// HTTP/2 (RFC 9113) on a socket of ours, spoken by Node's own client.
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
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

export type Http2Module = typeof import("node:http2");

/** Window of a stream and of the connection, bytes: the default of 64 KiB would measure the round trip, not the download. */
const WINDOW_BYTES = 16 * 1024 * 1024;

function headersOf(headers: IncomingHttpHeaders): ResponseHeaders {
  const entries = Object.entries(headers).filter(([name, value]) => !name.startsWith(":") && value !== undefined);
  return new Map(entries.map(([name, value]) => [name, Array.isArray(value) ? value : [value ?? ""]]));
}

export class Http2Connection implements HttpConnection {
  readonly #http2: Http2Module;
  readonly #socket: Socket;
  #session: ClientHttp2Session | undefined;

  constructor(http2: Http2Module, socket: Socket) {
    this.#http2 = http2;
    this.#socket = socket;
  }

  close(): void {
    this.#session?.destroy();
    this.#socket.destroy();
  }

  exchange(request: HttpRequest, signal: AbortSignal): Promise<Exchange> {
    const recorder = new Recorder(request.max_bytes);
    const abort = () => recorder.fail(lateFailure(recorder));
    signal.addEventListener("abort", abort, { once: true });
    try {
      const session = this.#open(request);
      const fail = (error: unknown) => recorder.fail(exchangeFailure(error, recorder.answered));
      const closed = () => fail({ code: "ECONNRESET", message: "closed" });
      session.on("error", fail);
      session.on("close", closed);
      // The session does not close itself at the end of a half-open socket.
      this.#socket.once("end", closed);
      const stream = session.request(
        {
          ":method": request.method,
          ":scheme": request.target.scheme,
          ":authority": request.target.authority,
          ":path": request.target.path,
          ...Object.fromEntries(request.headers.map(({ name, value }) => [name, value])),
        },
        { endStream: true },
      );
      this.#listen(stream, recorder, request);
    } catch (error) {
      recorder.fail(exchangeFailure(error, false));
    }
    if (signal.aborted) abort();
    return recorder.done.then((exchange) => {
      signal.removeEventListener("abort", abort);
      if (!exchange.reusable) this.close();
      return exchange;
    });
  }

  #open(request: HttpRequest): ClientHttp2Session {
    if (this.#session !== undefined) return this.#session;
    const session = this.#http2.connect(`${request.target.scheme}://${request.target.authority}`, {
      createConnection: () => this.#socket,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES, maxHeaderListSize: HEADER_BYTES_MAX },
    });
    session.once("connect", () => session.setLocalWindowSize(WINDOW_BYTES));
    this.#session = session;
    return session;
  }

  #listen(stream: ClientHttp2Stream, recorder: Recorder, request: HttpRequest): void {
    stream.on("headers", () => {
      if (!recorder.interim()) recorder.fail(interimFailure());
    });
    stream.once("response", (headers) => {
      const fields = headersOf(headers);
      const status = headers[":status"] ?? 0;
      recorder.head(status, "2", fields, performance.now());
      if (!request.wantsBody(status, fields)) recorder.leave();
    });
    stream.on("data", (chunk: Buffer) => {
      if (!recorder.settled && !recorder.body(chunk)) recorder.finish({ complete: false, truncated: true, reusable: false });
    });
    stream.once("end", () => {
      // A reset stream ends too; its close says so.
      if (recorder.answered && !stream.aborted && stream.rstCode === this.#http2.constants.NGHTTP2_NO_ERROR) {
        recorder.finish({ complete: true, reusable: this.#alive });
      }
    });
    stream.on("error", (error) => recorder.fail(exchangeFailure(error, recorder.answered)));
    stream.once("close", () => {
      const message = `the server ended the HTTP/2 stream ${recorder.answered ? "within its body" : "without an answer"} (code ${stream.rstCode})`;
      recorder.fail(failure("bad_response", "target", message));
    });
  }

  get #alive(): boolean {
    return this.#session !== undefined && !this.#session.closed && !this.#session.destroyed;
  }
}
