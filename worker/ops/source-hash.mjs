// Says whether something built is still what its sources say: a hash over paths and contents, kept in a stamp file.
// Plain JavaScript: the bootstrap needs it before anything is installed.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const SHARED = ["package.json", "package-lock.json", "tsconfig.base.json", "worker/contract"];

/** What `npm start` builds: sources, the stamp, and a file that only a finished build leaves. */
export const BUILDS = {
  web: { sources: ["web", ...SHARED], config: "web/vite.config.ts", output: "dist/web/index.html", stamp: "dist/.stamps/web" },
  agent: {
    sources: ["agent", ...SHARED],
    config: "agent/vite.config.ts",
    output: "dist/agent/streamswarm-agent.mjs",
    stamp: "dist/.stamps/agent",
  },
};

export function hashOf(root, sources) {
  const hash = createHash("sha256");
  for (const source of sources) {
    for (const file of filesOf(join(root, source))) {
      hash.update(`${relative(root, file)}\0`);
      hash.update(readFileSync(file));
      hash.update("\0");
    }
  }
  return hash.digest("hex");
}

export function readStamp(path) {
  return existsSync(path) ? readFileSync(path, "utf8").trim() : null;
}

export function writeStamp(path, value) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${value}\n`);
}

export function isFresh(root, build) {
  return existsSync(join(root, build.output)) && readStamp(join(root, build.stamp)) === hashOf(root, build.sources);
}

function filesOf(path) {
  if (!existsSync(path)) return [];
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}
