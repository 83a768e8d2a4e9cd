// `npm run reset`: forgets what this instance stored. Asks first; `-- --yes` does not.
import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { OpsError, report } from "./ops-error.ts";
import { stateDir, statePaths } from "./paths.ts";
import { runningStart } from "./run-file.ts";

async function reset(): Promise<void> {
  const state = statePaths(stateDir(process.env));
  const running = runningStart(state);
  if (running) {
    throw new OpsError(
      `StreamSwarm runs on ${state.dir} (pid ${running.pid}, ${running.url}). Stop it first (Ctrl-C there, or kill ${running.pid}).`,
    );
  }
  // Only what we made: the directory may be one that holds other things.
  const ours = Object.values(state).filter((path) => path !== state.dir);
  const present = [...ours, ...ours.map((path) => `${path}.1`), ...ours.map((path) => `${path}.next`)].filter((path) =>
    existsSync(path),
  );
  if (present.length === 0) return console.log(`Nothing to forget in ${state.dir}.`);
  if (!process.argv.includes("--yes") && !(await isAgreed(state.dir))) return console.log("Nothing was changed.");
  for (const path of present) rmSync(path, { recursive: true, force: true });
  if (readdirSync(state.dir).length === 0) rmdirSync(state.dir);
  console.log(`Forgotten: accounts, clients, tests and results in ${state.dir}. The next npm start begins anew.`);
}

async function isAgreed(dir: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new OpsError(
      "npm run reset asks before it deletes, and here nobody can answer. If you are sure: npm run reset -- --yes",
    );
  }
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await prompt.question(`Delete every account, client, test and result in ${dir}? Type yes: `);
    return answer.trim().toLowerCase() === "yes";
  } finally {
    prompt.close();
  }
}

try {
  await reset();
  process.exit(0);
} catch (error) {
  process.exit(report(error));
}
