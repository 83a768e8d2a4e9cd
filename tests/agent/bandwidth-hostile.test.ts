// bandwidth against servers that lie, break off, say nothing or never end. Every run ends by itself and tells what happened.
import type { Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { metricsOf } from "#contract/metrics";
import type { Measurement } from "#contract/result";
import { runTest } from "../../agent/runner.ts";
import { type CliResult, cli, scratch } from "./helpers/cli.ts";
import { bareServer, lineServer } from "./helpers/speed-server.ts";

// Each waits for seconds beside others.
vi.setConfig({ testTimeout: 60_000 });

beforeAll(() => {
  vi.stubEnv("STREAMSWARM_STATE", scratch());
});
afterAll(() => {
  vi.unstubAllEnvs();
});

const QUICK = [
  "--duration",
  "2",
  "--warm-up",
  "0.5",
  "--streams",
  "3",
  "--no-single",
  "--timeout",
  "1",
  "--skip-above-mbps",
  "0",
];

async function bandwidth(port: number, args: readonly string[] = []): Promise<CliResult> {
  const command = ["probe", "bandwidth", `127.0.0.1:${port}`, ...QUICK, ...args, "--json"];
  const { stdout } = await cli(command, { STREAMSWARM_STATE: scratch() });
  const result = JSON.parse(stdout) as CliResult;
  expect(new Set(Object.keys(result.metrics))).toEqual(new Set(metricsOf("bandwidth")));
  for (const [name, value] of Object.entries(result.metrics)) {
    if (value === null) expect(result.reasons[name], name).toBeTypeOf("string");
    // Nothing moved is no rate, and never 0.
    else if (name.endsWith("_mbps")) expect(value, name).toBeGreaterThan(0);
  }
  return result;
}

/** Answers the first bytes of each connection. */
const answering = (answer: (socket: Socket, asked: string) => void): Promise<number> =>
  bareServer((socket) => {
    socket.once("data", (asked: Buffer) => answer(socket, asked.toString("latin1")));
    socket.resume();
  });

const CHUNK = Buffer.alloc(16_384, 7);

interface Hostile {
  readonly name: string;
  readonly answer: (socket: Socket) => void;
  readonly error: { code: string; source: string };
  readonly message: RegExp;
}

const HOSTILE: readonly Hostile[] = [
  {
    name: "headers without end",
    answer: (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      const more = () => {
        while (!socket.destroyed && socket.write(`X-A: ${"b".repeat(1000)}\r\n`));
      };
      socket.on("drain", more);
      more();
    },
    error: { code: "bad_response", source: "target" },
    message: /head is longer/,
  },
  {
    name: "a length it does not keep, again and again",
    answer: (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nabc"),
    error: { code: "reset", source: "target" },
    message: /closed the connection/,
  },
  {
    name: "a few bytes instead of those asked for",
    answer: (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    error: { code: "bad_response", source: "target" },
    message: /5 bytes only/,
  },
  {
    name: "a reset before any answer",
    answer: (socket) => socket.resetAndDestroy(),
    error: { code: "reset", source: "target" },
    message: /reset|closed/,
  },
  {
    name: "500",
    answer: (socket) => socket.end("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
    error: { code: "http_status", source: "target" },
    message: /status 500/,
  },
  {
    name: "a redirect, which is not followed",
    answer: (socket) => socket.end("HTTP/1.1 302 Go\r\nLocation: http://other.example/\u001b[2J\r\nContent-Length: 0\r\n\r\n"),
    error: { code: "http_status", source: "target" },
    message: /redirects \(302\) to http:\/\/other\.example\/\?\[2J, which is not followed/,
  },
  {
    name: "another protocol",
    answer: (socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    error: { code: "bad_response", source: "target" },
    message: /HTTP\/1\.1/,
  },
  {
    name: "silence",
    answer: () => undefined,
    error: { code: "no_reply", source: "target" },
    message: /sent no byte within 1\.0 s/,
  },
];

describe.concurrent("a server that answers with", () => {
  test.each(HOSTILE)("$name", async ({ answer, error, message }) => {
    const result = await bandwidth(await answering(answer));
    expect(result).toMatchObject({ status: "failed", error });
    expect(result.error?.message).toMatch(message);
    expect(result.error?.message).not.toContain("\u001b");
    expect(result.duration_ms).toBeLessThan(8000);
  });

  test("its body in pieces of connections that close mid-way is measured all the same", async () => {
    const port = await answering((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n");
      let sent = 0;
      const timer = setInterval(() => {
        sent += CHUNK.length;
        if (sent > 600_000) socket.destroy();
        else socket.write(CHUNK);
      }, 10);
      socket.on("close", () => clearInterval(timer));
    });
    const result = await bandwidth(port, ["--direction", "down"]);
    // 3 connections of 16 KiB in 10 ms.
    expect(Number(result.metrics.bw_down_mbps)).toBeGreaterThan(20);
    expect(Number(result.metrics.bw_down_mbps)).toBeLessThan(42);
  });

  test("gzip, which nobody asked for: its bytes are counted as they come", async () => {
    const port = await answering((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 50000000\r\n\r\n");
      const timer = setInterval(() => socket.write(CHUNK), 20);
      socket.on("close", () => clearInterval(timer));
    });
    const result = await bandwidth(port, ["--direction", "down"]);
    expect(result.status).toBe("ok");
    expect(Number(result.metrics.bw_down_mbps)).toBeLessThan(22);
  });

  test("its first byte late, which is no part of the rate", async () => {
    const port = await answering((socket) => {
      setTimeout(() => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n");
        const timer = setInterval(() => socket.write(CHUNK), 20);
        socket.on("close", () => clearInterval(timer));
      }, 700);
    });
    const result = await bandwidth(port, ["--direction", "down"]);
    expect(result.status).toBe("ok");
    expect(Number(result.metrics.bw_down_mbps)).toBeGreaterThan(12);
  });
});

describe.concurrent("an upload to a server that", () => {
  const up = ["--direction", "up"];

  test("never reads: nothing is invented from what was written", async () => {
    const port = await bareServer((socket) => socket.pause());
    const result = await bandwidth(port, up);
    expect(result).toMatchObject({ status: "failed", error: { code: "no_reply", source: "target" } });
    expect(result.metrics.bw_up_mbps).toBeNull();
    expect(result.reasons.bw_up_mbps).toBe("timeout");
  });

  test.each([
    ["no JSON at all", "hello\n"],
    ["more than was sent", '{"t_ms":0,"bytes":0}\n{"t_ms":100,"bytes":900000000000}\n'],
    ["a line without end", "x".repeat(100_000)],
    ["numbers that fall", '{"t_ms":5,"bytes":5}\n{"t_ms":1,"bytes":1}\n'],
  ])("tells as its counts %s: others are believed instead", async (_name, lie) => {
    const line = await lineServer({ mbps: 16, counts: lie });
    const result = await bandwidth(line.port, up);
    const [phase] = result.detail.phases as { counted_by: string }[];
    expect(phase?.counted_by).not.toBe("server");
    if (result.metrics.bw_up_mbps !== null) expect(Number(result.metrics.bw_up_mbps)).toBeLessThan(20);
  });

  test("answers at once and does not listen", async () => {
    const port = await answering((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    const result = await bandwidth(port, up);
    expect(result.status).toBe("failed");
    expect(result.metrics.bw_up_mbps).toBeNull();
  });

  test("does not take it: the download still counts", async () => {
    const line = await lineServer({
      mbps: 16,
      instead: (request, response) => {
        if (request.method !== "POST") return false;
        // What is unread when a server closes resets the connection, perhaps before its answer was read.
        request.resume();
        response.writeHead(405).end();
        return true;
      },
    });
    const result = await bandwidth(line.port);
    expect(result).toMatchObject({ status: "partial", error: { code: "http_status", source: "target" } });
    expect(Number(result.metrics.bw_down_mbps)).toBeGreaterThan(14);
    expect(result.metrics.bw_up_mbps).toBeNull();
  });
});

describe("a run that is stopped", () => {
  const order = (port: number) => ({
    type: "bandwidth",
    destination: `127.0.0.1:${port}`,
    params: { duration: 4, streams: 3, skip_above_mbps: 0 },
  });

  test("ends at once with what it has, and leaves no connection", async () => {
    const line = await lineServer({ mbps: 16 });
    const stop = new AbortController();
    const notes: string[] = [];
    const running = runTest(order(line.port), stop.signal, {
      progress: (fraction, note) => {
        expect(fraction).toBeGreaterThanOrEqual(0);
        notes.push(note);
        if (notes.length === 6) stop.abort();
      },
    });
    const result: Measurement = await running;
    expect(result).toMatchObject({ status: "failed", error: { code: "aborted", source: "agent" } });
    expect(result.duration_ms).toBeLessThan(6000);
    expect(notes.at(-1)).toMatch(/^down, 3 connections: 1\d\.\d Mbit\/s$/);
    await expect.poll(() => line.open()).toBe(0);
  });

  test("the token of the agent's server goes to that server only", async () => {
    const line = await lineServer({ mbps: 16 });
    const edge = { server: `http://127.0.0.1:${line.port}`, token: "token-of-this-client" };
    const stop = new AbortController();
    const watch = { edge, progress: (fraction: number) => fraction > 0.02 && stop.abort() };
    await runTest({ ...order(line.port), destination: "edge" }, stop.signal, watch);
    expect(line.asked.length).toBeGreaterThan(0);
    for (const { line: asked, authorization } of line.asked) {
      expect(asked).toMatch(/^GET \/api\/agent\/v1\/speed\/__down\?bytes=\d+$/);
      expect(authorization).toBe("Bearer token-of-this-client");
    }
    const other = await lineServer({ mbps: 16 });
    const again = new AbortController();
    await runTest(order(other.port), again.signal, { edge, progress: (fraction) => fraction > 0.02 && again.abort() });
    expect(other.asked.length).toBeGreaterThan(0);
    expect(other.asked.every(({ authorization }) => authorization === undefined)).toBe(true);
  });
});
