// Redirects: each one a request of its own, none followed to where the run may not go.
import { describe, expect, test } from "vitest";
import { TEST_TYPES } from "#contract/test-types/index";
import { vetoOf } from "../../agent/consent.ts";
import { trustCa } from "../../agent/network.ts";
import { CA_FILE, http, https, probe } from "./helpers/web-server.ts";

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A server that sends everybody elsewhere; `/end` is where it ends. */
const sender = (location: (path: string) => string | undefined, delay_ms = 0) => {
  const seen: { path: string; headers: Record<string, unknown> }[] = [];
  const listening = http((request, response) => {
    const path = request.url ?? "";
    seen.push({ path, headers: request.headers });
    const to = location(path);
    void wait(to === undefined ? 0 : delay_ms).then(() => {
      if (to === undefined) response.end("end");
      else response.writeHead(302, { location: to, "set-cookie": "id=secret" }).end("moved");
    });
  });
  return listening.then((server) => ({ ...server, seen }));
};

describe("redirects that are followed", () => {
  test("the phases are the last request's; the time before it has a metric of its own", async () => {
    const { port, seen } = await sender(
      (path) => (path === "/end?a=1&b=%2F" ? undefined : path === "/1" ? "end?a=1&b=%2F" : "/1"),
      120,
    );
    const result = await probe(`http://127.0.0.1:${port}/`, { reuse: false });
    expect(result.status).toBe("ok");
    expect(seen.map(({ path }) => path)).toEqual(["/", "/1", "/end?a=1&b=%2F"]);
    expect(result.metrics).toMatchObject({
      http_status: 200,
      http_redirects: 2,
      http_final_url: `http://127.0.0.1:${port}/end?a=…&b=…`,
      http_bytes_wire: 3,
    });
    expect(result.metrics.http_redirects_ms).toBeGreaterThan(235);
    expect(result.metrics.http_ttfb_ms).toBeLessThan(100);
    expect(result.metrics.http_total_ms).toBeLessThan(110);
    expect(result.detail.redirects).toMatchObject([
      { url: `http://127.0.0.1:${port}/`, status: 302 },
      { url: `http://127.0.0.1:${port}/1`, status: 302 },
    ]);
    // A cookie that was set on the way goes nowhere.
    expect(seen.some(({ headers }) => "cookie" in headers)).toBe(false);
  });

  test("the test's own headers stay with the server they are meant for", async () => {
    const other = await sender(() => undefined);
    const { port, seen } = await sender(() => `http://127.0.0.1:${other.port}/end`);
    await probe(`http://127.0.0.1:${port}/`, { headers: "X-Key: 1", reuse: false });
    expect(seen[0]?.headers["x-key"]).toBe("1");
    expect(other.seen[0]?.headers).not.toHaveProperty("x-key");
  });

  test("up to https, but not down again", async () => {
    trustCa(CA_FILE);
    const plain = await sender(() => undefined);
    const secure = await https((request, response) => {
      if (request.url === "/down") response.writeHead(301, { location: `http://localhost:${plain.port}/end` });
      response.end("secure");
    });
    const up = await sender(() => `https://localhost:${secure.port}/`);
    const upwards = await probe(`http://127.0.0.1:${up.port}/`);
    expect(upwards).toMatchObject({ status: "ok", metrics: { http_redirects: 1, tls_authorized: true } });
    const down = await probe(`https://localhost:${secure.port}/down`);
    expect(down).toMatchObject({ status: "failed", error: { code: "bad_response" }, flags: ["https_downgrade"] });
    expect(down.metrics).toMatchObject({ http_status: 301, http_redirects: 0 });
    expect(plain.seen).toHaveLength(0);
  });

  test("none, when the redirect itself is what is tested", async () => {
    const { port, seen } = await sender(() => "/end");
    const result = await probe(`http://127.0.0.1:${port}/`, {
      redirects: 0,
      expect_status: "302",
      expect_header: "location: /end",
    });
    expect(result).toMatchObject({ status: "ok", metrics: { http_status: 302, http_redirects: 0, http_assertions_ok: true } });
    // The second one is the reuse's.
    expect(seen.map(({ path }) => path)).toEqual(["/", "/"]);
  });
});

