// The `reflector` command as a process of its own: the command it prints works, it ends clean, and bad options are named.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { newSecret, parseSecret, secretText, sessionOf } from "../../agent/stamp/key.ts";
import { CLI, type CliResult, cli, isRunning, run, scratch } from "./helpers/cli.ts";
import { question, read, Sender, startReflector } from "./helpers/reflector.ts";
import { ask, prove } from "./helpers/throughput.ts";

const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
});

interface Running {
  readonly child: ChildProcess;
  /** Standard output so far. */
  text(): string;
  /** Waits until standard output matches. */
  until(pattern: RegExp): Promise<RegExpExecArray>;
  /** Signals it, and answers its exit status. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

function start(args: readonly string[], env: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, [CLI, "reflector", "--port", "0", "--host", "127.0.0.1", ...args], {
    env: { ...process.env, NODE_NO_WARNINGS: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  child.stderr?.pipe(process.stderr, { end: false });
  let text = "";
  child.stdout?.on("data", (part: Buffer) => {
    text += part.toString();
  });
  const until = async (pattern: RegExp) => {
    for (;;) {
      const found = pattern.exec(text);
      if (found !== null) return found;
      if (child.stdout === null) throw new Error("no standard output");
      await once(child.stdout, "data", { signal: AbortSignal.timeout(8000) });
    }
  };
  const end = async (signal: NodeJS.Signals) => {
    const closed = once(child, "close");
    child.kill(signal);
    const [code] = (await closed) as [number | null];
    return code;
  };
  return { child, text: () => text, until, end };
}

const COMMAND = /streamswarm-agent probe udp 127\.0\.0\.1:(\d+) --key ([\w-]{43})\n/;

test("it makes a key, prints a command that measures, and says at its end what it answered", async () => {
  const running = start([]);
  const [line, port = "", key = ""] = await running.until(COMMAND);
  const probe = await cli([...line.trim().split(" ").slice(1), "--count", "20", "--interval", "0.02", "--json"]);
  expect(probe.stderr).toBe("");
  const result = JSON.parse(probe.stdout) as { status: string; metrics: Record<string, unknown> };
  expect(result).toMatchObject({ status: "ok", metrics: { udp_sent: 20, udp_received: 20, udp_loss_up_pct: 0 } });
  const secret = parseSecret(key) ?? newSecret();
  const down = await prove(Number(port), sessionOf(secret), "GET", "/__down?bytes=1000000");
  expect(down.body).toHaveLength(1_000_000);
  expect(await running.end("SIGINT")).toBe(0);
  expect(running.text()).toMatch(/stopped {2}1 sessions {2}20 packets answered {2}0 refused/);
  expect(running.text()).toMatch(/1 downloads 1\.0 MB/);
  expect(isRunning(running.child.pid ?? 0)).toBe(false);
}, 20_000);

test("it ends without a word when whoever reads its output is gone", async () => {
  const running = start(["--json"]);
  const [, port = "", key = ""] = await running.until(/127\.0\.0\.1:(\d+) --key ([\w-]{43})/);
  const { child } = running;
  let errors = "";
  child.stderr?.on("data", (part: Buffer) => {
    errors += part.toString();
  });
  const closed = once(child, "close", { signal: AbortSignal.timeout(8000) });
  child.stdout?.destroy();
  const session = sessionOf(parseSecret(key) ?? newSecret());
  await (await Sender.open(Number(port))).ask(question(0, session));
  expect(await closed).toEqual([0, null]);
  expect(errors).toBe("");
}, 20_000);

test("a measurement with another key gets no reply, and the reflector counts it", async () => {
  const running = start([]);
  const [, port = ""] = await running.until(COMMAND);
  const wrong = secretText(newSecret());
  const target = `127.0.0.1:${port}`;
  const probe = await cli(["probe", "udp", target, "--key", wrong, "--count", "10", "--interval", "0.02", "--json"]);
  expect(probe.code).toBe(1);
  expect(JSON.parse(probe.stdout)).toMatchObject({ status: "failed", metrics: { udp_received: 0 } });
  expect(await running.end("SIGTERM")).toBe(0);
  expect(running.text()).toMatch(/0 sessions {2}0 packets answered {2}10 refused\n {2}refused: 10 without a valid key/);
}, 20_000);

test("a key from the environment is used and never shown; JSON lines tell sessions, transfers and the end", async () => {
  const secret = newSecret();
  const running = start(["--json"], { STREAMSWARM_REFLECTOR_KEY: secretText(secret) });
  const [line] = await running.until(/^.*"ready".*\n/);
  const ready = JSON.parse(line) as { port: number; addresses: string[] };
  expect(ready.addresses).toEqual(["127.0.0.1"]);
  const session = sessionOf(secret);
  const sender = await Sender.open(ready.port);
  for (const sequence of [5, 6, 9]) read(await sender.ask(question(sequence, session)), session);
  await prove(ready.port, session, "GET", "/__down?bytes=12345");
  await running.until(/"transfer"/);
  expect(await running.end("SIGTERM")).toBe(0);
  const events = running
    .text()
    .trim()
    .split("\n")
    .map((text) => JSON.parse(text) as Record<string, unknown>);
  expect(events.map(({ event }) => event)).toEqual(["ready", "session_began", "transfer", "session_ended", "stopped"]);
  expect(events[1]).toEqual({ event: "session_began", address: "127.0.0.1", port: sender.port, ssid: session.ssid });
  expect(events[2]).toMatchObject({ direction: "down", bytes: 12_345, address: "127.0.0.1" });
  expect(events[3]).toMatchObject({ ssid: session.ssid, answered: 3, missing: 2, refused: 0 });
  expect(events[4]).toMatchObject({ udp: { sessions: 1, answered: 3 }, http: { downloads: 1, sent_bytes: 12_345 } });
  expect(running.text()).not.toContain(secretText(secret));
}, 20_000);

test("--open answers plain STAMP, and --clock-offset shifts its times alone", async () => {
  const running = start(["--open", "--clock-offset", "-500"]);
  const [, port = ""] = await running.until(/probe udp 127\.0\.0\.1:(\d+)\n/);
  const sender = await Sender.open(Number(port));
  const { received_ms, sent_ms, estimate, sender: told } = read(await sender.ask(question(3)));
  expect(received_ms - told.sent_ms).toBeGreaterThan(-501);
  expect(received_ms - told.sent_ms).toBeLessThan(-300);
  expect(sent_ms).toBeGreaterThanOrEqual(received_ms);
  expect(estimate.synchronised).toBe(false);
  expect((await ask(Number(port), "GET", "/__down?bytes=100")).body).toHaveLength(100);
  expect(await running.end("SIGINT")).toBe(0);
}, 15_000);

test.each([
  [["--port", "70000"], "--port 70000"],
  [["--port", "x"], "--port x"],
  [["--host", "office.example"], "--host office.example"],
  [["--key", "short"], "--key is no key"],
  [["--clock-offset", "soon"], "--clock-offset soon"],
  [["--colour"], "--colour"],
])("%j is refused with status 2 and its name", async (args, name) => {
  const { code, stderr, stdout } = await cli(["reflector", ...args]);
  expect(code).toBe(2);
  expect(stderr).toContain(name);
  expect(stdout).toBe("");
  expect(stderr).not.toContain("short");
});

test("a key nobody printed is refused before anything is sent, and not shown", async () => {
  const { code, stderr } = await cli(["probe", "udp", "127.0.0.1:9", "--key", "not-a-key"]);
  expect(code).toBe(2);
  expect(stderr).toContain("--key is no reflector key");
  expect(stderr).not.toContain("not-a-key");
  const fromEnvironment = await cli(["probe", "udp", "127.0.0.1:9"], { STREAMSWARM_REFLECTOR_KEY: "not-a-key" });
  expect(fromEnvironment.code).toBe(2);
  expect(fromEnvironment.stderr).toContain("STREAMSWARM_REFLECTOR_KEY");
  // A type that needs no reflector has no such option.
  expect((await cli(["probe", "ping", "127.0.0.1", "--key", "x"])).code).toBe(2);
});

/** In a network namespace: there, an IPv6 socket gets no IPv4. */
const SPLIT = `ip link set lo up && echo 1 >/proc/sys/net/ipv6/bindv6only`;
const ANSWERS = `${SPLIT}; "$1" "$2" reflector --open --json >"$3" & for i in $(seq 100); do grep -q ready "$3" && break; sleep 0.1; done
for to in 127.0.0.1 [::1]; do "$1" "$2" probe udp $to:8862 --count 5 --interval 0.01 --timeout 1 --json; done; kill $!; wait $!`;
const canSplit = process.platform === "linux" && (await run("unshare", ["-n", "sh", "-c", SPLIT])).code === 0;

test.skipIf(!canSplit)(
  "IPv4 is answered where sockets are IPv6 only, too (needs root: a network namespace)",
  async () => {
    const { code, stdout } = await run("unshare", [
      "-n",
      "sh",
      "-c",
      ANSWERS,
      "sh",
      process.execPath,
      CLI,
      join(scratch(), "out"),
    ]);
    const results = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as CliResult);
    expect(results.map(({ address, metrics }) => [address, metrics.udp_received])).toEqual([
      ["127.0.0.1", 5],
      ["::1", 5],
    ]);
    expect(code).toBe(0);
  },
  30_000,
);

test("a taken port ends it with status 1 and says what to do", async () => {
  const { port } = await startReflector();
  const { code, stderr } = await cli(["reflector", "--port", String(port), "--host", "127.0.0.1"]);
  expect(code).toBe(1);
  expect(stderr).toContain(`port ${port}`);
  expect(stderr).toContain("--port");
});

test("it ends at once although a connection and a session are under way", async () => {
  const running = start([]);
  const [, port = "", key = ""] = await running.until(COMMAND);
  const session = sessionOf(parseSecret(key) ?? newSecret());
  const sender = await Sender.open(Number(port));
  await sender.ask(question(0, session));
  const idle = connect(Number(port), "127.0.0.1");
  await once(idle, "connect");
  const closed = new Promise((resolve) => idle.once("close", resolve));
  // It may be told by a reset.
  idle.on("error", () => idle.destroy());
  idle.resume();
  expect(await running.end("SIGTERM")).toBe(0);
  await closed;
}, 15_000);
