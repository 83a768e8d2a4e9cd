// `npm run build`: the dashboard in dist/web and the agent in dist/agent. `-- --force` builds what is up to date as well.
import { ensureBuilt } from "./builds.ts";
import { report } from "./ops-error.ts";

try {
  const force = process.argv.includes("--force");
  await Promise.all([ensureBuilt("web", force), ensureBuilt("agent", force)]);
  process.exit(0);
} catch (error) {
  process.exit(report(error));
}