describe("redirects that are not followed fail the run, with what was measured until then", () => {
  const refused: [string, string][] = [
    ["another scheme", "ftp://127.0.0.1/"],
    ["a script", "javascript:alert(1)"],
    ["a file", "file:///etc/passwd"],
    ["a scheme without its slashes", "http:127.0.0.1"],
    ["a user name and password", "http://user:secret@127.0.0.1/"],
    ["a number for an address", "http://2130706433/"],
    ["a short address", "http://127.1/"],
    ["the same without a scheme", "//127.1/"],
    ["an octal address", "http://0177.0.0.1/"],
    ["the cloud's metadata", "http://169.254.169.254/latest/meta-data/"],
    ["the cloud's metadata in IPv6 clothes", "http://[::ffff:169.254.169.254]/"],
    ["the unspecified address", "http://0.0.0.0/"],
    ["a multicast address", "http://224.0.0.1/"],
    ["no URL at all", "http://"],
    ["a port that is none", "http://127.0.0.1:99999/"],
  ];

  test.each(refused)("%s", async (_name, location) => {
    const { port, seen } = await sender(() => location);
    const result = await probe(`http://127.0.0.1:${port}/`);
    expect(result).toMatchObject({
      status: "failed",
      error: { code: "bad_response", source: "target" },
      flags: ["redirect_refused"],
      // The redirect's own body was not read: its size and the time of its end are not known.
      metrics: { http_status: 302, http_redirects: 0, http_bytes_wire: null, http_download_ms: null, http_total_ms: null },
      reasons: { http_bytes_wire: "not_applicable", http_download_ms: "not_applicable", http_total_ms: "not_applicable" },
    });
    expect(result.error?.message).toContain("redirect");
    expect(result.metrics.http_ttfb_ms).toBeGreaterThan(0);
    expect(JSON.stringify(result)).not.toContain("secret");
    expect(seen).toHaveLength(1);
    for (const name of TEST_TYPES.http.metrics)
      expect(result.metrics[name] === null, name).toBe(result.reasons[name] !== undefined);
  });

  test("a circle", async () => {
    const { port, seen } = await sender((path) => (path === "/a" ? "/b" : "/a"));
    const result = await probe(`http://127.0.0.1:${port}/a`);
    expect(result).toMatchObject({ status: "failed", error: { code: "bad_response" }, flags: ["redirect_loop"] });
    expect(result.metrics).toMatchObject({ http_bytes_wire: null, http_total_ms: null });
    expect(seen).toHaveLength(2);
  });

  test("too many", async () => {
    const { port, seen } = await sender((path) => `${path}1`);
    const result = await probe(`http://127.0.0.1:${port}/`, { redirects: 3 });
    expect(result).toMatchObject({
      status: "failed",
      error: { code: "bad_response" },
      flags: ["redirect_limit"],
      metrics: { http_redirects: 3, http_bytes_wire: null, http_download_ms: null, http_total_ms: null },
    });
    expect(seen).toHaveLength(4);
    expect(result.detail.redirects).toHaveLength(3);
  });

  test("the other IP version", async () => {
    const { port } = await sender(() => "http://[::1]/");
    const result = await probe(`http://127.0.0.1:${port}/`, { ip_version: 4 });
    expect(result).toMatchObject({ status: "failed", error: { code: "bad_response" }, flags: ["redirect_refused"] });
  });

  test("a host that this host's owner forbids", async () => {
    const other = await sender(() => undefined);
    const { port } = await sender(() => `http://127.0.0.2:${other.port}/`);
    const veto = vetoOf({ destinations: ["127.0.0.1"] });
    const result = await probe(`http://127.0.0.1:${port}/`, {}, veto);
    expect(result).toMatchObject({
      status: "failed",
      error: { code: "not_consented", source: "agent" },
      metrics: { http_status: null },
      reasons: { http_status: "not_applicable" },
      flags: ["redirect_refused"],
    });
    expect(result.error?.message).toContain("127.0.0.2");
    expect(other.connections()).toBe(0);
  });
});

describe("what redirects carry is not kept: tokens and sessions stand in their queries", () => {
  const SECRET = "s3cr3t";
  const leading = `/next?code=${SECRET}&state=${SECRET};sid=${SECRET}&${SECRET}#access_token=${SECRET}`;
  const kept = "?code=…&state=…;sid=…&…";

  test("of a redirect that is followed, the names of the query's keys", async () => {
    const end = `end;jsessionid=${SECRET}?ticket=${SECRET}&flag=`;
    const { port, seen } = await sender((path) =>
      path.startsWith("/end") ? undefined : path.startsWith("/next") ? end : leading,
    );
    const result = await probe(`http://127.0.0.1:${port}/start?mine=1`, { reuse: false });
    expect(result.metrics).toMatchObject({
      http_status: 200,
      http_final_url: `http://127.0.0.1:${port}/end;jsessionid=…?ticket=…&flag=…`,
    });
    expect(result.detail.redirects).toMatchObject([
      // The test named this one itself.
      { url: `http://127.0.0.1:${port}/start?mine=1`, total_ms: expect.any(Number) as number },
      { url: `http://127.0.0.1:${port}/next${kept}` },
    ]);
    expect(JSON.stringify(result)).not.toContain(SECRET);
    // The servers got them whole.
    expect(seen.at(-1)?.path).toBe(`/${end}`);
  });

  test("of one that is refused, in whatever way", async () => {
    const places: [string, object][] = [
      [`ftp://127.0.0.1${leading}`, {}],
      [`http://user:${SECRET}@127.0.0.1/`, {}],
      [leading, { redirects: 0, expect_header: "location: /elsewhere" }],
      [`/a?x=${SECRET}`, { redirects: 1 }],
      [`/start?x=${SECRET}`, { redirects: 3 }],
      [`http://[::1]${leading}`, { ip_version: 4 }],
    ];
    for (const [location, params] of places) {
      const { port } = await sender(() => location);
      const result = await probe(`http://127.0.0.1:${port}/start`, { reuse: false, ...params });
      expect(result.status, location).toBe("failed");
      expect(JSON.stringify(result), location).not.toContain(SECRET);
    }
  });
});
