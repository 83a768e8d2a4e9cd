// Whatever a server may send: the probe ends on its time, says what happened, and keeps what it had measured.

import type { Socket } from "node:net";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import type { Measurement } from "#contract/result";
import { TEST_TYPES } from "#contract/test-types/index";
import { decodeContent } from "../../agent/http/content.ts";
import { runTest } from "../../agent/runner.ts";
import { cli, run } from "./helpers/cli.ts";
import { every, http, probe, raw } from "./helpers/web-server.ts";

const OK = "HTTP/1.1 200 OK\r\n";
const sized = (body: string): string => `${OK}content-length: ${body.length}\r\n\r\n${body}`;

function sound(result: Measurement): void {
  expect(new Set(Object.keys(result.metrics))).toEqual(new Set(TEST_TYPES.http.metrics));
  for (const name of TEST_TYPES.http.metrics) {
    const value = result.metrics[name];
    expect(value === null, name).toBe(result.reasons[name] !== undefined);
    if (typeof value === "number") expect(value, name).not.toBeNaN();
  }
  expect(JSON.stringify(result).length).toBeLessThan(64 * 1024);
}

// The first run of this process loads code.
beforeAll(async () => {
  const { port } = await http((_, response) => response.end());
  expect((await probe(`http://127.0.0.1:${port}/`)).status).toBe("ok");
});

describe("the deadline holds, ± 10 %", () => {
  const endless: [string, (socket: Socket) => void, object][] = [
    ["an accepted connection and nothing else", () => undefined, { http_status: null, http_ttfb_ms: null }],
    [
      "headers without an end",
      (socket) => {
        socket.write(OK);
        every(socket, 5, () => socket.write("x: y\r\n"));
      },
      { http_status: null },
    ],
    ["half a status line", (socket) => socket.write("HTTP/1."), { http_status: null }],
    [
      "a trickle without an end",
      (socket) => {
        socket.write(`${OK}\r\n`);
        every(socket, 10, () => socket.write("drop"));
      },
      { http_status: 200, http_truncated: null, http_total_ms: null },
    ],
    [
      "less than was promised, and then silence",
      (socket) => socket.write(`${OK}content-length: 1000\r\n\r\nonly this`),
      { http_status: 200, http_bytes_wire: 9, http_download_ms: null },
    ],
    [
      "chunks without an end",
      (socket) => {
        socket.write(`${OK}transfer-encoding: chunked\r\n\r\n`);
        every(socket, 10, () => socket.write("1\r\nx\r\n"));
      },
      { http_status: 200 },
    ],
  ];

  test.each(endless)("%s", async (_name, answer, measured) => {
    const { port } = await raw(answer);
    const result = await probe(`http://127.0.0.1:${port}/`, { timeout: 0.6 });
    expect(result.error).toMatchObject({ code: "deadline", source: "target" });
    expect(result.duration_ms).toBeGreaterThan(540);
    expect(result.duration_ms).toBeLessThan(660);
    expect(result.metrics).toMatchObject(measured);
    // What was measured before stays measured.
    expect(result.metrics.http_tcp_ms).toBeGreaterThan(0);
    const answered = result.metrics.http_status !== null;
    expect(result.status).toBe(answered ? "partial" : "failed");
    if (answered) expect(result.metrics.http_ttfb_ms).toBeGreaterThan(0);
    expect(result.reasons.http_total_ms).toBe("timeout");
    sound(result);
  });

  test("a megabyte a second without an end is cut at the limit, which is no failure", async () => {
    const { port } = await raw((socket) => {
      socket.write(`${OK}\r\n`);
      every(socket, 20, () => socket.write(Buffer.alloc(20_000)));
    });
    const cut = await probe(`http://127.0.0.1:${port}/`, { max_bytes: 100_000, timeout: 5 });
    expect(cut).toMatchObject({ status: "ok", flags: ["body_capped"] });
    expect(cut.metrics).toMatchObject({
      http_bytes_wire: 100_000,
      http_truncated: true,
      http_body_sha256: null,
      http_reused: null,
    });
    expect(cut.duration_ms).toBeLessThan(1000);
    const late = await probe(`http://127.0.0.1:${port}/`, { timeout: 0.5 });
    expect(late).toMatchObject({ status: "partial", error: { code: "deadline" } });
    expect(late.duration_ms).toBeLessThan(550);
  });

  test("a run that is stopped says so", async () => {
    const { port } = await raw((socket) => socket.write(`${OK}content-length: 10\r\n\r\n`));
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 100);
    const result = await runTest({ type: "http", destination: `http://127.0.0.1:${port}/`, params: {} }, stop.signal);
    expect(result.error?.code).toBe("aborted");
    expect(result.duration_ms).toBeLessThan(400);
  });

  test("the whole program ends with it, and leaves nobody waiting", async () => {
    const { port } = await raw(() => undefined);
    const { code, stdout, took_ms } = await cli(["probe", "http", `http://127.0.0.1:${port}/`, "--timeout", "1", "--json"]);
    expect(code).toBe(1);
    const result = JSON.parse(stdout) as Measurement;
    expect(result.duration_ms).toBeGreaterThan(900);
    expect(result.duration_ms).toBeLessThan(1100);
    expect(took_ms).toBeLessThan(4000);
  });
});

