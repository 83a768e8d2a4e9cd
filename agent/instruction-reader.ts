// Fetches instructions one after the other, so that an older one never replaces a newer.
import { setTimeout as sleep } from "node:timers/promises";
import type { Instruction } from "#contract/wire";
import { backoffMs } from "./backoff.ts";
import type { EdgeHttp } from "./edge-http.ts";
import type { Log } from "./log.ts";

const TRIES = 5;

export interface ReaderParts {
  readonly http: EdgeHttp;
  readonly token: () => string;
  /** Revision in force. */
  readonly held: () => number | undefined;
  readonly apply: (instruction: Instruction) => void;
  /** The agent runs with this revision now. */
  readonly acknowledge: (revision: number) => void;
  readonly stop: AbortSignal;
  readonly log: Pick<Log, "error" | "warn">;
}

export class InstructionReader {
  readonly #parts: ReaderParts;
  #queue: Promise<void> = Promise.resolve();

  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  /** The server has this revision; fetches it if it is news. When that fails, the next greeting brings it. */
  refresh(revision: number): void {
    this.#queue = this.#queue
      .then(() => this.#fetch(revision))
      .catch((error: unknown) => {
        if (!this.#parts.stop.aborted) this.#parts.log.error({ error: String(error) }, "reading the instruction broke");
      });
  }

  async #fetch(revision: number): Promise<void> {
    const { http, token, held, apply, acknowledge, stop, log } = this.#parts;
    for (let attempt = 0; attempt < TRIES && !stop.aborted && held() !== revision; attempt++) {
      const answer = await http.instruction(token(), held());
      if (answer.ok) {
        if (answer.value !== undefined) apply(answer.value);
        break;
      }
      log.warn({ revision, why: "refused" in answer ? answer.refused.detail : answer.unreachable }, "no instruction yet");
      await sleep(backoffMs(attempt, false), undefined, { signal: stop });
    }
    const now = held();
    if (now !== undefined) acknowledge(now);
  }
}
