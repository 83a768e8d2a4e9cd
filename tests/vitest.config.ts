// Every suite in one run. The suites that measure delays of a whole system come last and alone.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("..", import.meta.url));
const SUITES = ["agent", "web", "worker", "ops", "e2e"];

export default defineConfig({
  root,
  test: {
    projects: SUITES.map((suite) => `tests/${suite}/vitest.config.ts`).filter((path) => existsSync(`${root}${path}`)),
    reporters: ["default", new URL("./support/summary-reporter.ts", import.meta.url).pathname],
  },
});