describe("bodies", () => {
  test("one that is complete ends the request, whoever keeps the connection open", async () => {
    const { port } = await raw((socket) => socket.write(sized("done")));
    const result = await probe(`http://127.0.0.1:${port}/`, { timeout: 5, reuse: false });
    expect(result).toMatchObject({ status: "ok", metrics: { http_bytes_wire: 4 } });
    expect(result.duration_ms).toBeLessThan(500);
  });

  test("one that is shorter than promised is a bad response", async () => {
    const { port } = await raw((socket) => socket.end(`${OK}content-length: 1000\r\n\r\nonly this`));
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(result).toMatchObject({
      status: "failed",
      error: { code: "bad_response", source: "target" },
      metrics: { http_status: 200, http_bytes_wire: 9, http_total_ms: null, http_body_sha256: null },
    });
    expect(result.error?.message).toContain("9 of 1000 bytes");
    sound(result);
  });

  test("one that ends with its connection is whole", async () => {
    const { port } = await raw((socket) => socket.end(`${OK}\r\nuntil the end`));
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(result).toMatchObject({ status: "ok", metrics: { http_bytes_wire: 13, http_reused: false } });
  });

  test("a connection that is reset within it", async () => {
    const { port } = await raw((socket) => {
      socket.write(`${OK}content-length: 1000\r\n\r\npart`, () => setTimeout(() => socket.resetAndDestroy(), 50));
    });
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(result).toMatchObject({ status: "failed", error: { code: "reset", source: "target" }, metrics: { http_status: 200 } });
  });

  const bombs = { gzip: gzipSync(Buffer.alloc(64 << 20)), br: brotliCompressSync(Buffer.alloc(64 << 20)) };
  test.each(Object.entries(bombs))("a %s bomb is not inflated beyond the limit", async (coding, bomb) => {
    const { port } = await raw((socket) => {
      socket.write(`${OK}content-encoding: ${coding}\r\ncontent-length: ${bomb.length}\r\n\r\n`);
      socket.write(bomb);
    });
    const before = process.memoryUsage().arrayBuffers;
    const result = await probe(`http://127.0.0.1:${port}/`, { expect_body: "x" });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 << 20);
    expect(result.metrics).toMatchObject({
      http_bytes_wire: bomb.length,
      http_bytes_decoded: 1 << 20,
      http_truncated: true,
      http_body_match: false,
      http_body_sha256: null,
    });
    expect(result.flags).toContain("body_capped");
  });

  /** Processor time this process spends while it should have nothing to do, ms. */
  async function idleWork(ms: number): Promise<number> {
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, ms));
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  }

  test("a bomb within a bomb, whose inner layer never yields a byte, is cut between the layers", async () => {
    // Members without content, one behind the other (RFC 1952 2.2): gigabytes of work for nothing.
    const member = gzipSync("");
    const layer = gzipSync(Buffer.alloc(member.length << 20, member), { level: 1 });
    const bomb = Buffer.concat(Array.from({ length: 8 }, () => layer));
    const { port } = await raw((socket) => {
      socket.write(`${OK}content-encoding: gzip, gzip\r\ncontent-length: ${bomb.length}\r\n\r\n`);
      socket.write(bomb);
    });
    const result = await probe(`http://127.0.0.1:${port}/`, { timeout: 2, reuse: false });
    expect(result).toMatchObject({ status: "ok", flags: ["body_capped"] });
    expect(result.metrics).toMatchObject({ http_bytes_decoded: 0, http_truncated: true, http_body_sha256: null });
    expect(result.duration_ms).toBeLessThan(1000);
    expect(await idleWork(300)).toBeLessThan(150);
  });

  test("decoding ends with its time, on every layer, and does not go on unseen", async () => {
    const layer = gzipSync(Buffer.alloc(32 << 20), { level: 1 });
    const body = Buffer.concat(Array.from({ length: 400 }, () => layer));
    const start = performance.now();
    const content = await decodeContent({
      body,
      codings: ["gzip"],
      max_bytes: Number.MAX_SAFE_INTEGER,
      cut: true,
      keep: false,
      signal: AbortSignal.timeout(400),
    });
    const took = performance.now() - start;
    expect(took).toBeGreaterThan(360);
    expect(took).toBeLessThan(440);
    expect(content).toMatchObject({ sha256: null, broken: expect.any(String) as string });
    expect(await idleWork(300)).toBeLessThan(150);
  });

  test("compressed rubbish, and compression cut short", async () => {
    const whole = gzipSync("the quick brown fox".repeat(100));
    for (const body of [Buffer.from("this is not gzip"), whole.subarray(0, whole.length - 12)]) {
      const { port } = await raw((socket) => {
        socket.write(`${OK}content-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n`);
        socket.write(body);
      });
      const result = await probe(`http://127.0.0.1:${port}/`);
      expect(result).toMatchObject({ status: "failed", error: { code: "bad_response", source: "target" } });
      expect(result.metrics).toMatchObject({ http_status: 200, http_bytes_wire: body.length, http_compression_ratio: null });
      expect(result.metrics.http_total_ms).toBeGreaterThan(0);
      sound(result);
    }
  });

  test("a body of single bytes does not cost a hundred each", async () => {
    const chunks = "1\r\nx\r\n".repeat(200_000);
    const { port } = await raw((socket) => socket.write(`${OK}transfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`));
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(result).toMatchObject({ status: "ok", metrics: { http_bytes_wire: 200_000 } });
  });
});

