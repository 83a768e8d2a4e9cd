// Runs measuring tools: a program from fixed directories, never a shell, killed with all its children when its time is over.
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { Recent } from "./recent.ts";

const POSIX_DIRS = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/run/current-system/sw/bin", "/run/wrappers/bin"];
const STDOUT_LIMIT = 1024 * 1024;
const STDERR_LIMIT = 64 * 1024;
const LINE_LIMIT = 16 * 1024;
const GRACE_MS = 1000;
/** A killed tool's output may stay open in a helper of it that escaped; it is not waited for longer than this. */
const LAST_OUTPUT_MS = 200;

function windowsDirs(): string[] {
  const system = join(process.env.SystemRoot ?? "C:\\Windows", "System32");
  return [system, join(system, "WindowsPowerShell", "v1.0")];
}

/**
 * Directories tools are taken from. They are fixed, so that a directory somebody else may write to cannot lend us a program;
 * STREAMSWARM_TOOL_PATH (separated like PATH) replaces them for unusual systems and for tests.
 */
export function toolDirs(): string[] {
  const replaced = process.env.STREAMSWARM_TOOL_PATH;
  if (replaced !== undefined) return replaced.split(delimiter).filter((dir) => dir !== "");
  if (process.platform === "win32") return windowsDirs();
  // A PATH without any of them says that the system's tools are not to be used.
  const path = process.env.PATH?.split(delimiter);
  return path === undefined || path.some((dir) => POSIX_DIRS.includes(dir)) ? POSIX_DIRS : [];
}

