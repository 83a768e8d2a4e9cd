// Waiting that ends with the run.
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";

/** Waits until a moment of performance.now(), ms; false when the signal aborted before. */
export async function waitUntil(moment: number, signal: AbortSignal): Promise<boolean> {
  const wait = moment - performance.now();
  // The only way a pause fails is its signal, which the answer tells.
  if (wait > 0) await pause(wait, undefined, { signal }).catch(() => undefined);
  return !signal.aborted;
}

/** Waits for somebody else's work, which never rejects; false when the signal aborted before. */
export async function waitFor(work: Promise<unknown>, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  let stop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  signal.addEventListener("abort", stop, { once: true });
  await Promise.race([work, stopped]);
  signal.removeEventListener("abort", stop);
  return !signal.aborted;
}
