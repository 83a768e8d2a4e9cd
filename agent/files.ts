// Small private files that are whole or not there.
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

/** Makes a directory only its owner may enter, and those above it. */
export function makePrivateDir(path: string): void {
  const above = dirname(path);
  // Not `recursive`: below a file system that makes no directories, such as /proc, Node tries for ever.
  if (above !== path && !existsSync(above)) makePrivateDir(above);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}

function syncDir(path: string): void {
  // Windows cannot open a directory; its rename is durable by itself.
  if (process.platform === "win32") return;
  const fd = openSync(path, "r");
  fsyncSync(fd);
  closeSync(fd);
}

/** Replaces a file (mode 0600) at once: a crash or a full disk leaves the old or the new text, never half of one. */
export function writeAtomically(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  // Made anew: what already has the name may be a link to another file, or readable for others.
  removeIfPossible(temporary);
  try {
    const fd = openSync(temporary, "wx", 0o600);
    try {
      // Not writeSync: a disk that fills up takes a part of the text and calls that a success.
      writeFileSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    // Half a file would only take the room that is missing.
    removeIfPossible(temporary);
    throw error;
  }
  syncDir(dirname(path));
}

/** Removes a file that nobody needs: one that is not there, or may not be removed, is no matter. */
export function removeIfPossible(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // What matters failed before, or will fail after, and says why.
  }
}

/** A file's text, or undefined when there is no such file. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
