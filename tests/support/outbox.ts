// Looks into the outbox of an agent that is stopped.
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";

const rowSchema = z.object({
  /** The number the next item would get. */
  next: z.number(),
  /** Items that were never acknowledged, and the first of them; what is acknowledged only waits to be deleted. */
  waiting: z.number(),
  first: z.number().nullable(),
});

export function readOutbox(path: string): z.infer<typeof rowSchema> {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const row = db
      .prepare(
        "SELECT (SELECT value FROM state WHERE name = 'next') AS next, count(*) AS waiting, min(seq) AS first FROM item" +
          " WHERE seq > (SELECT value FROM state WHERE name = 'acked')",
      )
      .get();
    return rowSchema.parse(row);
  } finally {
    db.close();
  }
}
