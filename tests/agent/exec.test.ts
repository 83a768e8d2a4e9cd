// Tools as real processes: their output, their end, and that nothing of them stays.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findTool, runningTools, runTool, type ToolControl } from "../../agent/exec.ts";
import { fakeTools, isRunning, scratch } from "./helpers/cli.ts";

const tool = (script: string): string => join(fakeTools({ tool: script }), "tool");

const pidIn = (path: string): number => Number(readFileSync(path, "utf8"));

async function timed<T>(work: Promise<T>): Promise<{ value: T; ms: number }> {
  const start = performance.now();
  const value = await work;
  return { value, ms: performance.now() - start };
}

describe.skipIf(process.platform === "win32")("a tool", () => {
  test("gives its lines as they come, whole, without the carriage return", async () => {
    const lines: string[] = [];
    const file = tool(`printf 'one\\r\\ntw'; printf 'o\\nthree'`);
    const run = await runTool({ file, args: [], timeout_ms: 5000, onLine: (line) => lines.push(line) });
    expect(run.code).toBe(0);
    expect(lines).toEqual(["one", "two"]);
    expect(run.stdout).toBe("one\r\ntwo\nthree");
  });

  test.each([
    ["a word", "exec yes"],
    ["what is no text", "exec cat /dev/urandom"],
    ["complaints", "exec yes >&2"],
  ])("that prints %s without end is killed at the limit, long before its time", async (_what, script) => {
    let lines = 0;
    const order = { file: tool(script), args: [], timeout_ms: 30_000, onLine: () => (lines += 1) };
    const { value, ms } = await timed(runTool(order));
    expect(value).toMatchObject({ truncated: true, timedOut: false, code: null });
    expect(value.stdout.length).toBeLessThanOrEqual(1024 * 1024);
    expect(lines).toBeLessThan(1024 * 1024);
    expect(ms).toBeLessThan(5000);
    expect(runningTools()).toBe(0);
  });

  test("may be left unread for a while; nothing is lost, and its end ends the rest", async () => {
    const seen: number[] = [];
    const start = performance.now();
    const file = tool("for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done");
    const onLine = (line: string, { rest }: ToolControl) => {
      seen.push(performance.now() - start);
      if (line === "1") rest(350);
    };
    const run = await runTool({ file, args: [], timeout_ms: 5000, onLine });
    expect(run.stdout.split("\n").slice(0, -1)).toEqual(["1", "2", "3", "4", "5", "6"]);
    const [first = 0, second = 0, third = 0] = seen;
    expect(second - first).toBeGreaterThan(330);
    expect(third - second, "what came meanwhile comes at once").toBeLessThan(50);
    const rests = { file, args: [], timeout_ms: 5000, onLine: (_: string, { rest }: ToolControl) => rest(60_000) };
    const { value, ms } = await timed(runTool(rests));
    expect(value.stdout).toBe(run.stdout);
    expect(ms).toBeLessThan(3000);
  });

  test("that ignores being asked is killed after its grace", async () => {
    const file = tool("trap '' INT; while :; do sleep 0.05; done");
    const { value, ms } = await timed(runTool({ file, args: [], timeout_ms: 300, grace_ms: 200 }));
    expect(value).toMatchObject({ timedOut: true, code: null });
    expect(ms).toBeGreaterThan(450);
    expect(ms).toBeLessThan(1500);
    expect(runningTools()).toBe(0);
  });

  test("takes its helpers with it", async () => {
    const note = join(scratch(), "pid");
    const file = tool(`trap '' INT; (trap '' INT; sleep 60) & echo $! > ${note}; wait`);
    await runTool({ file, args: [], timeout_ms: 300, grace_ms: 100 });
    await expect.poll(() => isRunning(pidIn(note))).toBe(false);
  });

  test.skipIf(findTool("setsid") === undefined)("whose helper escaped with its output does not hold up the run", async () => {
    const note = join(scratch(), "pid");
    const file = tool(
      `setsid sh -c 'echo $$ > ${note}; exec sleep 60' & while [ ! -s ${note} ]; do sleep 0.01; done; echo said; wait`,
    );
    const { value, ms } = await timed(runTool({ file, args: [], timeout_ms: 400, grace_ms: 100 }));
    process.kill(pidIn(note), "SIGKILL");
    expect(value.stdout).toBe("said\n");
    expect(ms).toBeLessThan(2000);
  });

  test("is ended by its signal, and not even started after it", async () => {
    const stop = new AbortController();
    const file = tool("echo started; exec sleep 60");
    const run = runTool({ file, args: [], timeout_ms: 60_000, signal: stop.signal, onLine: () => stop.abort() });
    expect(await run).toMatchObject({ aborted: true, stdout: "started\n" });
    expect(await runTool({ file, args: [], timeout_ms: 1000, signal: stop.signal })).toMatchObject({ aborted: true, stdout: "" });
  });

  test("that is missing or may not run says so", async () => {
    const dir = scratch();
    expect(await runTool({ file: join(dir, "none"), args: [], timeout_ms: 1000 })).toMatchObject({
      startError: "ENOENT",
      code: null,
    });
    expect(await runTool({ file: dir, args: [], timeout_ms: 1000 })).toMatchObject({ startError: "EACCES", code: null });
  });

  test("sees the C locale, fixed directories, no input, and no shell reads its arguments", async () => {
    const file = tool(`echo "$LC_ALL|$LANG|$PWD|$HOME|$1"; cat`);
    const run = await runTool({ file, args: ["$(id); `id` | & > <"], timeout_ms: 5000 });
    expect(run.stdout).toBe("C|C|/||$(id); `id` | & > <\n");
  });
});
