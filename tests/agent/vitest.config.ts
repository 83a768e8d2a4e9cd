import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    name: "agent",
    include: ["tests/agent/**/*.test.ts"],
    environment: "node",
    testTimeout: 20_000,
  },
});
