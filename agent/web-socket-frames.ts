// The frames of a WebSocket (RFC 6455 section 5), as a client sends and reads them. Pure.

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** The first byte's bits: this frame ends its message; the reserved ones that only an extension may set. */
const FIN = 0x80;
const RESERVED = 0x70;
const MASKED = 0x80;
/** A length of 126 or 127 says that the real one follows in 2 or 8 bytes. */
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const CONTROL_MAX = 125;

export interface Frame {
  readonly fin: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
}

/** What a peer did wrong, with the close code that says so (RFC 6455 7.4.1). */
export class FrameError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** A whole frame, masked with `mask` as every frame of a client must be. */
export function maskedFrame(opcode: number, payload: Buffer, mask: Buffer): Buffer {
  const { length } = payload;
  const extended = length <= CONTROL_MAX ? 0 : length <= 0xffff ? 2 : 8;
  const head = Buffer.allocUnsafe(2 + extended + 4);
  head[0] = FIN | opcode;
  head[1] = MASKED | (extended === 0 ? length : extended === 2 ? LENGTH_16 : LENGTH_64);
  if (extended === 2) head.writeUInt16BE(length, 2);
  if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2);
  mask.copy(head, 2 + extended);
  return Buffer.concat([head, masked(payload, mask)]);
}

/** Four bytes at a time: an upload has some hundred thousand, and byte by byte it is a good part of what an agent computes. */
function masked(payload: Buffer, mask: Buffer): Uint8Array {
  const words = new Uint32Array(Math.ceil(payload.length / 4));
  const bytes = new Uint8Array(words.buffer);
  bytes.set(payload);
  const [key = 0] = new Uint32Array(Uint8Array.from(mask).buffer);
  for (let i = 0; i < words.length; i++) words[i] = (words[i] ?? 0) ^ key;
  return bytes.subarray(0, payload.length);
}

/** Cuts what a server sends into frames. Throws FrameError for what no server may send, or more than `limit` bytes at once. */
export class FrameReader {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The frames that are whole by now. */
  push(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const frames: Frame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  /** The first `count` bytes in one piece; undefined while they are not there. */
  #head(count: number): Buffer | undefined {
    if (this.#size < count) return undefined;
    if ((this.#chunks[0]?.length ?? 0) < count) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0];
  }

  #next(): Frame | undefined {
    const start = this.#head(2);
    if (start === undefined) return undefined;
    const [first = 0, second = 0] = start;
    const opcode = first & 0x0f;
    const fin = (first & FIN) !== 0;
    if ((first & RESERVED) !== 0) throw new FrameError(1002, "a frame uses an extension nobody agreed on");
    if ((second & MASKED) !== 0) throw new FrameError(1002, "a frame of the server is masked");
    const short = second & 0x7f;
    if (opcode >= OPCODE.close && (!fin || short > CONTROL_MAX)) throw new FrameError(1002, "a control frame is cut or too long");
    const header = 2 + (short === LENGTH_16 ? 2 : short === LENGTH_64 ? 8 : 0);
    const head = this.#head(header);
    if (head === undefined) return undefined;
    const long = short === LENGTH_64 ? head.readBigUInt64BE(2) : short === LENGTH_16 ? head.readUInt16BE(2) : short;
    if (long > this.#limit) throw new FrameError(1009, "a frame is larger than any of ours");
    const length = Number(long);
    const whole = this.#head(header + length);
    if (whole === undefined) return undefined;
    const rest = whole.subarray(header + length);
    this.#chunks = rest.length === 0 ? this.#chunks.slice(1) : [rest, ...this.#chunks.slice(1)];
    this.#size -= header + length;
    return { fin, opcode, payload: whole.subarray(header, header + length) };
  }
}
