// An error whose message is all a person needs: what happened, why, and what to do next. Printed without a stack.
export class OpsError extends Error {
  override name = "OpsError";
}

/** Prints an error of a command and gives the exit code to leave with. */
export function report(error: unknown): number {
  if (error instanceof OpsError) console.error(`\n${error.message}`);
  else console.error("\nThis is a defect in StreamSwarm's commands, please report it:", error);
  return 1;
}
