// The HTTP probe against servers on loopback: what it measures, and of what.
import { createHash } from "node:crypto";
import type { ServerHttp2Stream } from "node:http2";
import { TLSSocket } from "node:tls";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { beforeAll, describe, expect, test, vi } from "vitest";
import type { Measurement } from "#contract/result";
import { TEST_TYPES } from "#contract/test-types/index";
import { Budget } from "../../agent/budget.ts";
import { trustCa } from "../../agent/network.ts";
import { http as httpProbe } from "../../agent/probes/http.ts";
import { cli } from "./helpers/cli.ts";
import { calm } from "./helpers/flags.ts";
import { runContext } from "./helpers/run-context.ts";
import { CA_FILE, http, http2, https, probe, raw } from "./helpers/web-server.ts";

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const numberOf = (result: Pick<Measurement, "metrics">, name: keyof Measurement["metrics"]): number =>
  Number(result.metrics[name] ?? Number.NaN);

function everyMetricExplained(result: Measurement): void {
  expect(new Set(Object.keys(result.metrics))).toEqual(new Set(TEST_TYPES.http.metrics));
  for (const name of TEST_TYPES.http.metrics) {
    if (result.metrics[name] === null) expect(result.reasons[name], name).toBeTypeOf("string");
    else expect(result.reasons[name], name).toBeUndefined();
  }
}

/** Phases are parts of the whole: nothing is counted twice, nothing is left out. */
function phasesAddUp(result: Pick<Measurement, "metrics">): void {
  const parts = (["http_dns_ms", "http_tcp_ms", "http_tls_ms", "http_ttfb_ms", "http_download_ms"] as const).map(
    (name) => result.metrics[name] ?? 0,
  );
  const sum = parts.reduce<number>((total, part) => total + Number(part), 0);
  expect(Math.abs(sum - numberOf(result, "http_total_ms"))).toBeLessThanOrEqual(1);
}

beforeAll(() => trustCa(CA_FILE));

