// The receiver's own counts of an upload: lines of JSON {"t_ms": …, "bytes": …} that its server streams back. Untrusted.
import { Curve } from "./slices.ts";

const LINE_MAX = 512;

interface Count {
  readonly t_ms: number;
  readonly bytes: number;
  /** When the line came, monotonic ms of this host. */
  readonly came: number;
}

/** Reads one response's lines. What is no count, goes backwards, or says more than was sent makes all of it worthless. */
export class CountReader {
  readonly #counts: Count[] = [];
  readonly #sent: () => number;
  #rest = "";
  #broken = false;

  /** `sent` tells how many bytes of the body have been given to the kernel. */
  constructor(sent: () => number) {
    this.#sent = sent;
  }

  feed(piece: Buffer, came: number): void {
    if (this.#broken) return;
    const lines = (this.#rest + piece.toString("latin1")).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > LINE_MAX) this.#broken = true;
    for (const line of lines) this.#take(line, came);
  }

  /** Whether there are counts that can be believed. */
  get good(): boolean {
    return !this.#broken && this.#counts.length > 1;
  }

  get broken(): boolean {
    return this.#broken;
  }

  /** Bytes of the newest count. */
  get bytes(): number {
    return this.#counts.at(-1)?.bytes ?? 0;
  }

  #take(line: string, came: number): void {
    const count = readCount(line);
    const last = this.#counts.at(-1);
    const backwards = count !== undefined && last !== undefined && (count.t_ms < last.t_ms || count.bytes < last.bytes);
    if (count === undefined || backwards || count.bytes > this.#sent()) this.#broken = true;
    else this.#counts.push({ ...count, came });
  }

  /**
   * The counts on this host's clock. The two clocks differ by what the fastest line shows, which contains its way here: the
   * same for all, so that the distances between points are the receiver's.
   */
  curve(): Curve {
    const curve = new Curve();
    const offset = this.#counts.reduce((least, { came, t_ms }) => Math.min(least, came - t_ms), Number.POSITIVE_INFINITY);
    for (const { t_ms, bytes } of this.#counts) curve.add(t_ms + offset, bytes);
    return curve;
  }
}

function readCount(line: string): { t_ms: number; bytes: number } | undefined {
  if (line.length > LINE_MAX) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("t_ms" in value) || !("bytes" in value)) return undefined;
  const { t_ms, bytes } = value;
  if (typeof t_ms !== "number" || typeof bytes !== "number") return undefined;
  return Number.isFinite(t_ms) && t_ms >= 0 && Number.isSafeInteger(bytes) && bytes >= 0 ? { t_ms, bytes } : undefined;
}
