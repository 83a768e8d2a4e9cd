// Applies migrations/ to the local database, only when a file changed since the last time: asking takes seconds.
import { writeFileSync } from "node:fs";
import { runNode, tail } from "./child.ts";
import { OpsError } from "./ops-error.ts";
import { ROOT, type StatePaths, WRANGLER } from "./paths.ts";
import { seconds, step } from "./progress.ts";
import { hashOf, readStamp } from "./source-hash.mjs";
import { wranglerEnv } from "./wrangler-env.ts";

export async function ensureMigrated(state: StatePaths): Promise<void> {
  const hash = hashOf(ROOT, ["migrations"]);
  if (readStamp(state.migrated) === hash) return step("database is migrated");
  const started = performance.now();
  const { code, output } = await runNode(WRANGLER, ["d1", "migrations", "apply", "DB", "--local", "--persist-to", state.edge], {
    // CI: nobody is there to be asked.
    env: { ...wranglerEnv(state), CI: "true" },
  });
  if (code !== 0) {
    throw new OpsError(
      `The database could not be migrated:\n${tail(output)}\n` +
        "Correct the file in migrations/ that it names. If the local data may go, `npm run reset` starts from nothing.",
    );
  }
  writeFileSync(state.migrated, `${hash}\n`);
  step(`database migrated in ${seconds(started)}`);
}
