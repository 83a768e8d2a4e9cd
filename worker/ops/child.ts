// Runs a program to its end, keeps what it printed, and says so when it fails.
import { spawn } from "node:child_process";
import { ROOT } from "./paths.ts";

export interface Finished {
  code: number;
  output: string;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  /** Show the output while it comes instead of only keeping it. */
  live?: boolean;
}

/** Runs one of this project's tools on this very Node. */
export function runNode(script: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const { promise, resolve, reject } = Promise.withResolvers<Finished>();
  const child = spawn(process.execPath, [script, ...args], {
    cwd: ROOT,
    env: options.env ?? process.env,
    stdio: options.live ? ["ignore", "inherit", "inherit"] : ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const keep = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  // A command that is ended takes its tools along.
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  child.on("error", reject);
  child.on("close", (code) => {
    process.off("exit", end);
    resolve({ code: code ?? 1, output });
  });
  return promise;
}

/** The last lines of a text, indented, for an error message. */
export function tail(text: string, lines = 25): string {
  const all = text.trimEnd().split("\n");
  return all
    .slice(-lines)
    .map((line) => `    ${line}`)
    .join("\n");
}
