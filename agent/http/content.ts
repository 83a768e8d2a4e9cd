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

type MakeDecoder = (start: Buffer) => Transform;

const DECODERS: ReadonlyMap<string, MakeDecoder> = new Map<string, MakeDecoder>([
  ["gzip", () => zlib.createGunzip()],
  ["x-gzip", () => zlib.createGunzip()],
  ["br", () => zlib.createBrotliDecompress()],
  ["deflate", (start) => (hasZlibHeader(start) ? zlib.createInflate() : zlib.createInflateRaw())],
  ...(typeof zlib.createZstdDecompress === "function" ? [["zstd", () => zlib.createZstdDecompress()] as const] : []),
]);

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

/** Decodes, hashes and, where asked, keeps a body. Ends when the signal aborts. Never rejects. */
export async function decodeContent(order: ContentOrder): Promise<Content> {
  const nothing = { decoded: null, truncated: order.cut, sha256: null, bytes: null, broken: null, unknown: null };
  // An empty body has nothing to decode, whatever its header says.
  const codings = order.body.length === 0 ? [] : [...order.codings].reverse();
  const decoders = codings.slice(0, CODINGS_MAX).map((coding) => DECODERS.get(coding));
  const known = decoders.filter((decoder) => decoder !== undefined);
  if (known.length < codings.length) return { ...nothing, unknown: codings.join(", ").slice(0, 100) };
  const hash = createHash("sha256");
  const last = known.pop();
  const inner = await undoOuter(order, known);
  const kept: Buffer[] | null = order.keep ? [] : null;
  const end = await undo(last, inner.body, order, (chunk) => {
    hash.update(chunk);
    kept?.push(chunk);
  });
  const truncated = order.cut || inner.full || end.full;
  // The end of a body that was cut is missing, which is no fault of its coding; what ran out of time was not decoded.
  const fault = truncated && !order.signal.aborted ? null : (inner.broken ?? end.broken);
  return {
    decoded: end.bytes,
    truncated,
    sha256: truncated || fault !== null ? null : hash.digest("hex"),
    bytes: kept === null ? null : Buffer.concat(kept),
    broken: fault,
    unknown: null,
  };
}

interface Undone {
  readonly bytes: number;
  /** It yielded more than the limit. */
  readonly full: boolean;
  readonly broken: string | null;
}

/** Undoes all codings but the innermost, each into memory: what lies between two of them is limited like the result. */
async function undoOuter(
  order: ContentOrder,
  decoders: readonly MakeDecoder[],
): Promise<Omit<Undone, "bytes"> & { body: Buffer }> {
  const state = { body: order.body, full: false, broken: null as string | null };
  for (const make of decoders) {
    const chunks: Buffer[] = [];
    const { full, broken } = await undo(make, state.body, order, (chunk) => chunks.push(chunk));
    state.body = Buffer.concat(chunks);
    state.full ||= full;
    state.broken ??= broken;
  }
  return state;
}

/** Bytes given to a decoder at once: what it makes of them cannot be called off. */
const SLICE_BYTES = 64 * 1024;

function* slicesOf(body: Buffer): Generator<Buffer> {
  for (let at = 0; at < body.length; at += SLICE_BYTES) yield body.subarray(at, at + SLICE_BYTES);
}

/** Undoes one coding, none where undefined, until the limit, the end or the signal. */
async function undo(
  make: MakeDecoder | undefined,
  body: Buffer,
  { max_bytes, signal }: ContentOrder,
  take: (chunk: Buffer) => void,
): Promise<Undone> {
  const source: Readable = Readable.from(slicesOf(body));
  const decoder = make?.(body);
  const stages = decoder === undefined ? [source] : [source, decoder];
  for (const stage of stages) addAbortSignal(signal, stage);
  source.on("error", (error) => decoder?.destroy(error));
  const decoded: Readable = decoder === undefined ? source : source.pipe(decoder);
  let bytes = 0;
  try {
    for await (const chunk of decoded as AsyncIterable<Buffer>) {
      const room = chunk.subarray(0, max_bytes - bytes);
      bytes += room.length;
      take(room);
      if (room.length < chunk.length) return { bytes, full: true, broken: null };
    }
    return { bytes, full: false, broken: null };
  } catch (error) {
    return { bytes, full: false, broken: error instanceof Error ? error.message : String(error) };
  } finally {
    for (const stage of stages) stage.destroy();
  }
}
