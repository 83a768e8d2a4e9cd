// A file of /proc that is read again and again: it stays open, so that a look costs one system call.
import { openSync, readSync } from "node:fs";

/** One buffer for all: the text is copied out of it before the next is read. */
const buffer = Buffer.allocUnsafeSlow(16 * 1024);

export class ProcFile {
  readonly #path: string;
  /** undefined before the first look, null where there is no such file. */
  #file: number | null | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** The first 16 KiB of the file, or undefined where it cannot be read. */
  read(): string | undefined {
    if (this.#file === null) return undefined;
    try {
      this.#file ??= openSync(this.#path, "r");
      return buffer.toString("latin1", 0, readSync(this.#file, buffer, 0, buffer.length, 0));
    } catch {
      // Not this system's, not this user's, or gone: it is not asked for again.
      this.#file = null;
      return undefined;
    }
  }
}
