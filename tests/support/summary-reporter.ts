// Counts every test case, whatever way it did not pass, and writes the count where `npm test` reads it.
import { writeFileSync } from "node:fs";
import type { Reporter, SerializedError, TestCase, TestModule, TestSuite } from "vitest/node";

interface Skipped {
  name: string;
  reason: string;
}

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const path = process.env.STREAMSWARM_TEST_REPORT;
    if (!path) return;
    let passed = 0;
    // An error outside any test, a file that does not load and a failing hook each count as a failed test.
    let failed = errors.length;
    const skipped: Skipped[] = [];
    for (const module of modules) {
      failed += module.errors().length;
      for (const suite of module.children.allSuites()) failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed += 1;
        else if (state === "failed") failed += 1;
        else skipped.push({ name: nameOf(test, module), reason: reasonOf(test) });
      }
    }
    writeFileSync(path, JSON.stringify({ passed, failed, skipped }));
  }
}

function nameOf(test: TestCase, module: TestModule): string {
  return `${module.project.name} › ${test.fullName}`;
}

/** What the test said itself, else its suite's options, else that it never got its turn. */
function reasonOf(test: TestCase): string {
  const result = test.result();
  if (result.state === "skipped" && result.note) return result.note;
  if (test.options.mode === "todo") return "it is not written yet";
  if (test.options.mode === "skip") return "it is marked as skipped";
  return hasFailed(test.parent) ? "what it builds on failed" : "the run ended before its turn";
}

function hasFailed(parent: TestSuite | TestModule): boolean {
  return parent.state() === "failed";
}
