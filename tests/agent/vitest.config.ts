import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    name: "agent",
    // Agents outside a namespace ask no gateway and no resolver of the machine the tests run on.
    env: { STREAMSWARM_NO_SELF_TEST: "1" },
    include: ["tests/agent/**/*.test.ts"],
    environment: "node",
    testTimeout: 20_000,
  },
});
