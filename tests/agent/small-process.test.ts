// The agent's process stays small: what Node can only be told before it starts, and what it is told again where work runs hot.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { SMALL_NODE_OPTIONS } from "#contract/small-process";
import { AGENT_FILE } from "../../worker/ops/builds.ts";
import { newStateDir } from "../support/instance.ts";
import { Output } from "../support/output.ts";

const state = newStateDir();
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  rmSync(state, { recursive: true, force: true });
});

/** A server that never answers a registration. */
async function silentServer() {
  const server = createServer(() => {}).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.closeAllConnections() };
}

function agent(server: string, stdio: "pipe" | "ipc", env: NodeJS.ProcessEnv = {}): { child: ChildProcess; output: Output } {
  const child = spawn(process.execPath, [AGENT_FILE, "run", "--server", server, "--state", state], {
    stdio: ["ignore", "pipe", "pipe", ...(stdio === "ipc" ? (["ipc"] as const) : [])],
    env: { ...process.env, STREAMSWARM_TOKEN: "sse_0123456789", ...env },
  });
  children.push(child);
  return { child, output: new Output(child) };
}

const commandOf = ({ pid }: ChildProcess): string[] => readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
const variablesOf = ({ pid }: ChildProcess): string[] => readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");

describe.skipIf(process.platform !== "linux")("an agent's process (read from /proc)", () => {
  test("starts itself again with the options of a small one: same process, its own options and environment kept", async () => {
    const server = await silentServer();
    const { child, output } = agent(server.url, "pipe", { MALLOC_ARENA_MAX: "2", SOMETHING: "else" });
    await output.line(/"msg":"starting"/, 10_000);
    const command = commandOf(child);
    expect(command).toEqual(expect.arrayContaining([...SMALL_NODE_OPTIONS]));
    expect(command.slice(command.indexOf(AGENT_FILE), -1)).toEqual([AGENT_FILE, "run", "--server", server.url, "--state", state]);
    // Whoever set one of them meant it.
    expect(variablesOf(child)).toEqual(expect.arrayContaining(["MALLOC_ARENA_MAX=2", "SOMETHING=else"]));
    expect(output.text.match(/"msg":"starting"/g)).toHaveLength(1);
    server.close();
  });

  test("does not where a parent listens, whose pipe would be lost", async () => {
    const server = await silentServer();
    const { child, output } = agent(server.url, "ipc");
    await output.line(/"msg":"starting"/, 10_000);
    expect(commandOf(child)).not.toContain(SMALL_NODE_OPTIONS[0]);
    expect(child.connected).toBe(true);
    server.close();
  });
});

/** What a function that counts takes with the compilers off, on, and off again for the process; ms. */
const SPEEDS = `
const { fullSpeed, restartSmall } = await import(process.argv[1]);
restartSmall({ STREAMSWARM_RESTARTED: "1" });
let made = 0;
// Another source each time, since code that was compiled stays.
const make = () => new Function("n", "const made = " + made++ + "; let sum = 0; for (let i = 0; i < n; i++) sum += i & 7; return sum;");
const time = () => { const count = make(); const began = performance.now(); for (let i = 0; i < 20; i++) count(300000); return performance.now() - began; };
const slow = time();
const [one, two] = [fullSpeed(), fullSpeed()];
const fast = time();
one(); one();
const still = time();
two();
console.log(JSON.stringify({ slow, fast, still, again: time() }));
`;

test("what runs hot has the compilers, until the last of it is over", async () => {
  const file = new URL("../../agent/small-process.ts", import.meta.url).href;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", SPEEDS, file], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => (text += more));
  await once(child, "close");
  const { slow, fast, still, again } = JSON.parse(text) as Record<"slow" | "fast" | "still" | "again", number>;
  // Ten to thirty times as fast; a busy machine slows all of them.
  expect(slow / fast).toBeGreaterThan(2);
  expect(slow / still).toBeGreaterThan(2);
  expect(again / fast).toBeGreaterThan(2);
});
