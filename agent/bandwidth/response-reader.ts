// Reads HTTP/1.1 responses (RFC 9112) off a connection without keeping their bodies. Bytes in, events out; no I/O.

/** Status line and headers together, bytes. */
const HEAD_BYTES_MAX = 16 * 1024;
/** Interim responses before the answer, and the line of a chunk's size. */
const INTERIM_MOST = 8;
const CHUNK_LINE_MAX = 256;
const TRAILER_MAX = 4 * 1024;

export interface ResponseHead {
  readonly status: number;
  /** Names in lower case; of a name given several times, the values with a comma between. */
  readonly headers: ReadonlyMap<string, string>;
}

/** What the bytes are when they are not a response as HTTP/1.1 has it. */
export class BadResponse extends Error {}

export interface ResponseEvents {
  head(head: ResponseHead): void;
  /** A piece of the body, which is only good until this returns. */
  body(piece: Buffer): void;
  /** The response is complete; `reusable` when the connection may carry another request. */
  end(reusable: boolean): void;
}

type State =
  | { readonly at: "head"; text: string }
  | { readonly at: "length"; left: number }
  | { readonly at: "chunk-size"; text: string }
  | { readonly at: "chunk"; left: number }
  | { readonly at: "chunk-end"; left: number }
  | { readonly at: "trailer"; text: string }
  | { readonly at: "until-close" }
  | { readonly at: "idle" };

/** One connection's responses, one after the other. Nothing may arrive while none is expected. */
export class ResponseReader {
  readonly #events: ResponseEvents;
  #state: State = { at: "idle" };
  #interim = 0;
  #bodiless = false;
  #reusable = false;

  constructor(events: ResponseEvents) {
    this.#events = events;
  }

  /** The next response begins; `bodiless` for the answer to HEAD. */
  expect(bodiless: boolean): void {
    this.#bodiless = bodiless;
    this.#interim = 0;
    this.#state = { at: "head", text: "" };
  }

  /** Takes bytes as they came. Throws BadResponse. */
  feed(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) rest = this.#step(rest);
  }

  /** The peer has closed: whether the response was complete. */
  closed(): boolean {
    if (this.#state.at === "idle") return true;
    if (this.#state.at !== "until-close") return false;
    this.#finish(false);
    return true;
  }

  #step(bytes: Buffer): Buffer {
    const state = this.#state;
    switch (state.at) {
      case "head":
        return this.#head(state, bytes);
      case "length":
        return this.#counted(state, bytes, () => this.#finish(this.#reusable));
      case "chunk-size":
        return this.#chunkSize(state, bytes);
      case "chunk":
        return this.#counted(state, bytes, () => {
          this.#state = { at: "chunk-end", left: 2 };
        });
      case "chunk-end":
        return this.#chunkEnd(state, bytes);
      case "trailer":
        return this.#trailer(state, bytes);
      case "until-close":
        this.#events.body(bytes);
        return bytes.subarray(bytes.length);
      case "idle":
        throw new BadResponse("bytes arrived that nobody had asked for");
    }
  }

  #counted(state: { left: number }, bytes: Buffer, done: () => void): Buffer {
    const piece = bytes.subarray(0, state.left);
    state.left -= piece.length;
    if (piece.length > 0) this.#events.body(piece);
    if (state.left === 0) done();
    return bytes.subarray(piece.length);
  }

  #chunkEnd(state: { left: number }, bytes: Buffer): Buffer {
    const wanted = "\r\n".slice(2 - state.left);
    const piece = bytes.subarray(0, state.left);
    if (!wanted.startsWith(piece.toString("latin1"))) throw new BadResponse("a chunk is longer than its size says");
    state.left -= piece.length;
    if (state.left === 0) this.#state = { at: "chunk-size", text: "" };
    return bytes.subarray(piece.length);
  }

  #chunkSize(state: { text: string }, bytes: Buffer): Buffer {
    const [line, rest] = untilMark(state, bytes, "\r\n", CHUNK_LINE_MAX, "a chunk's size");
    if (line === undefined) return rest;
    const size = /^([0-9a-fA-F]{1,11})[ \t]*(?:;.*)?$/.exec(line)?.[1];
    if (size === undefined) throw new BadResponse("a chunk has no size");
    const left = Number.parseInt(size, 16);
    this.#state = left === 0 ? { at: "trailer", text: "\r\n" } : { at: "chunk", left };
    return rest;
  }

  /** Trailer fields end, as a head does, with an empty line. */
  #trailer(state: { text: string }, bytes: Buffer): Buffer {
    const [fields, rest] = untilMark(state, bytes, "\r\n\r\n", TRAILER_MAX, "the trailer");
    if (fields !== undefined) this.#finish(this.#reusable);
    return rest;
  }

  #head(state: { text: string }, bytes: Buffer): Buffer {
    const [text, rest] = untilMark(state, bytes, "\r\n\r\n", HEAD_BYTES_MAX, "the response's head");
    if (text === undefined) return rest;
    const { head, version } = readHead(text);
    if (head.status < 200) {
      this.#interim += 1;
      if (head.status === 101 || this.#interim > INTERIM_MOST) throw new BadResponse("it answers without ever answering");
      this.#state = { at: "head", text: "" };
      return rest;
    }
    const connection = (head.headers.get("connection") ?? "").toLowerCase();
    this.#reusable = version === "1.1" ? !/\bclose\b/.test(connection) : /\bkeep-alive\b/.test(connection);
    const body = this.#bodiless || head.status === 204 || head.status === 304 ? { at: "length" as const, left: 0 } : bodyOf(head);
    this.#state = body;
    this.#events.head(head);
    // The listener may have given up on the connection, but the state is its own business.
    if (body.at === "length" && body.left === 0) this.#finish(this.#reusable);
    return rest;
  }

  #finish(reusable: boolean): void {
    this.#state = { at: "idle" };
    this.#events.end(reusable);
  }
}

