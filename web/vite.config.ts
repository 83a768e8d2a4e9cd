// Builds the dashboard into dist/web, with the response headers of its files beside them.
import { fileURLToPath } from "node:url";
import { preact } from "@preact/preset-vite";
import { defineConfig, type Plugin } from "vite";
import { SECURITY_HEADERS } from "#contract/security";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Static files are served without waking the Worker, so their headers travel in Cloudflare's `_headers` file. */
function headersFile(): Plugin {
  const policy = Object.entries(SECURITY_HEADERS).map(([name, value]) => `  ${name}: ${value}`);
  const source = ["/*", ...policy, "/assets/*", "  Cache-Control: public, max-age=31536000, immutable", ""].join("\n");
  return {
    name: "streamswarm-headers",
    apply: "build",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "_headers", source });
    },
  };
}

export default defineConfig({
  root: here("."),
  cacheDir: here("../node_modules/.cache/vite"),
  plugins: [preact(), headersFile()],
  build: {
    outDir: here("../dist/web"),
    emptyOutDir: true,
    target: "es2023",
    // Every browser the target names preloads modules itself; the polyfill would only add bytes.
    modulePreload: { polyfill: false },
  },
});
