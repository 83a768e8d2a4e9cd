// How the program ends.

/** Exit status: see `streamswarm-agent --help`. */
export const EXIT = { ok: 0, failed: 1, usage: 2, cannotMeasure: 3 } as const;

/** Something the person who started the program has to change; ends it with status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The agent cannot go on, and starting it again would not help; ends it with status 1. */
export class FatalError extends Error {
  override readonly name = "FatalError";
}
