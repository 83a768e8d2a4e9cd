import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { name: "web", root: import.meta.dirname, include: ["**/*.test.ts"], environment: "node", env: { TZ: "Europe/Paris" } },
});
