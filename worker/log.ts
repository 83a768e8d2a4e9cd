/** Logs a failure that must not stop what is going on, with where it happened. */
export function logError(event: string, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  console.error(JSON.stringify({ event, error: text }));
}
