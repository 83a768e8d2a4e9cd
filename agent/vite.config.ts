// Bundles the agent into one file that runs from an empty directory: `npx vite build -c agent/vite.config.ts`.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));
const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };

export default defineConfig({
  root,
  define: { STREAMSWARM_VERSION: JSON.stringify(version) },
  ssr: { noExternal: true, target: "node" },
  build: {
    ssr: "agent/cli.ts",
    target: "node24",
    outDir: "dist/agent",
    emptyOutDir: true,
    minify: false,
    rolldownOptions: {
      output: { entryFileNames: "streamswarm-agent.mjs", format: "es", codeSplitting: false },
    },
  },
});
