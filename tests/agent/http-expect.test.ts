// What a run may be asked to expect, what it may be asked at all, and how the pure parts read what comes.
import { describe, expect, test } from "vitest";
import { parseHeaderLine, parseJsonExpectation, statusFits } from "#contract/test-types/http";
import { checkTest } from "#contract/test-types/index";
import { readParameters } from "../../agent/cli-probe.ts";
import { UsageError } from "../../agent/exit.ts";
import { cacheReading } from "../../agent/http/cache.ts";
import { targetOf } from "../../agent/http/target.ts";
import { bar } from "../../agent/probes/http-rows.ts";
import { cli } from "./helpers/cli.ts";
import { http, probe } from "./helpers/web-server.ts";

describe("expectations", () => {
  const document = { state: "ok", version: "1.10", n: 5, list: [{ up: true }, null], "a.b": { c: 1 }, nested: { x: "y = z" } };
  const serve = () =>
    http((_, response) => {
      response.writeHead(203, { "content-type": "application/json", "x-two": ["first", "second"], "set-cookie": "id=secret" });
      response.end(JSON.stringify(document));
    });

  test.each([
    ["status", { expect_status: "200, 203" }],
    ["class of status", { expect_status: "2xx" }],
    ["header", { expect_header: "Content-Type: json" }],
    ["one of two headers", { expect_header: "x-two: second" }],
    ["header that is there", { expect_header: "x-two:" }],
    ["text", { expect_body: '"version":"1.10"' }],
    ["word", { expect_json: "state = ok" }],
    ["word in quotes", { expect_json: 'state = "ok"' }],
    ["text that looks like a number", { expect_json: "version=1.10" }],
    ["number", { expect_json: "n = 5.0" }],
    ["truth in a list", { expect_json: "$.list[0].up = true" }],
    ["null", { expect_json: "list[1] = null" }],
    ["key with a dot", { expect_json: '["a.b"].c = 1' }],
    ["value with an equals sign", { expect_json: "nested.x = y = z" }],
  ])("%s as expected", async (_name, params) => {
    const { port } = await serve();
    const result = await probe(`http://127.0.0.1:${port}/`, { ...params, reuse: false });
    expect(result).toMatchObject({ status: "ok", metrics: { http_assertions_ok: true } });
  });

  test.each([
    ["header", { expect_header: "content-type: xml" }, "application/json"],
    ["no such header", { expect_header: "x-none: a" }, "no such header"],
    ["cookie", { expect_header: "set-cookie: other" }, "another value"],
    ["text", { expect_body: "down" }, "no such text"],
    ["JSON value", { expect_json: "state = down" }, "another value (string)"],
    ["JSON path", { expect_json: "list[7].up = true" }, "nothing at that path"],
    ["inherited key", { expect_json: "constructor.name = Object" }, "nothing at that path"],
    ["object for a scalar", { expect_json: "nested = 1" }, "another value (object)"],
  ])("%s not as expected", async (_name, params, words) => {
    const { port } = await serve();
    const result = await probe(`http://127.0.0.1:${port}/`, { ...params, reuse: false });
    expect(result).toMatchObject({ status: "failed", error: { code: "assertion_failed", source: "target" } });
    expect(result.error?.message).toContain(words);
    expect(result.metrics).toMatchObject({
      http_assertions_ok: false,
      http_status: 203,
      http_total_ms: expect.any(Number) as number,
    });
    // Nothing of the body and no cookie leaves this host.
    const told = JSON.stringify({ ...result, destination: "" });
    // As a text: a time may happen to be 1.10x ms.
    expect(told).not.toContain('"1.10');
    expect(result.error?.message).not.toContain("1.10");
    expect(told).not.toContain("secret");
  });

  test("a status that is not expected fails the run, all phases measured", async () => {
    const { port } = await http((_, response) => response.writeHead(503).end("busy"));
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(result).toMatchObject({
      status: "failed",
      error: { code: "http_status", source: "target" },
      metrics: { http_status: 503, http_total_ms: expect.any(Number) as number, http_bytes_wire: 4, http_reused: null },
    });
    const wanted = await probe(`http://127.0.0.1:${port}/`, { expect_status: "5xx" });
    expect(wanted).toMatchObject({ status: "ok", metrics: { http_assertions_ok: true } });
  });

  test("what is not JSON, and what was cut, is said to be so", async () => {
    const { port } = await http((_, response) => response.end(`${"[".repeat(5000)}`));
    const broken = await probe(`http://127.0.0.1:${port}/`, { expect_json: "a = 1" });
    expect(broken.error?.message).toContain("no JSON");
    const cut = await probe(`http://127.0.0.1:${port}/`, { expect_body: "]", max_bytes: 1024 });
    expect(cut.error?.message).toContain("in the part of the body that was read");
  });
});

