// Every suite; `npm test` runs e2e and the lab after the others and alone, since they measure delays.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("..", import.meta.url));
const SUITES = ["agent", "web", "worker", "e2e", "lab"];

export default defineConfig({
  root,
  test: {
    projects: SUITES.map((suite) => `tests/${suite}/vitest.config.ts`).filter((path) => existsSync(`${root}${path}`)),
    reporters: ["default", new URL("./support/summary-reporter.ts", import.meta.url).pathname],
  },
});
