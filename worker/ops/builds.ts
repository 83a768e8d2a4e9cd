// Builds the dashboard and the agent when their sources changed since the last build.
import { join, relative } from "node:path";
import { runNode, tail } from "./child.ts";
import { withLock } from "./lock.mjs";
import { OpsError } from "./ops-error.ts";
import { ROOT, VITE } from "./paths.ts";
import { seconds, step } from "./progress.ts";
import { BUILDS, hashOf, isFresh, writeStamp } from "./source-hash.mjs";

export const AGENT_FILE = join(ROOT, BUILDS.agent.output);

/** `force` builds even what is up to date. */
export async function ensureBuilt(name: "web" | "agent", force = false): Promise<void> {
  const build = BUILDS[name];
  const label = name === "web" ? "dashboard" : "agent";
  if (!force && isFresh(ROOT, build)) return step(`${label} is built`);
  const waiting = (pid: number) => step(`another command (pid ${pid}) builds the ${label}; waiting for it`);
  await withLock(join(ROOT, "dist", `.${name}.lock`), waiting, async () => {
    if (!force && isFresh(ROOT, build)) return step(`${label} is built`);
    const started = performance.now();
    // Taken before the build: a file saved meanwhile makes the next start build again.
    const hash = hashOf(ROOT, build.sources);
    const { code, output } = await runNode(VITE, ["build", "-c", build.config, "--logLevel", "warn"]);
    if (code !== 0) {
      throw new OpsError(
        `The ${label} does not build:\n${tail(output)}\nCorrect what it names (see ${relative(ROOT, build.config)}) and run this again.`,
      );
    }
    writeStamp(join(ROOT, build.stamp), hash);
    step(`${label} built in ${seconds(started)}`);
  });
}
