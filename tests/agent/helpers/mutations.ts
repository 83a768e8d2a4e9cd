// Damages recorded tool output, and says which numbers a damaged text still holds. Everything follows from a seed.

export type Random = () => number;

/** Deterministic pseudo-random numbers in [0, 1) (mulberry32), so that a failure can be run again. */
export function generator(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const below = (random: Random, limit: number): number => Math.floor(random() * limit);
const pick = <Item>(random: Random, items: readonly Item[]): Item => items[below(random, items.length)] as Item;

/** Puts `inserted` in place of `bytes[from, to)`. */
const splice = (bytes: Buffer, from: number, to: number, inserted: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, from), inserted, bytes.subarray(to)]);

const HUGE = [
  "99999999999999999999",
  "4294967296",
  "1e309",
  "-1",
  "0",
  "000000001",
  "1.7976931348623157e308",
  "NaN",
  "0x10",
  "٣",
];
const ODD = [
  [0],
  [0x0d, 0x0a],
  [0xff, 0xfe],
  [0xc3, 0x28],
  [0xed, 0xa0, 0x80],
  [0x0a, 0x0a],
  [0x09],
  [0x1b, 0x5b, 0x33, 0x31, 0x6d],
];

type Damage = (bytes: Buffer, random: Random, others: readonly Buffer[]) => Buffer;

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39;

/** Start and end of a run of digits chosen at random, or undefined. */
function digits(bytes: Buffer, random: Random): [number, number] | undefined {
  const starts = [...bytes.keys()].filter((i) => isDigit(bytes[i]) && !isDigit(bytes[i - 1]));
  if (starts.length === 0) return undefined;
  const from = pick(random, starts);
  let to = from;
  while (isDigit(bytes[to])) to += 1;
  return [from, to];
}

const lineOf = (bytes: Buffer, random: Random): Buffer => {
  const lines = bytes.toString("latin1").split("\n");
  return Buffer.from(`${pick(random, lines)}\n`, "latin1");
};

const DAMAGES: readonly Damage[] = [
  // Cut anywhere.
  (bytes, random) => bytes.subarray(0, below(random, bytes.length + 1)),
  // Any byte becomes any other.
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    copy[below(random, copy.length)] = below(random, 256);
    return copy;
  },
  (bytes, random) => splice(bytes, ...twice(below(random, bytes.length + 1)), Buffer.of(below(random, 256))),
  (bytes, random) => {
    const from = below(random, bytes.length);
    return splice(bytes, from, from + 1 + below(random, 8), Buffer.alloc(0));
  },
  // A line of another output in the middle of this one.
  (bytes, random, others) =>
    splice(bytes, ...twice(lineStart(bytes, random)), lineOf(others.length > 0 ? pick(random, others) : bytes, random)),
  // A line of its own once more, or in another place.
  (bytes, random) => splice(bytes, ...twice(lineStart(bytes, random)), lineOf(bytes, random)),
  // Other digits.
  (bytes, random) => {
    const found = digits(bytes, random);
    return found === undefined
      ? bytes
      : splice(bytes, ...found, Buffer.from(String(below(random, 10 ** (1 + below(random, 8))))));
  },
  // Numbers no tool prints.
  (bytes, random) => {
    const found = digits(bytes, random);
    return found === undefined ? bytes : splice(bytes, ...found, Buffer.from(pick(random, HUGE)));
  },
  // Bytes no text holds.
  (bytes, random) => splice(bytes, ...twice(below(random, bytes.length + 1)), Buffer.from(pick(random, ODD))),
  // Windows line ends.
  (bytes) => Buffer.from(bytes.toString("latin1").replaceAll("\n", "\r\n"), "latin1"),
];

const twice = (at: number): [number, number] => [at, at];

function lineStart(bytes: Buffer, random: Random): number {
  const end = bytes.indexOf(0x0a, below(random, bytes.length + 1));
  return end === -1 ? bytes.length : end + 1;
}

/** One to four damages at once. `others` are whole outputs of other runs. */
export function mutate(bytes: Buffer, random: Random, others: readonly Buffer[]): Buffer {
  let damaged = bytes;
  for (let left = 1 + below(random, 4); left > 0; left--) {
    damaged = damaged.length === 0 ? lineOf(bytes, random) : pick(random, DAMAGES)(damaged, random, others);
  }
  return damaged;
}

/** What a text holds, for the question whether a parser invented something. */
export class Facts {
  /** As received, for formats that are no text. */
  readonly bytes: Buffer;
  readonly #text: string;
  #numbers: Set<number> | undefined;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.#text = bytes.toString("utf8");
  }

  get text(): string {
    return this.#text;
  }

  /** Lines, counting one without its end. */
  get lines(): number {
    return this.#text.split("\n").length;
  }

  /** Whether the number stands in the text, in any notation of digits. */
  has(value: number): boolean {
    this.#numbers ??= new Set(
      [/\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, /\d+(?:\.\d+)?/g, /\d+/g, /0x[0-9a-f]+/gi].flatMap((pattern) =>
        (this.#text.match(pattern) ?? []).map(Number),
      ),
    );
    return this.#numbers.has(Math.abs(value));
  }

  /** Whether the text stands in the text. */
  says(words: string): boolean {
    return this.#text.includes(words);
  }
}

/** Every number and every text with a digit in a parsed value, with the way to it (`replies.0.rtt`). */
export function* leaves(value: unknown, path = ""): Generator<{ path: string; value: number | string }> {
  if (typeof value === "number" || (typeof value === "string" && /\d/.test(value))) yield { path, value };
  else if (value instanceof Map) yield* leaves([...value.entries()], path);
  else if (value instanceof Set) yield* leaves([...value], path);
  else if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value)) {
    for (const [key, part] of Object.entries(value)) yield* leaves(part, path === "" ? key : `${path}.${key}`);
  }
}