describe("phases", () => {
  test("the time to the first byte is the server's, the download's is the body's", async () => {
    const { port } = await http((_, response) => {
      void wait(100).then(async () => {
        response.writeHead(200, { "content-length": 2 });
        response.write("a");
        await wait(80);
        response.end("b");
      });
    });
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(result).toMatchObject({ status: "ok", error: null, address: "127.0.0.1" });
    expect(numberOf(result, "http_ttfb_ms")).toBeGreaterThan(98);
    expect(numberOf(result, "http_ttfb_ms")).toBeLessThan(160);
    expect(numberOf(result, "http_download_ms")).toBeGreaterThan(75);
    expect(numberOf(result, "http_download_ms")).toBeLessThan(140);
    expect(numberOf(result, "http_tcp_ms")).toBeLessThan(40);
    expect(result.metrics).toMatchObject({ http_status: 200, http_version: "1.1", http_ipv: 4, http_bytes_wire: 2 });
    // An address has no name to resolve, plain HTTP no TLS: not measured is not zero.
    expect(result.metrics).toMatchObject({ http_dns_ms: null, http_tls_ms: null, tls_version: null, http_redirects_ms: null });
    expect(result.reasons).toMatchObject({ http_dns_ms: "not_applicable", http_tls_ms: "not_applicable" });
    phasesAddUp(result);
    everyMetricExplained(result);
  });

  test("a name and TLS have phases of their own", async () => {
    const { port } = await https((_, response) => void wait(60).then(() => response.end("ok")));
    const result = await probe(`https://localhost:${port}/`);
    expect(result).toMatchObject({ status: "ok", detail: { resolved_by: "hosts", port } });
    expect(result.metrics).toMatchObject({
      tls_authorized: true,
      tls_error: null,
      tls_version: "TLSv1.3",
      tls_alpn: "http/1.1",
      cert_subject_cn: "localhost",
      http_version: "1.1",
    });
    expect(numberOf(result, "cert_days_left")).toBeGreaterThan(30_000);
    expect(numberOf(result, "http_tls_ms")).toBeGreaterThan(0);
    // Neither the handshakes nor the resolver are in it.
    expect(numberOf(result, "http_ttfb_ms")).toBeGreaterThan(58);
    expect(numberOf(result, "http_ttfb_ms")).toBeLessThan(60 + 50);
    phasesAddUp(result);
    everyMetricExplained(result);
  });

  test("reading the certificate is nobody's time: neither the handshake's nor the server's", async () => {
    const { port } = await https((_, response) => response.end("ok"));
    const getPeerCertificate = TLSSocket.prototype.getPeerCertificate;
    let reads = 0;
    // Node's own check of the name is the first; a slow host takes as long for ours.
    const slow = vi.spyOn(TLSSocket.prototype, "getPeerCertificate").mockImplementation(function (this: TLSSocket) {
      const end = performance.now() + (reads > 0 ? 150 : 0);
      reads += 1;
      while (performance.now() < end);
      return getPeerCertificate.call(this, true);
    });
    // By itself: the runner would void the times of a process that was held up for so long.
    const params = TEST_TYPES.http.params.parse({ reuse: false });
    const budget = new Budget(5000, new AbortController().signal);
    const running = httpProbe.run(`https://localhost:${port}/`, params, runContext(budget));
    const result = await running.finally(() => slow.mockRestore());
    expect(result).toMatchObject({ status: "ok", metrics: { tls_authorized: true, cert_subject_cn: "localhost" } });
    expect(numberOf(result, "http_tls_ms")).toBeLessThan(100);
    expect(numberOf(result, "http_ttfb_ms")).toBeLessThan(100);
    phasesAddUp(result);
    expect(reads).toBe(2);
  });

  test("early hints do not pass for the response", async () => {
    const { port } = await raw((socket) => {
      socket.write("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
      void wait(80).then(() => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    });
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(result).toMatchObject({ status: "ok", detail: { interim_responses: 1 }, metrics: { http_status: 200 } });
    expect(numberOf(result, "http_ttfb_ms")).toBeGreaterThan(75);
  });
});

describe("the request", () => {
  test("path and query arrive as they were written, without cookies or credentials", async () => {
    const requests: string[] = [];
    const { port } = await raw((socket, request) => {
      requests.push(request);
      socket.write("HTTP/1.1 200 OK\r\nset-cookie: id=1\r\ncontent-length: 0\r\n\r\n");
    });
    await probe(`http://127.0.0.1:${port}/a%2Fb/?x=1&y=%26%20&z=a+b;c#part`, { headers: "Accept: text/plain | X-Probe: a;b, c" });
    expect(requests).toHaveLength(2);
    expect(requests[1]).toBe(requests[0]);
    const [line, ...headers] = (requests[0] ?? "").split("\r\n");
    expect(line).toBe("GET /a%2Fb/?x=1&y=%26%20&z=a+b;c HTTP/1.1");
    expect(headers).toContain(`Host: 127.0.0.1:${port}`);
    expect(headers).toContain("accept: text/plain");
    expect(headers).toContain("x-probe: a;b, c");
    expect(headers.find((header) => /^user-agent: StreamSwarm\/\d+\./.test(header))).toBeDefined();
    expect(headers.some((header) => /^(cookie|authorization):/i.test(header))).toBe(false);
  });

  test("HEAD has no body to measure", async () => {
    const { port } = await http((request, response) => {
      response.writeHead(200, { "content-length": 5000, "x-method": request.method });
      response.end();
    });
    const result = await probe(`http://127.0.0.1:${port}/`, { method: "HEAD", expect_header: "x-method: HEAD" });
    expect(result).toMatchObject({
      status: "ok",
      metrics: { http_bytes_wire: 0, http_bytes_decoded: null, http_body_sha256: null, http_assertions_ok: true },
    });
    everyMetricExplained(result);
  });

  test("the whole program, & and all", async () => {
    const seen: string[] = [];
    const { port } = await http((request, response) => {
      seen.push(request.url ?? "");
      response.setHeader("server-timing", "db;dur=53");
      response.end("ok");
    });
    const url = `http://localhost:${port}/p?a=1&b=2%2F3`;
    const { code, stdout, stderr } = await cli(["probe", "http", url, "--json", "--no-reuse", "--ip-version", "4"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.trim().split("\n")).toHaveLength(1);
    expect(seen).toEqual(["/p?a=1&b=2%2F3"]);
    const result = JSON.parse(stdout) as Measurement;
    expect(result.destination).toBe(url);
    expect(result.metrics).toMatchObject({ http_final_url: url, http_server_timing: "db;dur=53", http_reused: null });
    expect(result.reasons.http_reused).toBe("not_applicable");
    phasesAddUp(result);
    everyMetricExplained(result);
  });

  test("people get the phases as they end and as bars", async () => {
    const { port } = await http((_, response) => void wait(50).then(() => response.end("hello")));
    const { stdout } = await cli(["probe", "http", `http://127.0.0.1:${port}/`, "--expect-body", "hello"]);
    expect(stdout).toMatch(/TCP +[\d.]+ ms {2}127\.0\.0\.1 port \d+\n/);
    expect(stdout).toMatch(/first byte +[\d.]+ ms +█+/);
    expect(stdout).toMatch(/total +[\d.]+ ms\n/);
    expect(stdout).toMatch(/response +HTTP\/1\.1 200, IPv4/);
    expect(stdout).toMatch(/expected +body hello/);
    expect(stdout).not.toContain("\u001b");
  });
});

describe("compression", () => {
  const text = Buffer.alloc(20_000, "the quick brown fox jumps over the lazy dog. ");
  const sha256 = createHash("sha256").update(text).digest("hex");
  const coded: [string, string, Buffer][] = [
    ["gzip", "gzip", gzipSync(text)],
    ["x-gzip", "x-gzip", gzipSync(text)],
    ["brotli", "br", brotliCompressSync(text)],
    ["deflate", "deflate", deflateSync(text)],
    ["deflate without its wrapper", "deflate", deflateRawSync(text)],
    ["zstd", "zstd", zstdCompressSync(text)],
    ["one after the other", "gzip, br", brotliCompressSync(gzipSync(text))],
  ];

  test.each(coded)("%s: bytes received and bytes decoded are both counted", async (_name, coding, body) => {
    const { port } = await http((_, response) => {
      response.writeHead(200, { "content-encoding": coding, "content-length": body.length });
      response.end(body);
    });
    const result = await probe(`http://127.0.0.1:${port}/`, { expect_body: "lazy dog" });
    expect(result.status).toBe("ok");
    expect(result.metrics).toMatchObject({
      http_bytes_wire: body.length,
      http_bytes_decoded: 20_000,
      http_content_encoding: coding,
      http_compression_ratio: Math.round((20_000 / body.length) * 1000) / 1000,
      http_body_sha256: sha256,
      http_body_match: true,
      http_truncated: false,
    });
  });

  test("no ratio is invented for a body that is not compressed, with or without its length", async () => {
    for (const head of ["content-length: 5\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]) {
      const { port } = await raw((socket) => socket.write(`HTTP/1.1 200 OK\r\n${head}`));
      const result = await probe(`http://127.0.0.1:${port}/`);
      expect(result.metrics).toMatchObject({
        http_compression_ratio: null,
        http_content_encoding: "identity",
        http_bytes_wire: 5,
        http_bytes_decoded: 5,
      });
      expect(result.reasons.http_compression_ratio).toBe("not_applicable");
    }
  });

  test("it is asked for only when it is wanted", async () => {
    const asked: unknown[] = [];
    const { port } = await http((request, response) => {
      asked.push(request.headers["accept-encoding"]);
      response.end();
    });
    await probe(`http://127.0.0.1:${port}/`, { reuse: false });
    await probe(`http://127.0.0.1:${port}/`, { reuse: false, compression: false });
    expect(asked).toEqual(["gzip, br, deflate, zstd", "identity"]);
  });

  test("a coding nobody knows is counted as received and not decoded", async () => {
    const { port } = await http((_, response) => {
      response.writeHead(200, { "content-encoding": "exi" });
      response.end("xxxx");
    });
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(calm(result)).toMatchObject({
      status: "ok",
      flags: ["encoding_unknown"],
      metrics: { http_bytes_wire: 4, http_bytes_decoded: null, http_compression_ratio: null, http_body_sha256: null },
    });
    expect(result.reasons.http_bytes_decoded).toBe("unsupported");
    const expecting = await probe(`http://127.0.0.1:${port}/`, { expect_body: "x" });
    expect(expecting.error?.code).toBe("assertion_failed");
  });
});

describe("reuse is tried, not read from a header", () => {
  test("a server that says nothing keeps the connection", async () => {
    const { port, connections } = await raw((socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(result.metrics.http_reused).toBe(true);
    expect(numberOf(result, "http_reuse_ttfb_ms")).toBeGreaterThan(0);
    expect(connections()).toBe(1);
  });

  test("a server that promises and closes does not", async () => {
    const { port } = await raw((socket) => {
      socket.end("HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nkeep-alive: timeout=5\r\ncontent-length: 2\r\n\r\nok");
    });
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(result).toMatchObject({ status: "ok", metrics: { http_reused: false, http_reuse_ttfb_ms: null } });
  });

  test("a server that closes is asked once", async () => {
    let requests = 0;
    const { port } = await http((_, response) => {
      requests += 1;
      response.setHeader("connection", "close");
      response.end("ok");
    });
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(result.metrics.http_reused).toBe(false);
    expect(requests).toBe(1);
  });

  test("bytes nobody asked for are not taken for the second response", async () => {
    const answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const { port } = await raw((socket) => socket.write(answer + answer));
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(result).toMatchObject({ status: "ok", metrics: { http_status: 200, http_reused: false, http_reuse_ttfb_ms: null } });
  });

  test("a second answer that never comes leaves the first one whole", async () => {
    const { port } = await raw((socket, _request, index) => {
      if (index === 0) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
    const result = await probe(`http://127.0.0.1:${port}/`, { timeout: 1 });
    expect(result).toMatchObject({ status: "ok", metrics: { http_reused: null }, detail: { budgets_hit: ["reuse"] } });
    expect(result.reasons.http_reused).toBe("timeout");
    expect(result.duration_ms).toBeLessThan(1100);
  });

  test("every run opens a connection of its own", async () => {
    const { port, connections } = await http((_, response) => response.end("ok"));
    for (let i = 0; i < 3; i++) {
      const result = await probe(`http://127.0.0.1:${port}/`);
      expect(numberOf(result, "http_tcp_ms")).toBeGreaterThan(0);
    }
    expect(connections()).toBe(3);
  });
});

describe("HTTP/2", () => {
  const reply = (stream: ServerHttp2Stream, headers: Record<string, unknown>) => {
    stream.respond({ ":status": 200, "content-type": "text/plain", "x-path": String(headers[":path"]) });
    stream.end("hello");
  };

  test("is agreed on in the handshake and measured in the same phases", async () => {
    const { port, connections } = await http2(true, (stream, headers) => void wait(60).then(() => reply(stream, headers)));
    const result = await probe(`https://localhost:${port}/p?a=1&b=%2F`, { expect_header: "x-path: /p?a=1&b=%2F" });
    expect(result.status).toBe("ok");
    expect(result.metrics).toMatchObject({
      http_version: "2",
      tls_alpn: "h2",
      http_reused: true,
      http_bytes_wire: 5,
      http_assertions_ok: true,
    });
    expect(numberOf(result, "http_ttfb_ms")).toBeGreaterThan(58);
    expect(numberOf(result, "http_reuse_ttfb_ms")).toBeGreaterThan(58);
    expect(connections()).toBe(1);
    phasesAddUp(result);
    everyMetricExplained(result);
  });

  test("is spoken in plain text only when asked for", async () => {
    const { port } = await http2(false, reply);
    const asked = await probe(`http://127.0.0.1:${port}/`, { http_version: "2" });
    expect(asked).toMatchObject({ status: "ok", metrics: { http_version: "2", http_status: 200 } });
    const unasked = await probe(`http://127.0.0.1:${port}/`);
    expect(unasked).toMatchObject({ status: "failed", error: { code: "bad_response", source: "target" } });
  });

  test("that a server does not offer is said so, and 1.1 is not slipped in", async () => {
    const { port } = await https((_, response) => response.end("1.1"));
    const result = await probe(`https://localhost:${port}/`, { http_version: "2" });
    expect(result).toMatchObject({ status: "failed", error: { code: "bad_response", source: "target" } });
    expect(result.error?.message).toContain("HTTP version");
    const plain = await http((_, response) => response.end("1.1"));
    const known = await probe(`http://127.0.0.1:${plain.port}/`, { http_version: "2", timeout: 3 });
    expect(known).toMatchObject({ status: "failed", error: { code: "bad_response" } });
    const version = await probe(`https://localhost:${port}/`, { http_version: "1.1" });
    expect(version.metrics).toMatchObject({ http_version: "1.1", tls_alpn: "http/1.1" });
  });

  test("streams that end early, are refused or never end", async () => {
    const reset = await http2(true, (stream) => {
      stream.respond({ ":status": 200, "content-length": 100 });
      stream.write("part", () => stream.close(8));
    });
    expect(await probe(`https://localhost:${reset.port}/`)).toMatchObject({ status: "failed", error: { code: "bad_response" } });
    const refused = await http2(true, (stream) => stream.close(7));
    expect(await probe(`https://localhost:${refused.port}/`)).toMatchObject({ error: { code: "bad_response" } });
    const gone = await http2(true, (stream) => stream.session?.destroy());
    expect(await probe(`https://localhost:${gone.port}/`)).toMatchObject({ error: { code: "bad_response" } });
    const silent = await http2(true, () => undefined);
    const result = await probe(`https://localhost:${silent.port}/`, { timeout: 0.5 });
    expect(result.error?.code).toBe("deadline");
    expect(result.duration_ms).toBeGreaterThan(450);
    expect(result.duration_ms).toBeLessThan(550);
  });

  test("a large body is not held up by small windows, nor read beyond the limit", async () => {
    const body = Buffer.alloc(1_000_000, 7);
    const { port } = await http2(true, (stream) => {
      stream.respond({ ":status": 200 });
      stream.end(body);
    });
    expect((await probe(`https://localhost:${port}/`)).metrics).toMatchObject({
      http_bytes_wire: 1_000_000,
      http_truncated: false,
    });
    const cut = await probe(`https://localhost:${port}/`, { max_bytes: 4096 });
    expect(calm(cut)).toMatchObject({
      status: "ok",
      flags: ["body_capped"],
      metrics: { http_bytes_wire: 4096, http_truncated: true },
    });
  });
});

describe("certificates", () => {
  test("one nobody vouches for stops the run before anything is sent, and is measured all the same", async () => {
    let requests = 0;
    const { port } = await https((_, response) => {
      requests += 1;
      response.end("secret");
    });
    const { code, stdout } = await cli(["probe", "http", `https://127.0.0.1:${port}/`, "--json"]);
    const result = JSON.parse(stdout) as Measurement;
    expect(code).toBe(1);
    expect(requests).toBe(0);
    expect(result).toMatchObject({ status: "failed", error: { code: "certificate", source: "target" } });
    expect(result.metrics).toMatchObject({
      tls_authorized: false,
      tls_error: "DEPTH_ZERO_SELF_SIGNED_CERT",
      cert_subject_cn: "localhost",
      http_status: null,
      http_ttfb_ms: null,
      http_total_ms: null,
    });
    expect(numberOf(result, "http_tls_ms")).toBeGreaterThan(0);
    expect(result.reasons.http_ttfb_ms).toBe("not_applicable");
    everyMetricExplained(result);
    const bold = await cli(["probe", "http", `https://127.0.0.1:${port}/`, "--json", "--insecure"]);
    const anyway = JSON.parse(bold.stdout) as Measurement;
    expect(bold.code).toBe(0);
    expect(calm(anyway)).toMatchObject({
      status: "ok",
      flags: ["certificate_invalid"],
      metrics: { tls_authorized: false, http_status: 200 },
    });
    const trusted = await cli(["probe", "http", `https://127.0.0.1:${port}/`, "--json", "--ca", CA_FILE]);
    expect(JSON.parse(trusted.stdout)).toMatchObject({ status: "ok", metrics: { tls_authorized: true, tls_error: null } });
  });

  test("what speaks no TLS is told apart from what refuses it", async () => {
    const plain = await http((_, response) => response.end());
    expect(await probe(`https://127.0.0.1:${plain.port}/`)).toMatchObject({
      status: "failed",
      error: { code: "tls_failed", source: "target" },
      metrics: { http_tls_ms: null, tls_version: null },
    });
    const mute = await raw(() => undefined);
    const result = await probe(`https://127.0.0.1:${mute.port}/`, { timeout: 0.4 });
    expect(result).toMatchObject({ error: { code: "deadline" } });
    expect(numberOf(result, "http_tcp_ms")).toBeGreaterThan(0);
    expect(result.reasons.http_tls_ms).toBe("timeout");
  });
});
