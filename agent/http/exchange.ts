// One request and its response on a connection that stands already: what is asked for, and what came back with its clock.
import { performance } from "node:perf_hooks";
import type { HeaderLine } from "#contract/test-types/http";
import { type Failure, failure } from "./failure.ts";
import type { Target } from "./target.ts";

/** Interim responses (RFC 9110 15.2) taken before the final one. */
export const INTERIM_MAX = 20;
/** Bytes of response headers taken. */
export const HEADER_BYTES_MAX = 32 * 1024;

export interface HttpRequest {
  readonly method: "GET" | "HEAD";
  readonly target: Target;
  readonly headers: readonly HeaderLine[];
  /** Bytes of the body that are read; more of it is not waited for. */
  readonly max_bytes: number;
  /** Whether the body matters; without it the exchange ends with the response's head. */
  wantsBody(status: number, headers: ResponseHeaders): boolean;
}

/** Values by lower-case name, in order. */
export type ResponseHeaders = ReadonlyMap<string, readonly string[]>;

/** The first value of a header. */
export const headerOf = (headers: ResponseHeaders, name: string): string | undefined => headers.get(name)?.[0];

/** What came back. Moments are of the monotonic clock, null where it did not come so far. */
export interface Exchange {
  readonly written: number | null;
  /** First byte of the final response. */
  readonly first: number | null;
  /** Last byte of its body; null also where the body was not read. */
  readonly last: number | null;
  readonly status: number | null;
  readonly version: string | null;
  readonly headers: ResponseHeaders;
  readonly interim: number;
  /** Body as received, transfer coding removed, at most `max_bytes`. */
  readonly body: Buffer;
  readonly truncated: boolean;
  /** The body was not wanted: what came of it says nothing about its size or its time. */
  readonly unread: boolean;
  /** The whole body came. */
  readonly complete: boolean;
  /** The server keeps the connection open for another request. */
  readonly reusable: boolean;
  readonly failure: Failure | null;
}

/** A connection that requests are sent on, one after another. */
export interface HttpConnection {
  /** Never rejects; ends at once when the signal aborts. */
  exchange(request: HttpRequest, signal: AbortSignal): Promise<Exchange>;
  close(): void;
}

/** Writes down an exchange as it happens; settled once. */
export class Recorder {
  readonly done: Promise<Exchange>;
  readonly #max: number;
  /** Grows as the body does: pieces kept as they came could each be a byte and weigh a hundred. */
  #buffer: Buffer = Buffer.alloc(0);
  #settle: (exchange: Exchange) => void = () => undefined;
  #settled = false;
  #received = 0;
  #interim = 0;
  #written: number | null = null;
  #first: number | null = null;
  #head: { status: number; version: string; headers: ResponseHeaders } | null = null;

  constructor(max_bytes: number) {
    this.#max = max_bytes;
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  get settled(): boolean {
    return this.#settled;
  }

  get answered(): boolean {
    return this.#head !== null;
  }

  written(): void {
    this.#written ??= performance.now();
  }

  /** An interim response came; false when they are too many. */
  interim(): boolean {
    this.#interim += 1;
    return this.#interim <= INTERIM_MAX;
  }

  /** The final response's head; `first` is when its first byte came. */
  head(status: number, version: string, headers: ResponseHeaders, first: number): void {
    this.#head = { status, version, headers };
    this.#first = first;
  }

  /** Part of the body; false when it is more than is read. */
  body(chunk: Buffer): boolean {
    const kept = Math.min(chunk.length, this.#max - this.#received);
    const needed = this.#received + kept;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.min(this.#max, Math.max(needed, 2 * this.#buffer.length)));
      this.#buffer.copy(larger, 0, 0, this.#received);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.#received, 0, kept);
    this.#received = needed;
    return kept === chunk.length;
  }

  get received(): number {
    return this.#received;
  }

  fail(cause: Failure): void {
    this.#end({ last: null, unread: false, complete: false, truncated: false, reusable: false, failure: cause });
  }

  /** The response is complete, or its body as far as it is read. */
  finish(end: { complete: boolean; truncated?: boolean; reusable: boolean }): void {
    this.#end({ last: performance.now(), unread: false, truncated: false, failure: null, ...end });
  }

  /** The head was all that was wanted. */
  leave(): void {
    this.#end({ last: null, unread: true, complete: false, truncated: false, reusable: false, failure: null });
  }

  #end(end: Pick<Exchange, "last" | "unread" | "complete" | "truncated" | "reusable" | "failure">): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#settle({
      ...end,
      written: this.#written,
      first: this.#first,
      status: this.#head?.status ?? null,
      version: this.#head?.version ?? null,
      headers: this.#head?.headers ?? new Map(),
      interim: this.#interim,
      body: this.#buffer.subarray(0, this.#received),
    });
  }
}

/** What a deadline cut short, by how far the exchange had come. */
export function lateFailure(recorder: Recorder): Failure {
  const what = !recorder.answered
    ? "the server did not answer the request"
    : `the response was not complete (${recorder.received} bytes of its body had come)`;
  return failure("deadline", "target", `${what} before the run's deadline`);
}

export const interimFailure = (): Failure =>
  failure("bad_response", "target", `more than ${INTERIM_MAX} interim responses (1xx) came before any final one`);
