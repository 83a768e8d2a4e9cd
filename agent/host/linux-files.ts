// The files of /proc and /sys as text. They are in memory, so reading one takes some ten microseconds at once and ten times that
// through a promise.
import { closeSync, existsSync, openSync, readdirSync, readSync } from "node:fs";
import { performance } from "node:perf_hooks";

/** Where this host's files are, and its monotonic clock in milliseconds. */
export interface HostPlace {
  readonly proc: string;
  readonly sys: string;
  readonly etc: string;
  readonly run: string;
  readonly now: () => number;
}

const HERE: HostPlace = { proc: "/proc", sys: "/sys", etc: "/etc", run: "/run", now: () => performance.now() };

/** Longest text read of a file whose end nobody needs, characters. */
const LONGEST = 1024 * 1024;

/** One buffer for every file: the text is copied out of it before the next is read. */
const buffer = Buffer.allocUnsafeSlow(64 * 1024);

/** The beginning of a file, or nothing where it is not there or not readable. */
function read(path: string, limit: number): string {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return "";
  }
  try {
    let text = "";
    let length = readSync(file, buffer);
    while (length > 0 && text.length < limit) {
      text += buffer.toString("utf8", 0, length);
      length = readSync(file, buffer);
    }
    return text;
  } catch {
    // Some attributes of /sys open and then answer EINVAL: a link that is down has no speed.
    return "";
  } finally {
    closeSync(file);
  }
}

/** Reads what it is asked for and nothing else; what is not there is empty or undefined, never an error. */
export class HostFiles {
  readonly #place: HostPlace;

  constructor(place: Partial<HostPlace> = {}) {
    this.#place = { ...HERE, ...place };
  }

  /** Milliseconds of a clock that nobody sets. */
  now(): number {
    return this.#place.now();
  }

  /** A file below /proc, up to about `limit` characters. */
  proc(path: string, limit = LONGEST): string {
    return read(`${this.#place.proc}/${path}`, limit);
  }

  procNames(path: string): string[] {
    return names(`${this.#place.proc}/${path}`);
  }

  /** An attribute below /sys without the end of its line. */
  sys(path: string): string {
    return read(this.sysPath(path), LONGEST).trim();
  }

  /** An attribute that is a whole number. */
  sysNumber(path: string): number | undefined {
    return wholeNumber(this.sys(path));
  }

  sysNames(path: string): string[] {
    return names(this.sysPath(path));
  }

  hasSys(path: string): boolean {
    return existsSync(this.sysPath(path));
  }

  /** For what may take its time and is read through a promise. */
  sysPath(path: string): string {
    return `${this.#place.sys}/${path}`;
  }

  etc(path: string): string {
    return read(`${this.#place.etc}/${path}`, LONGEST);
  }

  hasRun(path: string): boolean {
    return existsSync(`${this.#place.run}/${path}`);
  }
}

export function wholeNumber(text: string | undefined): number | undefined {
  const digits = text?.trim() ?? "";
  return /^-?\d+$/.test(digits) ? Number(digits) : undefined;
}

function names(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