describe("heads", () => {
  const broken: [string, string | Buffer, string][] = [
    ["another protocol", "220 mail.example ESMTP\r\n", "bad_response"],
    ["rubbish", Buffer.from([0, 255, 13, 10, 0, 7, 200, 13, 10, 13, 10]), "bad_response"],
    ["two lengths", `${OK}content-length: 1\r\ncontent-length: 2\r\n\r\nxx`, "bad_response"],
    ["a length and chunks", `${OK}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, "bad_response"],
    ["a length that is no number", `${OK}content-length: -1\r\n\r\n`, "bad_response"],
    ["a chunk that is no number", `${OK}transfer-encoding: chunked\r\n\r\nzz\r\n`, "bad_response"],
    ["a null in a header", `${OK}x: a\0b\r\n\r\n`, "bad_response"],
    [
      "an unasked change of protocol",
      "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
      "bad_response",
    ],
    ["headers that are too large", `${OK}x: ${"y".repeat(40_000)}\r\n\r\n`, "too_large"],
    ["interim responses without an end", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000), "bad_response"],
    ["nothing", "", "bad_response"],
  ];

  test.each(broken)("%s", async (_name, bytes, code) => {
    const { port } = await raw((socket) => socket.end(bytes));
    const result = await probe(`http://127.0.0.1:${port}/`, { timeout: 3 });
    expect(result).toMatchObject({ status: "failed", error: { code, source: "target" } });
    expect(result.metrics.http_error).toBeTypeOf("string");
    expect(result.duration_ms).toBeLessThan(1500);
    sound(result);
  });

  test("a reset before any answer", async () => {
    const { port } = await raw((socket) => socket.resetAndDestroy());
    expect(await probe(`http://127.0.0.1:${port}/`)).toMatchObject({ status: "failed", error: { code: "reset" } });
  });

  test("every header may be as strange as the protocol allows", async () => {
    const strange = [
      "content-type: text/\xffhtml\x09\x1b[31m".replace("\x1b", ""),
      `server-timing: ${"t".repeat(5000)}`,
      "__proto__: polluted",
      "constructor: x",
      "content-encoding: , ,identity,",
      'cache-status: "a,b"; hit, """,;;fwd=',
      "age: -5",
      "location: ",
    ].join("\r\n");
    const { port } = await raw((socket) => socket.write(`${OK}${strange}\r\ncontent-length: 0\r\n\r\n`));
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(result).toMatchObject({ status: "ok", metrics: { http_content_encoding: "identity", http_cache_status: null } });
    expect(String(result.metrics.http_server_timing)).toHaveLength(500);
    expect(result.metrics.http_content_type).toMatch(/^[\x20-\x7e]+$/);
    sound(result);
  });

  test("no header reaches a terminal or a page with control characters", async () => {
    const strange = ["content-encoding: x\x9b31m,\x9by", "age: \x9b2J", "x-cache: HIT \x9b2J", "server-timing: a\x85b"].join(
      "\r\n",
    );
    const { port } = await raw((socket) => {
      socket.write(Buffer.from(`${OK}${strange}\r\ncontent-length: 2\r\n\r\nok`, "latin1"));
    });
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(result).toMatchObject({
      metrics: { http_content_encoding: "x?31m, ?y", http_cache_status: "hit" },
      detail: { cache: { age: "?2J", said: "HIT ?2J" } },
    });
    expect(JSON.stringify([result.metrics, result.detail, result.error])).not.toMatch(/\p{Cc}/u);
  });

  test("a response cut at any byte is never taken for a whole one", async () => {
    const body = gzipSync("hello hello hello");
    const head = `${OK}content-type: text/plain\r\ncontent-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n`;
    const whole = Buffer.concat([Buffer.from(head), body]);
    let length = 0;
    const { port } = await raw((socket) => socket.end(whole.subarray(0, length)));
    for (length = 0; length < whole.length; length += 3) {
      const result = await probe(`http://127.0.0.1:${port}/`, { timeout: 3, reuse: false });
      expect(result, `cut at ${length}`).toMatchObject({ status: "failed", error: { code: "bad_response" } });
      expect(result.metrics.http_total_ms, `cut at ${length}`).toBeNull();
    }
    length = whole.length;
    expect((await probe(`http://127.0.0.1:${port}/`, { reuse: false })).status).toBe("ok");
  });
});

