// `npm test`: format and lint, types, the build, then every test. Goes on after a failing stage, so that one run shows all there is.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { ensureBuilt } from "./builds.ts";
import { type Finished, runNode } from "./child.ts";
import { OpsError, report } from "./ops-error.ts";
import { ROOT } from "./paths.ts";
import { heading, seconds } from "./progress.ts";

const TOOL = (path: string) => join(ROOT, "node_modules", path);
const REPORT = TOOL(".cache/test-report.json");
const isCi = process.env.CI === "true";

const reportSchema = z.object({
  passed: z.number(),
  failed: z.number(),
  skipped: z.array(z.object({ name: z.string(), reason: z.string() })),
});
type TestReport = z.infer<typeof reportSchema>;

/** Titles of the stages that failed. */
const failures: string[] = [];

async function stage(title: string, work: () => Promise<Finished>): Promise<void> {
  const started = performance.now();
  const { code, output } = await work();
  heading(`${title}: ${code === 0 ? "good" : "FAILED"} (${seconds(started)})`);
  if (code !== 0) {
    failures.push(title);
    console.log(output.trimEnd());
  }
}

const builds = async (): Promise<Finished> => {
  try {
    await Promise.all([ensureBuilt("web"), ensureBuilt("agent")]);
    return { code: 0, output: "" };
  } catch (error) {
    if (error instanceof OpsError) return { code: 1, output: error.message };
    throw error;
  }
};

/** One run of vitest over some of the suites; what the command line names narrows it further. */
async function runTests(title: string, projects: string): Promise<TestReport> {
  heading(title);
  rmSync(REPORT, { force: true });
  const named = process.argv.slice(2);
  const args = [
    "run",
    "-c",
    "tests/vitest.config.ts",
    "--project",
    projects,
    ...(named.length > 0 ? ["--passWithNoTests"] : []),
    ...named,
  ];
  const env = { ...process.env, STREAMSWARM_TEST_REPORT: REPORT };
  const { code } = await runNode(TOOL("vitest/vitest.mjs"), args, { env, live: true });
  if (!existsSync(REPORT))
    throw new OpsError(`The ${title} ended with code ${code} before they could report; their message is above.`);
  const result = reportSchema.parse(JSON.parse(readFileSync(REPORT, "utf8")));
  if (code !== 0 || result.failed > 0) failures.push(title);
  return result;
}

function listSkipped({ skipped }: TestReport): void {
  if (skipped.length === 0) return;
  heading(`not run here: ${skipped.length}`);
  for (const { name, reason } of skipped) console.log(`  ${name}\n      ${reason}`);
  if (!isCi) return;
  failures.push("a test did not run, which CI=true forbids");
}

try {
  await stage("format and lint", () => runNode(TOOL("@biomejs/biome/bin/biome"), ["check", "--colors=off", "."]));
  await stage("types", () => runNode(TOOL("typescript/bin/tsc"), ["-b", "--pretty", "false"]));
  await stage("build", builds);
  const parts = await runTests("tests of the parts", "!e2e");
  // Alone and last: they measure delays of the whole system, which other tests beside them would stretch.
  const whole = await runTests("tests of the whole", "e2e");
  const result: TestReport = {
    passed: parts.passed + whole.passed,
    failed: parts.failed + whole.failed,
    skipped: [...parts.skipped, ...whole.skipped],
  };
  if (result.passed === 0) failures.push("tests (none ran)");
  listSkipped(result);
  if (failures.length > 0) console.log(`\nFAILED: ${failures.join("; ")}`);
  console.log(`\n${result.passed} passed, ${result.failed} failed, ${result.skipped.length} skipped`);
  process.exit(failures.length > 0 ? 1 : 0);
} catch (error) {
  process.exit(report(error));
}
