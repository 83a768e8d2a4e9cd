// `npm test`: format and lint, types, the build, then every test. Goes on after a failing stage, so that one run shows all there is.
import { join } from "node:path";
import { ensureBuilt } from "./builds.ts";
import { type Finished, runNode } from "./child.ts";
import { OpsError, report } from "./ops-error.ts";
import { ROOT } from "./paths.ts";
import { heading, seconds } from "./progress.ts";
import { listSkipped, runTests, type TestReport } from "./test-run.ts";

const TOOL = (path: string) => join(ROOT, "node_modules", path);
const isCi = process.env.CI === "true";

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

/** One stage of tests; a failure is kept and the next stage still runs. */
async function tests(title: string, suites: readonly string[]): Promise<TestReport> {
  const { good, report: result } = await runTests(title, suites, process.argv.slice(2));
  if (!good) failures.push(title);
  return result;
}

try {
  await stage("format and lint", () => runNode(TOOL("@biomejs/biome/bin/biome"), ["check", "--colors=off", "."]));
  await stage("types", () => runNode(TOOL("typescript/bin/tsc"), ["-b", "--pretty", "false"]));
  await stage("build", builds);
  const parts = await tests("tests of the parts", ["agent", "web", "worker"]);
  // Each alone and last: they measure delays, which other tests beside them would stretch.
  const whole = await tests("tests of the whole", ["e2e"]);
  const lab = await tests("tests in the network lab", ["lab"]);
  const result: TestReport = {
    passed: parts.passed + whole.passed + lab.passed,
    failed: parts.failed + whole.failed + lab.failed,
    skipped: [...parts.skipped, ...whole.skipped, ...lab.skipped],
  };
  if (result.passed === 0) failures.push("tests (none ran)");
  listSkipped(result);
  if (isCi && result.skipped.length > 0) failures.push("a test did not run, which CI=true forbids");
  if (failures.length > 0) console.log(`\nFAILED: ${failures.join("; ")}`);
  console.log(`\n${result.passed} passed, ${result.failed} failed, ${result.skipped.length} skipped`);
  process.exit(failures.length > 0 ? 1 : 0);
} catch (error) {
  process.exit(report(error));
}
