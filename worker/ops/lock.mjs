// A lock between processes: a directory that only one can create. The owner keeps its time stamp fresh, so that a lock left by
// a killed process, even one whose pid another process got since, is taken over. Plain JavaScript: the bootstrap needs it too.
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const HEARTBEAT_MS = 2000;
const STALE_MS = 30_000;
const RETRY_MS = 100;

/** Runs `work` while holding the lock at `path`. `onWait(pid)` is called once when another process holds it. */
export async function withLock(path, onWait, work) {
  mkdirSync(dirname(path), { recursive: true });
  let told = false;
  while (!take(path)) {
    const owner = ownerOf(path);
    if (isAbandoned(path, owner)) {
      remove(path, owner);
    } else {
      if (!told && owner !== null) onWait(owner);
      told = told || owner !== null;
      await delay(RETRY_MS);
    }
  }
  const beat = setInterval(() => touch(path), HEARTBEAT_MS);
  beat.unref();
  try {
    return await work();
  } finally {
    clearInterval(beat);
    rmSync(path, { recursive: true, force: true });
  }
}

function take(path) {
  try {
    mkdirSync(path);
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
  writeFileSync(join(path, "pid"), String(process.pid));
  return true;
}

function ownerOf(path) {
  try {
    return Number(readFileSync(join(path, "pid"), "utf8")) || null;
  } catch (error) {
    // The owner is between creating the directory and writing its pid, or has just let go.
    if (error.code === "ENOENT") return null;
    throw error;
  }
}

function isAbandoned(path, owner) {
  try {
    if (Date.now() - statSync(path).mtimeMs > STALE_MS) return true;
  } catch (error) {
    if (error.code === "ENOENT") return false;
    throw error;
  }
  return owner !== null && !isAlive(owner);
}

export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Moves the lock away before deleting it; puts it back when meanwhile somebody else had taken it over. */
function remove(path, judged) {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
    if (ownerOf(aside) === judged) rmSync(aside, { recursive: true, force: true });
    else renameSync(aside, path);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
}

function touch(path) {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
}
