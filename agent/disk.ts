// What a disk that takes nothing says, and how much of a disk an agent may take.
import { statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { OutboxProblem } from "#contract/wire";
import { removeIfPossible } from "./files.ts";

const BY_ERRNO: Readonly<Record<string, OutboxProblem>> = {
  ENOSPC: "disk_full",
  EDQUOT: "disk_full",
  EROFS: "read_only",
  EACCES: "no_permission",
  EPERM: "no_permission",
  ENOENT: "directory_gone",
  ENOTDIR: "directory_gone",
  EIO: "disk_error",
  EMFILE: "disk_error",
  ENFILE: "disk_error",
};

/** SQLite's primary result codes that speak of the disk: PERM, READONLY, IOERR, FULL, CANTOPEN. */
const BY_SQLITE: Readonly<Record<number, OutboxProblem>> = {
  3: "no_permission",
  8: "read_only",
  10: "disk_error",
  13: "disk_full",
  14: "disk_error",
};

/** SQLite's primary result code of an error, whose extended code has more in its higher bits; undefined for other errors. */
export function sqliteCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown }).errcode;
  return typeof code === "number" ? code & 0xff : undefined;
}

/** What an error says of the disk that holds `dir`; undefined when it is about something else. */
export function diskProblem(error: unknown, dir: string): OutboxProblem | undefined {
  const code = sqliteCode(error);
  if (code === undefined) return BY_ERRNO[String((error as NodeJS.ErrnoException).code)];
  const problem = BY_SQLITE[code];
  if (problem === undefined || problem === "disk_full") return problem;
  // SQLite keeps the system's own word to itself; a small file hears it again.
  return writingProblem(dir) ?? problem;
}

/** Why a small file cannot be written in `dir`, or undefined. */
function writingProblem(dir: string): OutboxProblem | undefined {
  const path = join(dir, ".trial");
  removeIfPossible(path);
  try {
    writeFileSync(path, "x".repeat(4096), { mode: 0o600, flag: "wx" });
    return undefined;
  } catch (error) {
    return BY_ERRNO[String((error as NodeJS.ErrnoException).code)];
  } finally {
    removeIfPossible(path);
  }
}

/** Bytes that may be written where `dir` is by this process, and all there are. Nothing where the system does not tell. */
export function freeAt(dir: string): { free: number; total: number } {
  try {
    const { bavail, blocks, bsize } = statfsSync(dir);
    return { free: bavail * bsize, total: blocks * bsize };
  } catch {
    // A directory that is gone has no room either.
    return { free: 0, total: 0 };
  }
}

/** What stays free for the host, bytes, however much waits to be uploaded. */
const KEEP_FREE = 64 * 1024 * 1024;

/** Bytes an agent may still take where `dir` is: what is free, less 64 MiB or a twentieth of the disk, whichever is less. */
export function roomAt(dir: string): number {
  const { free, total } = freeAt(dir);
  return Math.max(0, free - Math.min(KEEP_FREE, total / 20));
}
