// What this host can do changes: tools are installed and removed while the agent runs.
import type { Capabilities } from "#contract/wire";
import type { Log } from "./log.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** A tool that is missing may stay so: it is looked for no oftener than this, ms. */
const MISSING_MS = 60 * 60 * 1000;

export interface AbilitiesParts {
  /** Tries every tool; takes seconds, and some processes. */
  readonly look: () => Promise<Capabilities>;
  /** What was found after the first time. */
  readonly found: (capabilities: Capabilities) => void;
  readonly log: Pick<Log, "warn">;
  /** A clock that never jumps, ms. */
  readonly now?: () => number;
}

export class Abilities {
  readonly #parts: AbilitiesParts;
  readonly #now: () => number;
  #at: number;
  #looking = false;

  constructor(parts: AbilitiesParts) {
    this.#parts = parts;
    this.#now = parts.now ?? (() => performance.now());
    this.#at = this.#now();
  }

  first(): Promise<Capabilities> {
    this.#at = this.#now();
    return this.#parts.look();
  }

  /** Called now and then: looks again once a day, and within an hour of a run that found its tool missing. */
  tick(toolMissing: boolean): void {
    if (this.#looking || this.#now() - this.#at < (toolMissing ? MISSING_MS : DAY_MS)) return;
    this.#looking = true;
    this.#at = this.#now();
    this.#parts
      .look()
      .then(this.#parts.found)
      .catch((error: unknown) => this.#parts.log.warn({ error: String(error) }, "looking for tools broke"))
      .finally(() => {
        this.#looking = false;
      });
  }
}
