// bandwidth by the real command line against servers on loopback that are as fast as a line would be. The tests of this file run
// side by side: a run takes seconds of waiting and little else.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { metricsOf } from "#contract/metrics";
import type { Measurement } from "#contract/result";
import { checkTest, testType } from "#contract/test-types/index";
import { readParameters } from "../../agent/cli-probe.ts";
import { findTool } from "../../agent/exec.ts";
import { Reflector } from "../../agent/reflector/index.ts";
import { newSecret, secretText } from "../../agent/stamp/key.ts";
import { CLI, type CliResult, cli, fakeTools, scratch } from "./helpers/cli.ts";
import { calm } from "./helpers/flags.ts";
import { bareServer, type LineServer, lineServer } from "./helpers/speed-server.ts";

// Each waits for seconds beside others.
vi.setConfig({ testTimeout: 60_000 });

const hasSs = process.platform === "linux" && findTool("ss") !== undefined;
const MBPS = 16;
const QUICK = ["--duration", "2.5", "--warm-up", "0.5", "--streams", "4", "--timeout", "1.5", "--skip-above-mbps", "0"];

interface Run extends CliResult {
  code: number | null;
  stderr: string;
  took_ms: number;
}

/** One run of the command line with a state directory of its own. */
async function bandwidth(destination: string, args: readonly string[] = [], env: Record<string, string> = {}): Promise<Run> {
  const state = env.STREAMSWARM_STATE ?? scratch();
  const ended = await cli(["probe", "bandwidth", destination, ...QUICK, ...args, "--json"], { STREAMSWARM_STATE: state, ...env });
  return { ...(JSON.parse(ended.stdout) as CliResult), code: ended.code, stderr: ended.stderr, took_ms: ended.took_ms };
}

const everyMetricExplained = ({ metrics, reasons }: Pick<Measurement, "metrics" | "reasons">) => {
  expect(new Set(Object.keys(metrics))).toEqual(new Set(metricsOf("bandwidth")));
  for (const name of metricsOf("bandwidth")) {
    if (metrics[name] === null) expect(reasons[name], name).toBeTypeOf("string");
    else expect(reasons[name], name).toBeUndefined();
  }
};

/** Within so many percent. */
const near = (value: unknown, truth: number, percent: number) => {
  expect(value).toBeTypeOf("number");
  expect(Math.abs(Number(value) - truth), `${value} is not ${truth} ± ${percent} %`).toBeLessThan((truth * percent) / 100);
};

/** An option's name as its value is known by. */
const camel = (option: string): string => option.slice(2).replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

interface PhaseDetail {
  direction: string;
  connections: number;
  ended: string;
  counted_by: string;
  slices_mbps: number[];
  loaded_rtt_ms?: (number | null)[];
  rpm_of?: string[];
}
const phases = (result: CliResult): PhaseDetail[] => result.detail.phases as PhaseDetail[];

