// Bundles the agent into one file that runs from an empty directory: `npx vite build -c agent/vite.config.ts`.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));
const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };

const STATIC_IMPORT = /^import (?:(\w[\w$]*)(?:, )?)?(?:\{ ([^}]*) \}|\* as (\w[\w$]*))? ?from "(node:[\w/]+)";$/gm;
const DYNAMIC_IMPORT = /\bimport\("(node:[\w/]+)"\)/g;

/**
 * Takes Node's modules as they are. Their ES form reads every export at once, and reading all of node:http loads fetch and
 * WebSocket with it, which this program does not use: 7 MB of memory.
 */
function plainBuiltins(): Plugin {
  const of = (name: string) => `process.getBuiltinModule(${JSON.stringify(name)})`;
  return {
    name: "plain-builtins",
    renderChunk(code) {
      return code
        .replace(STATIC_IMPORT, (_, whole?: string, names?: string, space?: string, module = "") => {
          const parts = [whole, space].flatMap((name) => (name === undefined ? [] : [`const ${name} = ${of(module)};`]));
          if (names !== undefined) parts.push(`const { ${names.replaceAll(" as ", ": ")} } = ${of(module)};`);
          return parts.join(" ");
        })
        .replace(DYNAMIC_IMPORT, (_, module: string) => `Promise.resolve(${of(module)})`);
    },
  };
}

/** Writes characters beyond ASCII as escapes: with a single one among them, V8 keeps the whole source in two bytes a character. */
function asciiOnly(): Plugin {
  return {
    name: "ascii-only",
    generateBundle(_, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type !== "chunk") continue;
        file.code = file.code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
      }
    },
  };
}

export default defineConfig({
  root,
  define: { STREAMSWARM_VERSION: JSON.stringify(version) },
  ssr: { noExternal: true, target: "node" },
  plugins: [plainBuiltins(), asciiOnly()],
  build: {
    ssr: "agent/cli.ts",
    target: "node24",
    outDir: "dist/agent",
    emptyOutDir: true,
    rolldownOptions: {
      output: {
        entryFileNames: "streamswarm-agent.mjs",
        format: "es",
        codeSplitting: false,
        // V8 keeps the source as long as the process lives. Names stay, for the sake of whoever reads a stack.
        minify: { compress: true, mangle: { keepNames: true }, codegen: { removeWhitespace: true } },
      },
    },
  },
});