/** Text up to a mark once that has come, and the bytes behind it. Keeps what came before in `state`. */
function untilMark(
  state: { text: string },
  bytes: Buffer,
  mark: string,
  most: number,
  what: string,
): readonly [string | undefined, Buffer] {
  const room = most + mark.length - state.text.length;
  const added = bytes.toString("latin1", 0, Math.max(0, Math.min(bytes.length, room)));
  const before = state.text.length;
  state.text += added;
  const end = state.text.indexOf(mark, Math.max(0, before - mark.length));
  if (end >= 0) return [state.text.slice(0, end), bytes.subarray(end + mark.length - before)];
  if (state.text.length >= most) throw new BadResponse(`${what} is longer than ${most} bytes`);
  return [undefined, bytes.subarray(bytes.length)];
}

function readHead(text: string): { head: ResponseHead; version: string } {
  const [first = "", ...lines] = text.split("\r\n");
  const status = /^HTTP\/(1\.[01]) (\d{3})(?: .*)?$/.exec(first);
  if (status === null) throw new BadResponse("it does not answer in HTTP/1.1");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const field = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    if (field === null) throw new BadResponse("its head has a line that is no header");
    const [, name = "", value = ""] = field;
    const known = headers.get(name.toLowerCase());
    headers.set(name.toLowerCase(), known === undefined ? value : `${known}, ${value}`);
  }
  return { head: { status: Number(status[2]), headers }, version: status[1] ?? "1.0" };
}

function bodyOf({ headers }: ResponseHead): State {
  const coding = headers.get("transfer-encoding");
  if (coding !== undefined) {
    // Chunked overrides a length, and a response with both smells of smuggling (RFC 9112 6.3).
    if (coding.toLowerCase() !== "chunked" || headers.has("content-length")) {
      throw new BadResponse("it frames its body in a way that cannot be trusted");
    }
    return { at: "chunk-size", text: "" };
  }
  const length = headers.get("content-length");
  if (length === undefined) return { at: "until-close" };
  if (!/^\d{1,15}$/.test(length)) throw new BadResponse("its content-length is no number");
  return { at: "length", left: Number(length) };
}