describe.concurrent("a line of 16 Mbit/s", () => {
  test("both ways, with many connections and with one, latency under load, steady before its time", async () => {
    const line = await lineServer({ mbps: MBPS });
    const result = await bandwidth(`127.0.0.1:${line.port}`, ["--duration", "3"]);
    expect(calm(result)).toMatchObject({ code: 0, status: "ok", error: null, stderr: "", address: "127.0.0.1", flags: [] });
    for (const name of ["bw_down_mbps", "bw_up_mbps", "bw_single_down_mbps", "bw_single_up_mbps"])
      near(result.metrics[name], MBPS, 6);
    expect(result.metrics).toMatchObject({ bw_streams: 4, bw_early_stop: true, bloat_grade: expect.stringMatching(/^[AB]/) });
    expect(Number(result.metrics.rtt_idle_ms)).toBeLessThan(5);
    expect(Number(result.metrics.rpm_down)).toBeGreaterThan(100);
    expect(phases(result).map(({ direction, connections, counted_by }) => [direction, connections, counted_by])).toEqual([
      ["down", 4, "read"],
      ["down", 1, "read"],
      ["up", 4, "server"],
      ["up", 1, "server"],
    ]);
    expect(phases(result)[0]?.rpm_of).toEqual(["tcp", "http"]);
    expect(result.duration_ms).toBeLessThan(14_000);
    // All that moved is told, whichever way.
    expect(Number(result.metrics.bw_bytes)).toBeGreaterThan(0.9 * (line.sent + line.received));
    expect(JSON.stringify(result.detail).length).toBeLessThan(20_000);
    everyMetricExplained(result);
  });

  test.skipIf(!hasSs)(
    "an upload that is only answered at its end is counted by what the kernel saw acknowledged (needs ss)",
    async () => {
      const line = await lineServer({ mbps: MBPS, counts: false });
      const result = await bandwidth(`http://127.0.0.1:${line.port}/`, ["--direction", "up", "--no-single", "--duration", "4"]);
      expect(result).toMatchObject({ status: "ok", metrics: { bw_tcp_cc: expect.any(String), bw_retrans: expect.any(Number) } });
      expect(phases(result)[0]?.counted_by).toBe("kernel");
      // What was written but not taken yet, up to megabytes, does not count.
      near(result.metrics.bw_up_mbps, MBPS, 12);
      expect(result.metrics.bw_down_mbps).toBeNull();
      expect(result.reasons.bw_down_mbps).toBe("not_applicable");
      everyMetricExplained(result);
    },
  );

  test("without ss an upload is counted by its answers, and what needs the kernel says so", async () => {
    const line = await lineServer({ mbps: MBPS, counts: false });
    const args = ["--direction", "up", "--no-single", "--max-bytes", "8000000", "--duration", "4"];
    const result = await bandwidth(`127.0.0.1:${line.port}`, args, { STREAMSWARM_TOOL_PATH: scratch() });
    expect(result.reasons).toMatchObject({ bw_tcp_cc: "tool_missing", bw_retrans: "tool_missing" });
    expect(phases(result)[0]?.counted_by).toBe("answers");
    expect(Number(result.metrics.bw_up_mbps ?? 0)).toBeLessThan(1.15 * MBPS);
    expect(Number(result.metrics.rtt_idle_ms)).toBeGreaterThan(0);
    everyMetricExplained(result);
  });

  test("ss that prints garbage or is killed leaves the measurement whole", async () => {
    const line = await lineServer({ mbps: MBPS });
    const dirs = [fakeTools({ ss: "echo 'ESTAB 0 0 x:y'; echo \"$@\"" }), fakeTools({ ss: "kill -9 $$" })];
    for (const STREAMSWARM_TOOL_PATH of dirs) {
      const result = await bandwidth(`127.0.0.1:${line.port}`, ["--direction", "down", "--no-single"], { STREAMSWARM_TOOL_PATH });
      near(result.metrics.bw_down_mbps, MBPS, 6);
      expect(result.metrics.bw_tcp_cc).toBeNull();
      everyMetricExplained(result);
    }
  });

  test("another URL is downloaded as it is, again and again, and nothing is uploaded to it", async () => {
    const line = await lineServer({ mbps: MBPS });
    const result = await bandwidth(`http://127.0.0.1:${line.port}/file.bin?bytes=400000`, ["--no-single"]);
    expect(result).toMatchObject({ status: "ok", error: null });
    near(result.metrics.bw_down_mbps, MBPS, 6);
    expect(result.reasons).toMatchObject({ bw_up_mbps: "not_applicable", bloat_up_ms: "not_applicable" });
    expect(line.asked.some((each) => each.line.startsWith("POST"))).toBe(false);
    expect(line.asked.filter((each) => each.line === "GET /file.bin?bytes=400000").length).toBeGreaterThan(6);
  });

  test("rows as phases end, and a summary; no bar where there is no terminal", async () => {
    const line = await lineServer({ mbps: MBPS });
    const { code, stdout } = await cli(["probe", "bandwidth", `127.0.0.1:${line.port}`, ...QUICK, "--no-single"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/idle +20 connects +[\d.]+ ms/);
    expect(stdout).toMatch(/down +4 connections +1[567]\.\d Mbit\/s +(steady|whole time) after [\d.]+ s/);
    expect(stdout).toMatch(/used +[\d.]+ MB/);
    expect(stdout).toMatch(/bufferbloat [AB]/);
    expect(stdout).not.toContain("\u001b");
  });
});

describe.concurrent("bytes", () => {
  const moved = (line: LineServer) => line.sent + line.received;
  /** 250 ms of the line. */
  const slice = (MBPS * 1e6) / 8 / 4;

  test("the budget is never exceeded, both ways together, and a rate that was not reached is not told", async () => {
    const line = await lineServer({ mbps: MBPS });
    const result = await bandwidth(`127.0.0.1:${line.port}`, ["--max-bytes", "1000000"]);
    expect(result).toMatchObject({ code: 1, status: "failed", error: { code: "over_budget", source: "agent" } });
    // What the server had given to its kernel when it was cut off may never have left it.
    expect(moved(line)).toBeLessThanOrEqual(1_000_000 + slice);
    expect(Number(result.metrics.bw_bytes)).toBeLessThanOrEqual(1_000_000);
    expect(result.metrics.bw_down_mbps).toBeNull();
    expect(result.reasons.bw_down_mbps).toBe("too_few_samples");
    expect(result.error?.message).toMatch(/raise max_bytes/);
    everyMetricExplained(result);
  });

  test("a small one suffices for a steady line: the warm-up is cut short, and the result says so", async () => {
    const line = await lineServer({ mbps: MBPS });
    const args = ["--direction", "down", "--no-single", "--duration", "8", "--warm-up", "4", "--max-bytes", "5000000"];
    const result = await bandwidth(`127.0.0.1:${line.port}`, args);
    near(result.metrics.bw_down_mbps, MBPS, 6);
    expect(moved(line)).toBeLessThanOrEqual(5_000_000 + slice);
  });

  test("a server that sends without end is cut off at it", async () => {
    const line = await lineServer({ mbps: MBPS });
    const result = await bandwidth(`http://127.0.0.1:${line.port}/endless`, ["--no-single", "--max-bytes", "3000000"]);
    expect(result.metrics.bw_limited_by === "budget" || result.error?.code === "over_budget").toBe(true);
    expect(Number(result.metrics.bw_bytes)).toBeLessThanOrEqual(3_000_000 + slice);
  });

  test("the month's are kept over runs; where they are used up nothing is sent", async () => {
    const line = await lineServer({ mbps: MBPS });
    const STREAMSWARM_STATE = scratch();
    const args = ["--direction", "down", "--no-single", "--max-bytes", "2000000", "--month-bytes", "3000000"];
    const first = await bandwidth(`127.0.0.1:${line.port}`, args, { STREAMSWARM_STATE });
    const used = Number(first.metrics.bw_bytes);
    expect(used).toBeGreaterThan(1_000_000);
    expect(first.metrics.bw_budget_left_bytes).toBe(3_000_000 - used);
    const second = await bandwidth(`127.0.0.1:${line.port}`, args, { STREAMSWARM_STATE });
    expect(Number(second.metrics.bw_bytes ?? 0)).toBeLessThanOrEqual(3_000_000 - used);
    const before = line.connections;
    const third = await bandwidth(`127.0.0.1:${line.port}`, args, { STREAMSWARM_STATE });
    expect(third).toMatchObject({ code: 1, status: "failed", error: { code: "over_budget", source: "agent" } });
    expect(third.error?.message).toMatch(/next month/);
    expect(line.connections).toBe(before);
    everyMetricExplained(third);
  });

  test("a run that is killed has been entered in full", async () => {
    const line = await lineServer({ mbps: MBPS });
    const state = scratch();
    const args = [CLI, "probe", "bandwidth", `127.0.0.1:${line.port}`, ...QUICK, "--max-bytes", "7000000"];
    const child: ChildProcess = spawn(process.execPath, args, {
      env: { ...process.env, STREAMSWARM_STATE: state },
      stdio: "ignore",
    });
    await expect.poll(() => line.sent, { timeout: 10_000 }).toBeGreaterThan(100_000);
    child.kill("SIGKILL");
    expect(readFileSync(join(state, "bandwidth-ledger.json"), "utf8")).toContain('"bytes":7000000');
  });

  test("without a ledger that can be kept nothing is sent", async () => {
    const line = await lineServer({ mbps: MBPS });
    const STREAMSWARM_STATE = scratch();
    writeFileSync(join(STREAMSWARM_STATE, "bandwidth-ledger.json"), "{}");
    const broken = await bandwidth(`127.0.0.1:${line.port}`, [], { STREAMSWARM_STATE });
    expect(broken).toMatchObject({ status: "failed", error: { code: "internal", source: "agent" } });
    expect(broken.error?.message).toMatch(/remove it/);
    const other = scratch();
    mkdirSync(join(other, "bandwidth-ledger.json.tmp"));
    expect(await bandwidth(`127.0.0.1:${line.port}`, [], { STREAMSWARM_STATE: other })).toMatchObject({
      error: { code: "internal" },
    });
    expect(line.connections).toBe(0);
  });
});

describe.concurrent("who may, and when", () => {
  test.skipIf(process.platform !== "linux")(
    "a busy interface: skipped, with what it carries (its counters are Linux's)",
    async () => {
      const line = await lineServer({ mbps: MBPS });
      const other = await lineServer({ mbps: 40 });
      const busy = connect(other.port, "127.0.0.1");
      busy.resume().write("GET /__down?bytes=90000000 HTTP/1.1\r\nHost: x\r\n\r\n");
      const result = await bandwidth(`127.0.0.1:${line.port}`, ["--skip-above-mbps", "20"]);
      busy.destroy();
      expect(result).toMatchObject({ code: 1, status: "failed", error: { code: "skipped", source: "agent" } });
      expect(result.error?.message).toMatch(/^lo is busy: it carries \d+\.\d Mbit\/s in/);
      expect(line.asked).toEqual([]);
      everyMetricExplained(result);
    },
  );

  test("a busy server: skipped, and the other direction is not tried", async () => {
    const line = await lineServer({
      mbps: MBPS,
      instead: (_request, response) => {
        response.writeHead(503, { "retry-after": "7" }).end();
        return true;
      },
    });
    const result = await bandwidth(`127.0.0.1:${line.port}`);
    expect(result).toMatchObject({ status: "failed", error: { code: "skipped", source: "target" } });
    expect(result.error?.message).toMatch(/busy \(503\).*7 s/);
    expect(line.asked.every((each) => each.line.startsWith("GET"))).toBe(true);
  });

  test("a reflector by its key, both ways; without the key it says what to give", async () => {
    const secret = newSecret();
    const reflector = new Reflector();
    const forever = { from: 0, until: Number.MAX_SAFE_INTEGER, secret };
    await reflector.start({ port: 0, host: "127.0.0.1", secrets: () => [forever] });
    const where = `127.0.0.1:${reflector.address?.port}`;
    // Loopback is fast: what is asked is whether bytes move, not how many.
    const args = ["--max-bytes", "30000000", "--no-single"];
    const proved = await bandwidth(where, args, { STREAMSWARM_REFLECTOR_KEY: secretText(secret) });
    expect(proved.detail.phases).toMatchObject([
      { direction: "down", loaded: 4, error: null },
      { direction: "up", loaded: 4, error: null },
    ]);
    const stranger = await bandwidth(where, args);
    expect(stranger).toMatchObject({ status: "failed", error: { code: "http_status", source: "target" } });
    expect(stranger.error?.message).toMatch(/--key/);
    await reflector.stop();
  });
});

describe("what cannot be", () => {
  test.each([
    [["--streams", "17"], "--streams"],
    [["--streams", "0"], "--streams"],
    [["--direction", "sideways"], "--direction"],
    [["--max-bytes", "999999"], "--max-bytes"],
    [["--max-bytes", "2000000", "--month-bytes", "1000000"], "--max-bytes"],
    [["--duration", "15"], "--duration"],
    [["--duration", "2", "--warm-up", "1.5"], "--warm-up"],
    [["--skip-above-mbps", "-1"], "--skip-above-mbps"],
    [["--timeout", "60"], "--timeout"],
    [["--ip-version", "6"], "--ip-version"],
  ] as const)("%j names the option", (args, name) => {
    const given: Record<string, string> = {};
    for (let i = 0; i < args.length; i += 2) given[camel(args[i] ?? "")] = args[i + 1] ?? "";
    expect(() => readParameters("bandwidth", "127.0.0.1", given)).toThrow(name);
  });

  test("such an option ends the command before anything is connected", async () => {
    let connections = 0;
    const port = await bareServer(() => {
      connections += 1;
    });
    const { code, stdout, stderr } = await cli(["probe", "bandwidth", `127.0.0.1:${port}`, "--streams", "17"]);
    expect({ code, stdout, connections }).toEqual({ code: 2, stdout: "", connections: 0 });
    expect(stderr).toContain("--streams");
  });

  test.each(["http://u:p@h.example/", "ftp://h.example/", "h.example/path", "http://169.254.169.254/x", "edge:80x"])(
    "'%s' is no destination",
    (destination) => {
      expect(() => readParameters("bandwidth", destination, {})).toThrow(/destination/);
    },
  );

  test("edge needs an agent", async () => {
    expect(await bandwidth("edge")).toMatchObject({ error: { code: "invalid_instruction", source: "agent" } });
  });

  test("a run has an end within a minute, whatever is asked, and fits its interval", () => {
    const type = testType("bandwidth");
    for (const params of [
      {},
      { duration: 11 },
      { duration: 15, single: false },
      { direction: "up", duration: 15, timeout: 20 },
    ]) {
      const checked = checkTest("bandwidth", "h.example", params);
      if (!checked.ok) throw new Error(JSON.stringify(checked.errors));
      expect(type.deadline_ms(checked.params)).toBeLessThanOrEqual(60_000);
    }
    expect(checkTest("bandwidth", "h.example", {}, 30)).toMatchObject({ ok: false, errors: [{ path: "params.duration" }] });
    expect(type.contacts("edge", {})).toEqual([]);
    expect(type.contacts("https://Files.Example:8443/a", {})).toEqual(["files.example"]);
  });
});