/** Absolute path of an installed tool, or undefined. */
export function findTool(name: string): string | undefined {
  const file = process.platform === "win32" ? `${name}.exe` : name;
  return toolDirs()
    .map((dir) => join(dir, file))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** What a reader of lines may do with the running tool. */
export interface ToolControl {
  /** Asks it for something. */
  signal(name: NodeJS.Signals): void;
  /** Leaves what it prints unread for so long, ms, or until it ends; a pipe holds 64 KiB, after which the tool would wait. */
  rest(ms: number): void;
}

export interface ToolOrder {
  /** Absolute path. */
  readonly file: string;
  readonly args: readonly string[];
  /** The tool is asked to end (SIGINT) after this long, and killed when it does not. */
  readonly timeout_ms: number;
  /** From being asked to being killed, milliseconds; default 1000. */
  readonly grace_ms?: number;
  readonly signal?: AbortSignal;
  /** Every whole line of standard output as it comes. */
  readonly onLine?: (line: string, control: ToolControl) => void;
  /** Standard output as it comes, for tools that write no text. */
  readonly onData?: (chunk: Buffer) => void;
  /** Every whole line of standard error as it comes. */
  readonly onErrorLine?: (line: string) => void;
}

export interface ToolRun {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit status; null when it was killed or never started. */
  readonly code: number | null;
  /** Why it did not start, as Node's error code (ENOENT, EACCES, EPERM, …). */
  readonly startError: string | null;
  readonly timedOut: boolean;
  readonly aborted: boolean;
  /** More was printed than is kept, for which the tool was killed. */
  readonly truncated: boolean;
}

const running = new Set<ChildProcess>();

/** How long starting a tool took, ms: this process stands still for that long. */
export const toolStarts = new Recent();

/** Process ids of the tools that run now. */
export const runningPids = (): number[] => [...running].flatMap(({ pid }) => pid ?? []);

/** How many tools run now. */
export const runningTools = (): number => running.size;

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    // A negative id is the whole process group, so that a tool's helpers die with it.
    if (process.platform === "win32") child.kill(signal);
    else process.kill(-child.pid, signal);
  } catch (error) {
    // Gone already; on macOS a group of which only a zombie is left answers EPERM.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}

/** Kills every tool still running; for the end of the process. */
export function killAllTools(): void {
  for (const child of running) killGroup(child, "SIGKILL");
}
process.on("exit", killAllTools);

function environment(): NodeJS.ProcessEnv {
  const fixed = { PATH: toolDirs().join(delimiter), LC_ALL: "C", LANG: "C", LANGUAGE: "" };
  // Windows programs do not start without SystemRoot.
  return process.platform === "win32" ? { ...fixed, SystemRoot: process.env.SystemRoot ?? "C:\\Windows" } : fixed;
}

/** Keeps at most `limit` bytes of a stream. */
function collector(limit: number): { push(chunk: Buffer): void; text(): string; full(): boolean } {
  const chunks: Buffer[] = [];
  let size = 0;
  let dropped = false;
  return {
    push(chunk) {
      const kept = chunk.subarray(0, limit - size);
      dropped ||= kept.length < chunk.length;
      if (kept.length > 0) chunks.push(kept);
      size += kept.length;
    },
    text: () => Buffer.concat(chunks).toString("utf8"),
    full: () => dropped,
  };
}

/** Cuts a stream into lines; of one longer than any tool prints, only the beginning is kept. */
function lineReader(onLine: (line: string) => void): (chunk: Buffer) => void {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  return (chunk) => {
    const lines = (rest + decoder.write(chunk)).split("\n");
    rest = (lines.pop() ?? "").slice(0, LINE_LIMIT);
    for (const line of lines) onLine(line.replace(/\r$/, ""));
  };
}

/** Runs a tool to its end or its deadline. Never rejects: what went wrong is in the answer. */
export function runTool(order: ToolOrder): Promise<ToolRun> {
  const out = collector(STDOUT_LIMIT);
  const err = collector(STDERR_LIMIT);
  let timedOut = false;
  let aborted = false;
  const answer = (code: number | null, startError: string | null): ToolRun => ({
    stdout: out.text(),
    stderr: err.text(),
    code,
    startError,
    timedOut,
    aborted,
    truncated: out.full() || err.full(),
  });
  if (order.signal?.aborted) {
    aborted = true;
    return Promise.resolve(answer(null, null));
  }
  return new Promise((resolve) => {
    const started = start(order);
    if ("startError" in started) return resolve(answer(null, started.startError));
    const { child } = started;
    running.add(child);
    let killTimer: NodeJS.Timeout | undefined;
    const kill = () => {
      clearTimeout(killTimer);
      killGroup(child, "SIGKILL");
      killTimer = setTimeout(() => finish(null, null), LAST_OUTPUT_MS);
    };
    const end = () => {
      killGroup(child, "SIGINT");
      killTimer ??= setTimeout(kill, order.grace_ms ?? GRACE_MS);
    };
    const timer = setTimeout(() => {
      timedOut = true;
      end();
    }, order.timeout_ms);
    const abort = () => {
      aborted = true;
      end();
    };
    order.signal?.addEventListener("abort", abort, { once: true });
    const finish = (code: number | null, startError: string | null) => {
      child.stdout?.destroy();
      child.stderr?.destroy();
      clearTimeout(timer);
      clearTimeout(killTimer);
      clearTimeout(restTimer);
      order.signal?.removeEventListener("abort", abort);
      running.delete(child);
      resolve(answer(code, startError));
    };
    const ask = (name: NodeJS.Signals) => {
      if (child.exitCode === null && child.signalCode === null) killGroup(child, name);
    };
    let restTimer: NodeJS.Timeout | undefined;
    const wake = () => {
      if (restTimer === undefined) return;
      clearTimeout(restTimer);
      restTimer = undefined;
      pipeOf(child)?.readStart();
    };
    const rest = (ms: number) => {
      const isOver = child.exitCode !== null || child.signalCode !== null;
      if (ms <= 0 || restTimer !== undefined || isOver) return;
      restTimer = setTimeout(wake, ms);
      // After the stream has asked for its next chunk, which it does in this turn.
      setImmediate(() => {
        if (restTimer !== undefined) pipeOf(child)?.readStop();
      });
    };
    // The end of its output is only seen by who reads.
    child.once("exit", wake);
    const control: ToolControl = { signal: ask, rest };
    const lines = order.onLine === undefined ? undefined : lineReader((line) => order.onLine?.(line, control));
    // What prints more than any tool has to say is no measurement: reading on would only cost this host.
    child.stdout?.on("data", (chunk: Buffer) => {
      if (out.full()) return;
      out.push(chunk);
      lines?.(chunk);
      order.onData?.(chunk);
      if (out.full()) kill();
    });
    const errorLines = order.onErrorLine === undefined ? undefined : lineReader(order.onErrorLine);
    child.stderr?.on("data", (chunk: Buffer) => {
      if (err.full()) return;
      err.push(chunk);
      errorLines?.(chunk);
      if (err.full()) kill();
    });
    child.on("error", (error: NodeJS.ErrnoException) => finish(null, error.code ?? "UNKNOWN"));
    child.once("close", (code) => finish(code, null));
  });
}

interface Pipe {
  readStart(): number;
  readStop(): number;
}

/**
 * The pipe under a tool's output. A paused stream reads on until its buffer is full, so that each line still wakes this process; only
 * the pipe itself can be left alone. Undefined where Node has none of that name: then nothing rests.
 */
function pipeOf({ stdout }: ChildProcess): Pipe | undefined {
  const { _handle: pipe } = (stdout ?? {}) as { _handle?: Partial<Pipe> | null };
  return typeof pipe?.readStart === "function" && typeof pipe.readStop === "function" ? (pipe as Pipe) : undefined;
}

/** Starts the child, or the reason why spawn itself threw (as it does for EPERM and EAGAIN on some systems). */
function start(order: ToolOrder): { child: ChildProcess } | { startError: string } {
  const begun = performance.now();
  try {
    const child = spawn(order.file, [...order.args], {
      cwd: process.platform === "win32" ? undefined : "/",
      env: environment(),
      stdio: ["ignore", "pipe", "pipe"],
      detached: process.platform !== "win32",
      windowsHide: true,
      shell: false,
    });
    toolStarts.push(performance.now() - begun);
    return { child };
  } catch (error) {
    return { startError: (error as NodeJS.ErrnoException).code ?? "UNKNOWN" };
  }
}
