// First step of every command of a clone: `node worker/ops/bootstrap.mjs <command> [args]`. Brings Node 24 and the packages when
// they are missing, then runs the command with them. Needs Node ≥ 18 and npm, no package. Writes to stderr only, because
// stdout belongs to the command.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { withLock } from "./lock.mjs";
import { findNode, NODE_MAJOR } from "./node-24.mjs";
import { npm } from "./npm.mjs";
import { BUILDS, isFresh } from "./source-hash.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
/** Where a command lives when it is not worker/ops/<command>.ts. */
const ELSEWHERE = { bench: "tests/bench/run.ts" };
const COMMANDS = ["start", "test", "lab", "bench", "agent", "reset", "build"];
const PARENT_CHECK_MS = 1000;

const say = (line) => process.stderr.write(`streamswarm: ${line}\n`);
const installLock = (work) =>
  withLock(join(ROOT, ".node", "install.lock"), (pid) => say(`another command (pid ${pid}) is installing; waiting for it`), work);

async function main() {
  const [command, ...args] = process.argv.slice(2);
  if (!COMMANDS.includes(command)) {
    say(`${command ? `there is no command "${command}"` : "no command given"}; use one of: ${COMMANDS.join(", ")}.`);
    return process.exit(2);
  }
  const node = await findNode(ROOT, say, installLock);
  if (!packagesAreFresh()) await installLock(() => installPackages(node));
  run(node, entryOf(command), args, command);
}

/** What to give to Node: the agent's CLI runs as the built file when that is fresh, which starts in half the time. */
function entryOf(command) {
  if (command !== "agent") return [script(command)];
  return isFresh(ROOT, BUILDS.agent) ? [join(ROOT, BUILDS.agent.output)] : ["--import", tsx(), join(ROOT, "agent", "cli.ts")];
}

/** By path, so that the caller's working directory does not matter. */
function tsx() {
  return pathToFileURL(createRequire(join(ROOT, "package.json")).resolve("tsx")).href;
}

function script(command) {
  const path = ELSEWHERE[command] ?? `worker/ops/${command}.ts`;
  if (existsSync(join(ROOT, path))) return join(ROOT, path);
  throw new Error(`The command "${command}" has no script ${path} in this clone. Is the checkout complete? See: git status`);
}

function stampPath() {
  return join(ROOT, "node_modules", ".streamswarm-stamp");
}

function wantedStamp() {
  const lock = createHash("sha256")
    .update(readFileSync(join(ROOT, "package-lock.json")))
    .digest("hex");
  return `${lock} node${NODE_MAJOR} ${process.platform}-${process.arch}\n`;
}

function packagesAreFresh() {
  if (existsSync(stampPath())) return readFileSync(stampPath(), "utf8") === wantedStamp();
  if (!installedByHand()) return false;
  writeFileSync(stampPath(), wantedStamp());
  return true;
}

/** Whether somebody's own `npm ci` put in just what package-lock.json says. npm writes its own record last, so it is whole. */
function installedByHand() {
  const record = join(ROOT, "node_modules", ".package-lock.json");
  if (!existsSync(record)) return false;
  const installed = JSON.parse(readFileSync(record, "utf8")).packages;
  const wanted = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")).packages;
  return Object.entries(wanted).every(([path, { version, optional, devOptional }]) => {
    if (path === "") return true;
    // Packages for other platforms are in the lock file only.
    return installed[path] ? installed[path].version === version : optional || devOptional;
  });
}

async function installPackages(node) {
  if (packagesAreFresh()) return; // another command did it while this one waited
  const started = Date.now();
  say("installing packages (npm ci)");
  const code = await npm(["ci", "--no-audit", "--no-fund"], { cwd: ROOT, node, say, what: "packages" });
  if (code !== 0) {
    throw new Error(
      `npm ci ended with code ${code}; its message is above. Check that npm reaches its registry (npm ping) and run this again.`,
    );
  }
  writeFileSync(stampPath(), wantedStamp());
  say(`packages installed (${((Date.now() - started) / 1000).toFixed(1)} s)`);
}

/** Runs the command in this one's place: same terminal, signals passed on, same exit code. */
function run(node, entry, args, command) {
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ""}` };
  // The pipe tells a server that we are gone, should we be killed; the agent's CLI is left exactly as a user would run it.
  const stdio = command === "agent" ? "inherit" : ["inherit", "inherit", "inherit", "ipc"];
  const child = spawn(node, [...entry, ...args], { env, stdio, ...(command === "agent" ? {} : { cwd: ROOT }) });
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  endWithNpm(() => child.kill("SIGTERM"));
  child.on("error", (error) => fail(new Error(`Node could not be started (${node}): ${error.message}`)));
  child.on("exit", (code, signal) => process.exit(signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? 1)));
}

/** A killed `npm start` passes no signal on; its disappearance is noticed by an ancestor becoming another process. */
function endWithNpm(end) {
  if (!process.env.npm_lifecycle_event || process.platform === "win32") return;
  const before = ancestors();
  const timer = setInterval(() => {
    if (ancestors() === before) return;
    clearInterval(timer);
    end();
  }, PARENT_CHECK_MS);
  timer.unref();
}

/** Our parent, and its parent where that is cheap to know: npm may run a shell that runs us. */
function ancestors() {
  const parent = process.ppid;
  if (process.platform !== "linux") return String(parent);
  try {
    const stat = readFileSync(`/proc/${parent}/stat`, "utf8");
    return `${parent} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]}`;
  } catch {
    return `${parent} gone`;
  }
}

function fail(error) {
  say(error.message);
  process.exit(1);
}

main().catch(fail);
