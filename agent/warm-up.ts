// What runs for the first time is slow: code is loaded and compiled, some milliseconds that would pass for the network's. Whoever
// times something runs it once before, on this host.
import { codeDropped } from "./small-process.ts";

const done = new Map<string, Promise<void>>();
let dropped = 0;

/**
 * Runs a warm-up once in the life of the process, and again when the process has thrown its unused code away. What a warm-up cannot
 * do here, say a cipher, only leaves the first figures slower: it never rejects.
 */
export function warmOnce(name: string, work: () => Promise<void>): Promise<void> {
  if (dropped !== codeDropped()) {
    dropped = codeDropped();
    done.clear();
  }
  const running = done.get(name) ?? work().catch(() => undefined);
  done.set(name, running);
  return running;
}
