// A run on a terminal while it is measured: its rows as they come, and under them one line that says how far it is.
import { harmless, type Paint, RowPrinter } from "./print.ts";
import type { Row } from "./rows.ts";

const BAR_WIDTH = 28;
/** Back to the line's start, and clear it (ECMA-48 EL). */
const CLEAR = "\r\u001b[2K";

/** A bar, the percentage and a note, no longer than the terminal is wide. Pure. */
export function progressLine(fraction: number, note: string, columns: number, paint: Paint): string {
  const done = Math.round(Math.min(1, Math.max(0, fraction)) * BAR_WIDTH);
  const percent = `${Math.floor(fraction * 100)} %`.padStart(5);
  const room = columns - BAR_WIDTH - percent.length - 7;
  const told = room > 0 ? harmless(note).slice(0, room) : "";
  return `  ${paint.good("━".repeat(done))}${paint.dim("─".repeat(BAR_WIDTH - done))} ${percent}  ${told}`;
}

/** Writes to a stream. Where that is no terminal, or one that cannot clear a line, there are only rows. */
export class LiveDisplay {
  readonly #stream: NodeJS.WriteStream;
  readonly #paint: Paint;
  readonly #rows: RowPrinter;
  readonly #redraws: boolean;
  #shown = "";

  constructor(stream: NodeJS.WriteStream, paint: Paint) {
    this.#stream = stream;
    this.#paint = paint;
    this.#rows = new RowPrinter(paint);
    this.#redraws = stream.isTTY === true && process.env.TERM !== "dumb";
  }

  /** One row above the line of progress. */
  row(row: Row): void {
    const line = this.#rows.line(row);
    this.#stream.write(this.#shown === "" ? `${line}\n` : `${CLEAR}${line}\n${this.#shown}`);
  }

  /** Redraws the line of progress. */
  progress(fraction: number, note: string): void {
    if (!this.#redraws) return;
    this.#shown = progressLine(fraction, note, this.#stream.columns || 80, this.#paint);
    this.#stream.write(`${CLEAR}${this.#shown}`);
  }

  /** Takes the line of progress away. */
  end(): void {
    if (this.#shown !== "") this.#stream.write(CLEAR);
    this.#shown = "";
  }
}