describe("dead ends", () => {
  test("a port where nobody listens", async () => {
    const { port } = await http((_, response) => response.end());
    const { code, stdout } = await cli(["probe", "http", `http://127.0.0.2:${port}/`, "--json"]);
    const result = JSON.parse(stdout) as Measurement;
    expect(code).toBe(1);
    expect(result).toMatchObject({ status: "failed", error: { code: "refused", source: "target" }, address: "127.0.0.2" });
    expect(result.reasons).toMatchObject({ http_tcp_ms: "refused", http_ttfb_ms: "refused", http_total_ms: "refused" });
    sound(result);
  });

  test("a name that does not exist is the resolver's fault", async () => {
    const result = await probe("http://does-not-exist.invalid/", { timeout: 5 });
    expect(result).toMatchObject({ status: "failed", error: { source: "resolver" }, address: null });
    expect(new Set(TEST_TYPES.http.metrics.map((name) => result.reasons[name]))).toContain("dns_fail");
    expect(result.reasons.http_total_ms).toBe("dns_fail");
    sound(result);
  });
});

/** A network namespace of its own in which nothing answers on 127.66.0.1. */
const BLACKHOLE = `ip link set lo up && nft add table ip t && nft add chain ip t i '{type filter hook input priority 0;}' && nft add rule ip t i ip daddr 127.66.0.1 drop && exec "$@"`;
const namespaced = (...command: string[]) => run("unshare", ["-n", "sh", "-c", BLACKHOLE, "sh", ...command]);
const canBlackhole = process.platform === "linux" && (await namespaced("true")).code === 0;

// Needs root and nft to make an address that swallows packets.
test.skipIf(!canBlackhole)("a dead address ends the run on its time", async () => {
  const entry = new URL("../../agent/cli.ts", import.meta.url).pathname;
  const { code, stdout } = await namespaced(
    process.execPath,
    entry,
    "probe",
    "http",
    "http://127.66.0.1/",
    "--timeout",
    "1",
    "--json",
  );
  const result = JSON.parse(stdout) as Measurement;
  expect(code).toBe(1);
  expect(result).toMatchObject({
    status: "failed",
    error: { code: "no_reply", source: "network" },
    metrics: { http_tcp_ms: null },
  });
  expect(result.duration_ms).toBeGreaterThan(900);
  expect(result.duration_ms).toBeLessThan(1100);
  expect(result.reasons.http_ttfb_ms).toBe("timeout");
});
