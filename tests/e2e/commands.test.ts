// The other commands of a clone, and the parts of `npm start` that one machine cannot show from every side.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseLinuxRoutes } from "../../worker/ops/gateway.ts";
import { withLock } from "../../worker/ops/lock.mjs";
import { quoted } from "../../worker/ops/secrets.ts";
import { Instance, newStateDir } from "../support/instance.ts";
import { Output } from "../support/output.ts";

const ROOT = join(import.meta.dirname, "../..");
let dir: string;

beforeEach(() => {
  dir = newStateDir();
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Runs a command as npm does, and keeps stdout apart from what is said beside it. */
async function command(...args: string[]): Promise<{ code: number | null; stdout: string; all: string }> {
  const child = spawn(process.execPath, [join(ROOT, "worker/ops/bootstrap.mjs"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, STREAMSWARM_STATE: dir },
  });
  let stdout = "";
  child.stdout.on("data", (chunk: Buffer | string) => {
    stdout += chunk.toString();
  });
  const output = new Output(child);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, stdout, all: output.text };
}

describe("npm run agent", () => {
  test("passes arguments, stdout and exit code through untouched", async () => {
    const good = await command("agent", "probe", "ping", "127.0.0.1", "--count", "1", "--json");
    expect(good.code).toBe(0);
    expect(JSON.parse(good.stdout)).toMatchObject({ type: "ping", status: "ok" });
    const bad = await command("agent", "probe", "ping", "127.0.0.1", "--count", "none");
    expect(bad.code).toBe(2);
    expect(bad.all).toContain("--count");
  });
});

describe("npm run reset", () => {
  test("asks where somebody can answer, deletes with --yes, and only what is ours", async () => {
    mkdirSync(join(dir, "edge"));
    for (const file of ["secrets.json", "edge.log", "notes-of-the-owner.txt"]) writeFileSync(join(dir, file), "x");
    const asked = await command("reset");
    expect(asked.code).toBe(1);
    expect(asked.all).toContain("npm run reset -- --yes");
    expect(existsSync(join(dir, "secrets.json"))).toBe(true);
    expect((await command("reset", "--yes")).code).toBe(0);
    expect(["edge", "secrets.json", "edge.log"].filter((name) => existsSync(join(dir, name)))).toEqual([]);
    expect(existsSync(join(dir, "notes-of-the-owner.txt"))).toBe(true);
  });

  test("refuses while StreamSwarm runs on that state", async () => {
    const instance = await Instance.start({ state: dir, env: { STREAMSWARM_LOCAL_AGENT: "0" } });
    try {
      const refused = await command("reset", "--yes");
      expect(refused.code).toBe(1);
      expect(refused.all).toContain(`pid ${instance.pid}`);
    } finally {
      await instance.dispose();
    }
  });
});

test("an unknown command names the known ones", async () => {
  const { code, all } = await command("strat");
  expect(code).toBe(2);
  expect(all).toMatch(/no command "strat".*start, test, lab, bench/);
});

describe("lock", () => {
  const lock = () => join(dir, "a.lock");

  test("lets one in at a time", async () => {
    let inside = 0;
    let most = 0;
    const visit = () =>
      withLock(
        lock(),
        () => {},
        async () => {
          most = Math.max(most, ++inside);
          await new Promise(setImmediate);
          inside -= 1;
        },
      );
    await Promise.all([visit(), visit(), visit()]);
    expect(most).toBe(1);
    expect(existsSync(lock())).toBe(false);
  });

  test("is taken over from a process that is gone, and let go when the work fails", async () => {
    mkdirSync(lock());
    const gone = spawn(process.execPath, ["-e", ""]);
    await new Promise((resolve) => gone.once("exit", resolve));
    writeFileSync(join(lock(), "pid"), String(gone.pid));
    const failing = withLock(
      lock(),
      () => {},
      () => Promise.reject(new Error("work failed")),
    );
    await expect(failing).rejects.toThrow("work failed");
    expect(existsSync(lock())).toBe(false);
  });
});

describe("default gateway", () => {
  const header = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT";
  const route = (destination: string, gateway: string, metric: number) =>
    `eth0\t${destination}\t${gateway}\t0003\t0\t0\t${metric}\t00000000\t0\t0\t0`;

  test.each([
    ["the only default route", [route("00000000", "010200C0", 0), route("000200C0", "00000000", 0)], "192.0.2.1"],
    ["the lower metric", [route("00000000", "010200C0", 600), route("00000000", "FE6433C6", 100)], "198.51.100.254"],
    ["none without a default route", [route("000200C0", "00000000", 0)], null],
    ["none of a point-to-point link", [route("00000000", "00000000", 0)], null],
  ])("takes %s", (_, lines, wanted) => {
    expect(parseLinuxRoutes([header, ...lines, ""].join("\n"))).toBe(wanted);
  });
});

describe("a secret in the file for the Worker", () => {
  test.each([
    ["plain", "'plain'"],
    ["it's", "`it's`"],
    ["a$b", "'a\\$b'"],
    ["'`", '"\'`"'],
  ])("%s is written as %s", (value, wanted) => expect(quoted("X", value)).toBe(wanted));

  test.each(["two\nlines", "'`\"", "'`\\n"])("%j is refused rather than changed", (value) => {
    expect(() => quoted("X", value)).toThrow(/X holds/);
  });
});
