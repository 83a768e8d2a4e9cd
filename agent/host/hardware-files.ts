// Reading /proc and /sys for the hardware part: synchronously where the kernel answers from memory (ten times cheaper), and
// apart from the event loop, with a limit, where it asks a device over a bus first.
import { close, closeSync, open, read, readdirSync, readFileSync } from "node:fs";
import type { Reason } from "#contract/metrics";
import { wholeNumber } from "./linux-files.ts";

/** Where the trees lie: "" for the system's own, a directory with the same layout for a recorded one. */
export interface Roots {
  readonly proc: string;
  readonly sys: string;
  readonly run: string;
  readonly dev: string;
  /** The whole tree, for the few files outside the four above. */
  readonly top: string;
}

export const rootsAt = (top = ""): Roots => ({
  top,
  proc: `${top}/proc`,
  sys: `${top}/sys`,
  run: `${top}/run`,
  dev: `${top}/dev`,
});

/** A file's text without the white space around it, or undefined. Only for files the kernel answers from memory. */
export function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}

export const numberOf = (path: string): number | undefined => wholeNumber(textOf(path));

/** The names in a directory with hwmon2 before hwmon10, or undefined where there is none. */
export function namesIn(path: string): string[] | undefined {
  try {
    return readdirSync(path).sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  } catch {
    return undefined;
  }
}

export type Answer = { readonly text: string } | { readonly why: Extract<Reason, "unsupported" | "no_permission" | "timeout"> };

/** A sysfs attribute is one page at most. */
const PAGE_BYTES = 4096;
const LIMIT_MS = 250;
/** Every hanging read holds one of the four threads that file and name look-ups of this process share. */
const MOST_HANGING = 2;

const failure = (error: NodeJS.ErrnoException): Answer => ({
  why: error.code === "EACCES" || error.code === "EPERM" ? "no_permission" : "unsupported",
});

/** Reads files that may wait for a device. One that hangs is left alone until it answers. */
export class BusReader {
  readonly #hanging = new Set<string>();
  readonly #limit_ms: number;

  constructor(limit_ms = LIMIT_MS) {
    this.#limit_ms = limit_ms;
  }

  read(path: string): Promise<Answer> {
    if (this.#hanging.has(path) || this.#hanging.size >= MOST_HANGING) return Promise.resolve({ why: "timeout" });
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#hanging.add(path);
        resolve({ why: "timeout" });
      }, this.#limit_ms);
      const done = (answer: Answer) => {
        clearTimeout(timer);
        this.#hanging.delete(path);
        resolve(answer);
      };
      open(path, "r", (error, fd) => {
        if (error !== null) return done(failure(error));
        // Nobody waits any more: the device need not be asked.
        if (this.#hanging.has(path)) {
          close(fd);
          return done({ why: "timeout" });
        }
        const page = Buffer.allocUnsafe(PAGE_BYTES);
        read(fd, page, 0, PAGE_BYTES, 0, (readError, bytes) => {
          closeSync(fd);
          done(readError === null ? { text: page.toString("utf8", 0, bytes).trim() } : failure(readError));
        });
      });
    });
  }
}

/** The reason that explains most: what may not be read, then what does not answer, then what is not there. */
export function mainReason<Fallback extends Reason>(
  answers: readonly Answer[],
  otherwise: Fallback,
): Fallback | "no_permission" | "timeout" {
  const reasons = answers.flatMap((answer) => ("why" in answer ? [answer.why] : []));
  if (reasons.includes("no_permission")) return "no_permission";
  return reasons.includes("timeout") ? "timeout" : otherwise;
}
