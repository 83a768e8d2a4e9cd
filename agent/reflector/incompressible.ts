// Bytes that nothing on the way can shrink: no repetition within a transfer, nor from one to the next.
import { randomBytes, randomInt } from "node:crypto";

/** Small enough that a line of 64 kbit/s takes one before it counts as stalled. */
const CHUNK_BYTES = 64 << 10;
const WORDS = CHUNK_BYTES / 4;
let noise: Uint32Array | undefined;

const noiseWords = (): Uint32Array => {
  const bytes = randomBytes(CHUNK_BYTES);
  return new Uint32Array(Uint8Array.from(bytes).buffer);
};

/** Makes chunks for one transfer; those given back are used again, as a fast line would else fill the memory with them. */
export class Incompressible {
  readonly #free: Uint32Array[] = [];

  /** At most `most` bytes, at least one chunk where there is room for it. */
  take(most: number): Buffer {
    noise ??= noiseWords();
    const words = this.#free.pop() ?? new Uint32Array(WORDS);
    // The same noise in another mask each time repeats nothing, and costs a tenth of a cipher.
    const mask = randomInt(2 ** 32);
    for (let i = 0; i < WORDS; i++) words[i] = (noise[i] ?? 0) ^ mask;
    return Buffer.from(words.buffer, 0, Math.min(CHUNK_BYTES, most));
  }

  /** Takes back a chunk the kernel has copied. */
  giveBack(chunk: Buffer): void {
    if (chunk.buffer instanceof ArrayBuffer) this.#free.push(new Uint32Array(chunk.buffer));
  }
}
