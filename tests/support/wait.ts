// Waiting for something only asking can tell, with a deadline and the last answer in the error.
import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 50;

/** Asks until `accept` is true of the answer, and returns that answer. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  ask: () => T | Promise<T>,
  accept: (answer: T) => boolean,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  while (true) {
    const answer = await ask();
    if (accept(answer)) return answer;
    if (performance.now() > deadline) {
      throw new Error(`${what} did not happen within ${timeoutMs} ms. Last seen: ${JSON.stringify(answer)}`);
    }
    await delay(POLL_MS);
  }
}
