// One of the connections that fill the line: request after request until its phase is over.
import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import type { Failure } from "../probes/endpoint.ts";
import type { Share } from "./allowance.ts";
import { CountReader } from "./counts.ts";
import { statusFailure, tooSmall, wireFailure } from "./failures.ts";
import type { ResponseHead } from "./response-reader.ts";
import { Curve } from "./slices.ts";
import { proofLine, requestHead, type SpeedTarget } from "./target.ts";
import { type Exchanged, Wire, type WirePeer } from "./wire.ts";

/** Least bytes of one request, where there are as many. */
const ASK_LEAST = 64 * 1024;
/** Most bytes of one upload: what Cloudflare lets through in one request on its smaller plans. */
const UPLOAD_MOST = 95_000_000;
/** A file that is shorter would be asked for again and again instead of being a load. */
const FILE_LEAST = 256 * 1024;
/** Connections of one stream that broke, until it is given up. */
const BREAKS_MOST = 5;
const CHUNK = 64 * 1024;
let chunk: Buffer | undefined;

/** What all streams of a phase share. */
export interface Load {
  readonly target: SpeedTarget;
  readonly peer: WirePeer;
  readonly share: Share;
  readonly streams: number;
  readonly timeout_ms: number;
  /** Aborts when the phase is over. */
  readonly signal: AbortSignal;
  /** Bytes of a download that came, or of an upload that were written. */
  moved(bytes: number): void;
  /** The byte budget is used up. */
  spent(): void;
  /** Bytes that are on their way and will come whatever is done. */
  underway(): number;
}

/** What an upload's receiver is known to have got, by who says so. */
export interface UploadCurves {
  /** The server's own counts, one curve a request. */
  readonly server: CountReader[];
  /** Acknowledged to this host's kernel, one curve a connection. */
  readonly kernel: Map<Wire, Curve>;
  /** Whole requests the server has answered. */
  readonly answered: Curve;
}

export class Stream {
  /** Why it was given up. */
  trouble: Failure | undefined;
  /** Whether bytes moved on it. */
  loaded = false;
  readonly upload: UploadCurves = { server: [], kernel: new Map(), answered: new Curve() };
  /** The connection in use. */
  wire: Wire | undefined;
  readonly #load: Load;
  #breaks = 0;

  constructor(load: Load) {
    this.#load = load;
  }

  /** Loads the line until the phase is over or the stream has to be given up. */
  async run(direction: "down" | "up"): Promise<void> {
    const { signal, share, streams } = this.#load;
    const close = () => this.wire?.close();
    signal.addEventListener("abort", close, { once: true });
    while (!signal.aborted && this.trouble === undefined) {
      const wire = await this.#connect();
      if (wire === undefined) continue;
      const ask = share.take(askOf(share.left, streams));
      if (ask === 0) this.#load.spent();
      else if (direction === "down") await this.#download(wire, ask);
      else await this.#upload(wire, Math.min(ask, UPLOAD_MOST), ask);
    }
    signal.removeEventListener("abort", close);
    close();
  }

