// One run of vitest over some of the suites, and what it says of the tests that did not run.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { runNode } from "./child.ts";
import { OpsError } from "./ops-error.ts";
import { ROOT } from "./paths.ts";
import { heading } from "./progress.ts";

const REPORT = join(ROOT, "node_modules", ".cache/test-report.json");
const VITEST = join(ROOT, "node_modules", "vitest/vitest.mjs");

const reportSchema = z.object({
  passed: z.number(),
  failed: z.number(),
  skipped: z.array(z.object({ name: z.string(), reason: z.string() })),
});
export type TestReport = z.infer<typeof reportSchema>;

export interface TestRun {
  good: boolean;
  report: TestReport;
}

/** Runs the suites; names of files or parts of them narrow the run further. */
export async function runTests(
  title: string,
  suites: readonly string[],
  named: readonly string[],
  env: Record<string, string> = {},
): Promise<TestRun> {
  heading(title);
  rmSync(REPORT, { force: true });
  const projects = suites.flatMap((suite) => ["--project", suite]);
  const narrowed = named.length > 0 ? ["--passWithNoTests", ...named] : [];
  const { code } = await runNode(VITEST, ["run", "-c", "tests/vitest.config.ts", ...projects, ...narrowed], {
    env: { ...process.env, STREAMSWARM_TEST_REPORT: REPORT, ...env },
    live: true,
  });
  if (!existsSync(REPORT))
    throw new OpsError(`The ${title} ended with code ${code} before they could report; their message is above.`);
  const report = reportSchema.parse(JSON.parse(readFileSync(REPORT, "utf8")));
  return { good: code === 0 && report.failed === 0, report };
}

export function listSkipped({ skipped }: TestReport): void {
  if (skipped.length === 0) return;
  heading(`not run here: ${skipped.length}`);
  for (const { name, reason } of skipped) console.log(`  ${name}\n      ${reason}`);
}
