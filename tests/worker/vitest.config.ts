import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

const root = new URL("../..", import.meta.url).pathname;

export default defineConfig(async () => ({
  root,
  plugins: [
    cloudflareTest({
      wrangler: { configPath: `${root}wrangler.toml` },
      miniflare: {
        // The newest date that the test runtime's own workerd knows.
        compatibilityDate: "2026-11-02",
        bindings: {
          TEST_MIGRATIONS: await readD1Migrations(`${root}migrations`),
          SESSION_KEY: "a session key for tests only, 32 bytes",
          AGENT_KEY: "an agent key for tests only, 32 bytes",
          SETUP_CODE: "setup-code-for-tests",
          ENROLMENT_TOKEN: "sse_reusable-enrolment-token-for-tests",
          STREAMSWARM_LOCAL: "1",
          LOCAL_AGENT_TOKEN: "sse_local-agent-token-for-tests",
          STARTER_DESTINATION: "127.0.0.1",
        },
      },
    }),
  ],
  test: {
    name: "worker",
    include: ["tests/worker/**/*.test.ts"],
    globalSetup: ["tests/worker/targets.ts"],
    setupFiles: ["tests/worker/setup.ts"],
  },
}));
