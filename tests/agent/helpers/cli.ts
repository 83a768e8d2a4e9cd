// Runs the real command line as a process of its own.
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

export const CLI = fileURLToPath(new URL("../../../agent/cli.ts", import.meta.url));

/** What `probe --json` prints, as far as tests read it. */
export interface CliResult {
  status: string;
  address: string | null;
  started_at: string;
  duration_ms: number;
  error: { code: string; source: string; message: string } | null;
  metrics: Record<string, number | string | boolean | null>;
  reasons: Record<string, string>;
  detail: Record<string, unknown>;
  flags: string[];
}

/** Whether a process still runs. A killed one may stay as a zombie where nobody collects orphans; it runs no more. */
export function isRunning(pid: string | number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
  took_ms: number;
}

/** `node agent/cli.ts …args`, with further environment. */
export function cli(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return run(process.execPath, [CLI, ...args], env);
}

export function run(file: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const start = performance.now();
  return new Promise((resolve) => {
    const child = execFile(
      file,
      [...args],
      { env: { ...process.env, NODE_NO_WARNINGS: "1", ...env } },
      (_error, stdout, stderr) => {
        resolve({ code: child.exitCode, stdout, stderr, took_ms: performance.now() - start });
      },
    );
  });
}

const base = mkdtempSync(join(tmpdir(), "streamswarm-agent-test-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** A new directory, gone again after the tests of the file that asked for it. */
export const scratch = (): string => mkdtempSync(join(base, "t-"));

/** A directory with shell scripts in place of measuring tools. */
export function fakeTools(scripts: Record<string, string>): string {
  const dir = join(scratch(), "tools");
  mkdirSync(dir);
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(dir, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(dir, name), 0o755);
  }
  return dir;
}