describe("wrong arguments name what is wrong and contact nobody", () => {
  const refused: [string, string, Record<string, unknown>, string][] = [
    ["no scheme", "127.0.0.1", {}, "destination"],
    ["another scheme", "ftp://127.0.0.1/", {}, "destination"],
    ["credentials", "http://user:pass@127.0.0.1/", {}, "destination"],
    ["short address", "http://127.1/", {}, "destination"],
    ["octal address", "http://0177.0.0.1/", {}, "destination"],
    ["metadata", "http://169.254.169.254/", {}, "destination"],
    ["multicast", "http://224.0.0.1/", {}, "destination"],
    ["line break", "http://127.0.0.1/\r\nx: y", {}, "destination"],
    ["space", "http://127.0.0.1/a b", {}, "destination"],
    ["option", "--insecure", {}, "destination"],
    ["port", "http://127.0.0.1:0/", {}, "destination"],
    ["other family", "http://127.0.0.1/", { ipVersion: "6" }, "--ip-version"],
    ["method", "http://127.0.0.1/", { method: "POST" }, "--method"],
    ["version", "http://127.0.0.1/", { httpVersion: "3" }, "--http-version"],
    ["redirects", "http://127.0.0.1/", { redirects: "21" }, "--redirects"],
    ["timeout", "http://127.0.0.1/", { timeout: "0.05" }, "--timeout"],
    ["long timeout", "http://127.0.0.1/", { timeout: "121" }, "--timeout"],
    ["bytes", "http://127.0.0.1/", { maxBytes: "1023" }, "--max-bytes"],
    ["many bytes", "http://127.0.0.1/", { maxBytes: String(16 * 1024 * 1024 + 1) }, "--max-bytes"],
    ["header injection", "http://127.0.0.1/", { headers: "X: a\r\nHost: b" }, "--headers"],
    ["host header", "http://127.0.0.1/", { headers: "Host: other" }, "--headers"],
    ["length header", "http://127.0.0.1/", { headers: "content-length: 5" }, "--headers"],
    ["credential header", "http://127.0.0.1/", { headers: "Authorization: Basic x" }, "--headers"],
    ["cookie header", "http://127.0.0.1/", { headers: "A: b | Cookie: x" }, "--headers"],
    ["header without a colon", "http://127.0.0.1/", { headers: "oops" }, "--headers"],
    ["status", "http://127.0.0.1/", { expectStatus: "20" }, "--expect-status"],
    ["status list", "http://127.0.0.1/", { expectStatus: "200,,301" }, "--expect-status"],
    ["header expected", "http://127.0.0.1/", { expectHeader: "no colon" }, "--expect-header"],
    ["line break expected", "http://127.0.0.1/", { expectBody: "a\nb" }, "--expect-body"],
    ["JSON path", "http://127.0.0.1/", { expectJson: "a..b = 1" }, "--expect-json"],
    ["JSON without a value", "http://127.0.0.1/", { expectJson: "a.b" }, "--expect-json"],
    ["a body of HEAD", "http://127.0.0.1/", { method: "HEAD", expectBody: "x" }, "--expect-body"],
  ];

  test.each(refused)("%s", (_name, destination, given, named) => {
    expect(() => readParameters("http", destination, given)).toThrow(UsageError);
    expect(() => readParameters("http", destination, given)).toThrow(named);
  });

  test.concurrent.each([
    [["--headers", "Host: x"], "--headers"],
    [["--max-bytes", "1e3"], "--max-bytes"],
    [["--post"], "--post"],
  ])("%s, by the program itself", async (args, named) => {
    const { port, connections } = await http((_, response) => response.end());
    const { code, stdout, stderr } = await cli(["probe", "http", `http://127.0.0.1:${port}/`, ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(named);
    expect(connections()).toBe(0);
  });

  test("what is wrong is all named at once", () => {
    const checked = checkTest("http", "gopher://x", { headers: "nothing", expect_json: "x", method: "HEAD" });
    expect(checked.ok ? [] : checked.errors.map(({ path }) => path)).toEqual([
      "destination",
      "params.headers",
      "params.expect_json",
      "params.expect_json",
    ]);
  });
});

describe("pure parts", () => {
  test.each([
    ["http://h.example", "/"],
    ["http://h.example?a=1&b=2", "/?a=1&b=2"],
    ["http://h.example/a%2fb/../c?x=%&y=[1]#z", "/a%2fb/../c?x=%&y=[1]"],
    ["http://h.example/ü?q=é", "/%C3%BC?q=%C3%A9"],
    ['http://h.example/a"b<c>', "/a%22b%3Cc%3E"],
  ])("the path of %s is %s", (url, path) => {
    expect(targetOf(url)).toMatchObject({ ok: true, target: { path, authority: "h.example" } });
  });

  test("authority names the port only when it is not the scheme's", () => {
    expect(targetOf("https://[2001:db8::1]:443/")).toMatchObject({
      target: { authority: "[2001:db8::1]", port: 443, host: "2001:db8::1" },
    });
    expect(targetOf("http://BÜCHER.example:8080/")).toMatchObject({
      target: { authority: "xn--bcher-kva.example:8080", port: 8080 },
    });
  });

  // RFC 9211 2.10 and what Cloudflare, CloudFront, Fastly and Varnish send.
  test.each([
    [{ "cache-status": ["ExampleCache; hit"] }, "hit"],
    [{ "cache-status": ["OriginCache; hit; ttl=1100", "CDN; fwd=uri-miss"] }, "miss"],
    [{ "cache-status": ['"a, b"; fwd=stale; stored'] }, "stale"],
    [{ "cache-status": ["ExampleCache; hit", "Next; fwd=bypass"], "x-cache": ["HIT"] }, "bypass"],
    [{ "cf-cache-status": ["DYNAMIC"] }, "dynamic"],
    [{ "x-cache": ["Hit from cloudfront"] }, "hit"],
    [{ "x-cache": ["HIT, MISS"] }, "miss"],
    [{ "x-cache": ["MISS"], age: ["12"] }, "miss"],
    [{ age: ["12"] }, "hit"],
    [{ age: ["soon"] }, undefined],
    [{ "cache-control": ["max-age=60"] }, undefined],
    [{ "cache-status": ["X"] }, undefined],
  ])("cache headers %j mean %s", (headers, status) => {
    expect(cacheReading(new Map(Object.entries(headers)))?.status).toBe(status);
  });

  test("statuses, header lines and JSON paths", () => {
    expect([statusFits(204, "2xx"), statusFits(301, "200, 3XX"), statusFits(404, "200,301"), statusFits(200, "200")]).toEqual([
      true,
      true,
      false,
      true,
    ]);
    expect(parseHeaderLine("X-A:  b: c ")).toEqual({ name: "x-a", value: "b: c" });
    expect(parseHeaderLine("bad name: x")).toBeUndefined();
    expect(parseJsonExpectation("a.b[0].c = value")).toEqual({ path: ["a", "b", 0, "c"], value: "value" });
    expect(parseJsonExpectation(" = 1")).toBeUndefined();
    expect(parseJsonExpectation(`a${".b".repeat(30)} = 1`)).toBeUndefined();
  });

  test("bars begin where the phase does, and the shortest phase leaves a mark", () => {
    expect(bar(0, 100, 100)).toHaveLength(48);
    expect(bar(0, 0, 100)).toBe("▏");
    expect(bar(50, 100, 100)).toBe(" ".repeat(24) + "█".repeat(24));
    expect(bar(100, 100, 100)).toHaveLength(48);
    expect(bar(0, 0, 0)).toBe("");
  });
});
