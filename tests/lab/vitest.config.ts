// The network lab: our measurements against counted truth, in network namespaces. One file at a time, since they share the lab.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    name: "lab",
    include: ["tests/lab/**/*.test.ts"],
    globalSetup: ["tests/lab/global-setup.ts"],
    pool: "forks",
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 900_000,
    hookTimeout: 120_000,
  },
});