  async #connect(): Promise<Wire | undefined> {
    const { peer, timeout_ms, signal } = this.#load;
    if (this.wire?.open) return this.wire;
    const wire = await Wire.open(peer, timeout_ms, signal);
    if (wire instanceof Wire) {
      this.wire = wire;
      const acked = new Curve();
      acked.add(performance.now(), 0);
      this.upload.kernel.set(wire, acked);
      return wire;
    }
    // A connection that cannot be made is not tried again and again.
    if (!signal.aborted) this.trouble = wireFailure(wire, peer, timeout_ms);
    return undefined;
  }

  async #download(wire: Wire, ask: number): Promise<void> {
    const { target, peer, share } = this.#load;
    const path = target.down(ask);
    const proof = await proofLine(wire, target, "GET", path);
    let got = 0;
    const answer =
      proof === undefined
        ? undefined
        : await wire.exchange({
            // A file's server that knows ranges (RFC 9110 section 14) sends no more than the budget allows.
            head: requestHead(target, "GET", path, target.streams ? proof : [...proof, `Range: bytes=0-${ask - 1}`]),
            onHead: (head) => this.#judge(head, "GET", wire),
            onBody: (piece) => {
              if (this.trouble !== undefined) return;
              got += piece.length;
              this.#moved(piece.length);
              // More than was asked for: another server's file, or a lie.
              if (got > ask) {
                share.charge(Math.min(piece.length, got - ask));
                if (share.left <= this.#load.underway()) this.#load.spent();
              }
            },
          });
    // Of an answer that was broken off, what is on its way still comes.
    const coming = answer?.ok === true ? 0 : this.#load.underway() / this.#load.streams;
    share.giveBack(Math.floor(Math.max(0, ask - got - coming)));
    this.#after(answer, wire, got);
    if (answer?.ok === true && this.trouble === undefined && got < Math.min(ask, FILE_LEAST)) this.trouble = tooSmall(got, peer);
  }

  async #upload(wire: Wire, bytes: number, ask: number): Promise<void> {
    const { target, share } = this.#load;
    share.giveBack(ask - bytes);
    const path = target.up ?? "";
    const proof = await proofLine(wire, target, "POST", path);
    if (proof === undefined) {
      share.giveBack(bytes);
      this.#after(undefined, wire, 0);
      return;
    }
    const length = [`Content-Type: application/octet-stream`, `Content-Length: ${bytes}`];
    let counts: CountReader | undefined;
    let refused = false;
    const before = wire.bytesSent;
    const sent = () => Math.max(0, wire.bytesSent - before);
    const began = performance.now();
    const body = wire.exchange({
      head: requestHead(target, "POST", path, [...length, ...proof]),
      onHead: (head) => {
        this.#judge(head, "POST", wire);
        refused = this.trouble !== undefined;
        if (refused || !isCounted(head)) return;
        counts = new CountReader(sent);
        this.upload.server.push(counts);
      },
      onBody: (piece) => counts?.feed(piece, performance.now()),
    });
    this.upload.answered.add(began, this.upload.answered.bytes);
    const written = await this.#write(wire, bytes, body);
    const answer = await body;
    // What was written and never left this process was not sent.
    share.giveBack(Math.max(0, bytes - Math.min(written, sent())));
    // An answer to a body that was not heard to its end counts nothing, and leaves a connection nobody can use.
    const whole = answer.ok && written === bytes;
    if (whole && !refused) this.upload.answered.add(performance.now(), this.upload.answered.bytes + bytes);
    this.#after(whole ? answer : { ok: false, head: undefined, trouble: { kind: "closed" } }, wire, written);
  }

  /** Writes a body as fast as it is taken; ends when all is written or the answer is over. Answers how much was. */
  #write(wire: Wire, bytes: number, answered: Promise<unknown>): Promise<number> {
    const { socket } = wire;
    chunk ??= randomBytes(CHUNK);
    const source = chunk;
    return new Promise((resolve) => {
      let left = bytes;
      let over = false;
      const finish = () => {
        over = true;
        socket.off("drain", pump);
        resolve(bytes - left);
      };
      const pump = () => {
        while (left > 0 && !over && !socket.destroyed) {
          const piece = left < CHUNK ? source.subarray(0, left) : source;
          left -= piece.length;
          this.#moved(piece.length);
          if (!socket.write(piece)) return;
        }
        if (left === 0) finish();
      };
      socket.on("drain", pump);
      answered.then(finish, finish);
      pump();
    });
  }

  #moved(bytes: number): void {
    this.loaded = true;
    this.#load.moved(bytes);
  }

  /** An answer that carries no measurement ends the stream. */
  #judge(head: ResponseHead, method: string, wire: Wire): void {
    const failure = statusFailure(head, method, this.#load.peer);
    if (failure === undefined) return;
    this.trouble = failure;
    wire.close();
  }

  /** Makes ready for the next request; a connection that broke without having moved anything counts against the stream. */
  #after(answer: Exchanged | undefined, wire: Wire, moved: number): void {
    const { signal, peer } = this.#load;
    if (answer?.ok === true) {
      if (!answer.reusable) wire.close();
      return;
    }
    wire.close();
    if (signal.aborted || this.trouble !== undefined) return;
    const trouble = answer?.trouble ?? { kind: "closed" as const };
    this.#breaks += moved < ASK_LEAST ? BREAKS_MOST : 1;
    if (this.#breaks >= BREAKS_MOST || trouble.kind === "bad") this.trouble = wireFailure(trouble, peer, 0);
  }
}

/** How much one request asks for: less each time, so that no connection runs dry long before the others. */
function askOf(left: number, streams: number): number {
  if (streams === 1) return left;
  return Math.min(left, Math.max(ASK_LEAST, Math.floor(left / (2 * streams))));
}

/** Whether an answer is the receiver's counts. */
const isCounted = ({ headers }: ResponseHead): boolean => /^application\/x-ndjson\b/i.test(headers.get("content-type") ?? "");
