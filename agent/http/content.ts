// Undoes the content coding of a body that has come in, never further than the limit: a few bytes may stand for gigabytes.
import { createHash } from "node:crypto";
import { addAbortSignal, Readable, type Transform } from "node:stream";
import zlib from "node:zlib";

export interface Content {
  /** Bytes after decoding; null when the coding is not known here. */
  readonly decoded: number | null;
  /** Decoding stopped at the limit. */
  readonly truncated: boolean;
  /** Hexadecimal SHA-256 of the decoded body; null unless all of it was there. */
  readonly sha256: string | null;
  /** The decoded body, where it was asked for. */
  readonly bytes: Buffer | null;
  /** What is wrong with the coding; null when nothing is. */
  readonly broken: string | null;
  readonly unknown: string | null;
}

/** Codings asked for in a request (RFC 9110 12.5.3). */
export const acceptEncoding = (): string =>
  typeof zlib.createZstdDecompress === "function" ? "gzip, br, deflate, zstd" : "gzip, br, deflate";

/** Codings of a Content-Encoding header in the order they were applied (RFC 9110 8.4). */
export function codingsOf(header: readonly string[] | undefined): string[] {
  const names = (header ?? []).join(",").toLowerCase().split(",");
  return names.map((name) => name.trim()).filter((name) => name !== "" && name !== "identity");
}

/** Most codings one body is decoded through; servers use one. */
const CODINGS_MAX = 3;

function decoderOf(coding: string, start: Buffer): Transform | undefined {
  switch (coding) {
    case "gzip":
    case "x-gzip":
      return zlib.createGunzip();
    case "br":
      return zlib.createBrotliDecompress();
    case "zstd":
      return typeof zlib.createZstdDecompress === "function" ? zlib.createZstdDecompress() : undefined;
    case "deflate":
      return hasZlibHeader(start) ? zlib.createInflate() : zlib.createInflateRaw();
    default:
      return undefined;
  }
}

/** RFC 1950 2.2; some servers send "deflate" without this wrapper (RFC 9110 8.4.1.2). */
function hasZlibHeader(start: Buffer): boolean {
  const [cmf = 0, flg = 0] = start;
  return (cmf & 0x0f) === 8 && ((cmf << 8) | flg) % 31 === 0;
}

export interface ContentOrder {
  /** The body as received. */
  readonly body: Buffer;
  readonly codings: readonly string[];
  readonly max_bytes: number;
  /** It is only the beginning of the whole one. */
  readonly cut: boolean;
  /** Keep the decoded body in memory. */
  readonly keep: boolean;
  readonly signal: AbortSignal;
}

/** Decodes, hashes and, where asked, keeps a body. Never rejects. */
export async function decodeContent(order: ContentOrder): Promise<Content> {
  const nothing = { decoded: null, truncated: order.cut, sha256: null, bytes: null, broken: null, unknown: null };
  // An empty body has nothing to decode, whatever its header says.
  const codings = order.body.length === 0 ? [] : [...order.codings].reverse();
  const decoders = codings.slice(0, CODINGS_MAX).map((coding) => decoderOf(coding, order.body));
  const known = decoders.filter((decoder) => decoder !== undefined);
  if (known.length < codings.length) return { ...nothing, unknown: codings.join(", ").slice(0, 100) };
  const sink = new Sink(order.max_bytes, order.keep);
  const broken = await run([Readable.from([order.body]), ...known], sink, order.signal);
  const truncated = order.cut || sink.full;
  // The end of a body that was cut is missing, which is no fault of its coding.
  const fault = truncated ? null : broken;
  return {
    decoded: sink.bytes,
    truncated,
    sha256: truncated || fault !== null ? null : sink.digest(),
    bytes: order.keep ? Buffer.concat(sink.kept) : null,
    broken: fault,
    unknown: null,
  };
}

class Sink {
  readonly kept: Buffer[] = [];
  readonly #hash = createHash("sha256");
  readonly #max: number;
  readonly #keep: boolean;
  bytes = 0;
  full = false;

  constructor(max: number, keep: boolean) {
    this.#max = max;
    this.#keep = keep;
  }

  take(chunk: Buffer): void {
    const room = chunk.subarray(0, this.#max - this.bytes);
    this.bytes += room.length;
    this.#hash.update(room);
    if (this.#keep) this.kept.push(room);
    this.full = room.length < chunk.length;
  }

  digest(): string {
    return this.#hash.digest("hex");
  }
}

/** Reads the last stage into the sink; answers what went wrong on the way. */
async function run(stages: readonly [Readable, ...Transform[]], sink: Sink, signal: AbortSignal): Promise<string | null> {
  const [source, ...decoders] = stages;
  addAbortSignal(signal, source);
  const last = decoders.reduce<Readable>((from, to) => {
    from.on("error", (error) => to.destroy(error));
    return from.pipe(to);
  }, source);
  try {
    for await (const chunk of last as AsyncIterable<Buffer>) {
      sink.take(chunk);
      if (sink.full) break;
    }
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    for (const stage of stages) stage.destroy();
  }
}
