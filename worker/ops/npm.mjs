// Runs npm with its output on stderr (stdout belongs to the command that was asked for) and says now and then that it still works.
import { spawn } from "node:child_process";
import { basename, delimiter, dirname } from "node:path";

const REMINDER_MS = 10_000;

/** Resolves with npm's exit code. `node` is the Node that npm and its install scripts run on. */
export function npm(args, { cwd, node, say, what }) {
  const { command, prefix, shell } = npmCommand(node);
  const env = {
    ...process.env,
    PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ""}`,
    NODE: node,
    npm_node_execpath: node,
  };
  const started = Date.now();
  const reminder = setInterval(() => {
    say(`still installing ${what} (${Math.round((Date.now() - started) / 1000)} s)`);
  }, REMINDER_MS);
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...prefix, ...args], { cwd, env, shell, stdio: ["ignore", 2, 2] });
    child.on("error", (error) =>
      reject(new Error(`npm could not be started: ${error.message}. Install npm (it comes with Node) and run this again.`)),
    );
    child.on("close", (code, signal) => (signal ? reject(new Error(`npm was ended by ${signal}.`)) : resolve(code)));
  }).finally(() => clearInterval(reminder));
}

/** The npm that runs us when there is one; otherwise the one on PATH, which on Windows is a script that needs a shell. */
function npmCommand(node) {
  const running = process.env.npm_execpath;
  if (running && basename(running) === "npm-cli.js") return { command: node, prefix: [running], shell: false };
  if (process.platform === "win32") return { command: "npm.cmd", prefix: [], shell: true };
  return { command: "npm", prefix: [], shell: false };
}
