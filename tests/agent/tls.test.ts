// tls by the real command line and the real runner, against real TLS servers on loopback, good ones and hostile ones.
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { metricsOf } from "#contract/metrics";
import type { Measurement } from "#contract/result";
import { readParameters } from "../../agent/cli-probe.ts";
import { daysLeft } from "../../agent/probes/certificate.ts";
import { LastSeen } from "../../agent/probes/certificate-memory.ts";
import { tlsView } from "../../agent/probes/tls-rows.ts";
import { runTest } from "../../agent/runner.ts";
import { cli } from "./helpers/cli.ts";

const DIR = fileURLToPath(new URL("./fixtures/tls/", import.meta.url));
const CA = `${DIR}root.pem`;
const pem = (name: string) => ({ cert: readFileSync(`${DIR}${name}.pem`), key: readFileSync(`${DIR}${name}.key`) });

const servers: Server[] = [];
const sockets = new Set<Socket>();

async function listen(server: Server): Promise<number> {
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** A TLS server with one of the recorded certificates. */
function secure(name: string, options: tls.TlsOptions = {}, onSocket?: (socket: tls.TLSSocket) => void): Promise<number> {
  const server = tls.createServer({ ...pem(name), ...options }, (socket) => {
    socket.on("error", () => socket.destroy());
    onSocket?.(socket);
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return listen(server);
}

/** A server that answers whatever bytes it likes. */
const raw = (onSocket: (socket: Socket) => void): Promise<number> => listen(createServer(onSocket));

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const server of servers.splice(0)) server.close();
});

// The runner in this process trusts the root as `--ca` makes the command line do.
beforeAll(() => tls.setDefaultCACertificates([...tls.getCACertificates("default"), readFileSync(CA, "utf8")]));

const never = new AbortController().signal;
const probe = (destination: string, params: Record<string, unknown> = {}, series?: string): Promise<Measurement> =>
  runTest({ type: "tls", destination, params, ...(series === undefined ? {} : { series }) }, never);

const everyMetricExplained = ({ metrics, reasons }: Measurement) => {
  expect(new Set(Object.keys(metrics))).toEqual(new Set(metricsOf("tls")));
  for (const name of metricsOf("tls")) {
    if (metrics[name] === null) expect(reasons[name], name).toBeTypeOf("string");
    else expect(reasons[name], name).toBeUndefined();
  }
};

describe("a good server", () => {
  test("by the command line: handshake, certificate and chain", async () => {
    const port = await secure("chain", { ALPNProtocols: ["h2"] });
    const { code, stdout, stderr } = await cli(["probe", "tls", `localhost:${port}`, "--ca", CA, "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const result = JSON.parse(stdout) as Measurement;
    expect(result).toMatchObject({ status: "ok", error: null, address: "127.0.0.1" });
    expect(result.metrics).toMatchObject({ tls_version: "TLSv1.3", tls_alpn: "h2", tls_authorized: true, tls_error: null });
    expect(result.metrics).toMatchObject({
      tls_resumed: false,
      tls_ocsp_stapled: false,
      cert_key_type: "ec",
      cert_key_bits: 256,
    });
    const leaf = new X509Certificate(pem("chain").cert);
    expect(result.metrics).toMatchObject({
      cert_subject_cn: "localhost",
      cert_issuer: "Test Intermediate",
      cert_sans: "localhost, 127.0.0.1",
      cert_not_after: "2125-01-01T00:00:00.000Z",
      cert_fingerprint_sha256: leaf.fingerprint256.replaceAll(":", "").toLowerCase(),
      cert_days_left: Math.floor((Date.UTC(2125, 0, 1) - Date.now()) / 86_400_000),
      cert_chain_len: 3,
    });
    expect(result.detail.chain).toMatchObject([
      { subject: "CN=localhost", issuer: "CN=Test Intermediate, O=Example" },
      { subject: "CN=Test Intermediate, O=Example", issuer: "CN=Test Root" },
      { subject: "CN=Test Root" },
    ]);
    everyMetricExplained(result);
  });

  test("a certificate card for people", async () => {
    const port = await secure("chain");
    const { stdout } = await cli(["probe", "tls", `localhost:${port}`, "--ca", CA]);
    expect(stdout).toMatch(/certificate +valid/);
    expect(stdout).toMatch(/time +until 2125-01-01, \d+ days left/);
    expect(stdout).toMatch(/signed by +CN=Test Intermediate/);
  });

  test("the handshake's time holds neither the connect nor the name", async () => {
    const target = await secure("chain");
    const port = await raw((socket) => {
      const onward = connect(target, "127.0.0.1");
      onward.on("error", () => socket.destroy());
      sockets.add(onward);
      onward.pipe(socket);
      setTimeout(() => socket.pipe(onward), 300);
    });
    const { metrics } = await probe(`localhost:${port}`);
    expect(Number(metrics.tls_handshake_ms)).toBeGreaterThan(250);
    expect(Number(metrics.tls_tcp_ms)).toBeLessThan(150);
  });

  test("asks by SNI for a name, never for an address; --servername chooses", async () => {
    const asked: unknown[] = [];
    const port = await secure("chain", {}, (socket) => asked.push(socket.servername));
    await probe(`localhost:${port}`);
    expect(await probe(`127.0.0.1:${port}`)).toMatchObject({ status: "ok" });
    expect(await probe(`127.0.0.1:${port}`, { servername: "other.example" })).toMatchObject({
      metrics: { tls_error: "ERR_TLS_CERT_ALTNAME_INVALID" },
    });
    // The server completes its handshakes as well: it is left politely, not with a reset.
    await expect.poll(() => asked).toEqual(["localhost", false, "other.example"]);
  });

  test("a stapled OCSP response is noticed", async () => {
    const server = tls.createServer(pem("chain"));
    server.on("OCSPRequest", (_certificate, _issuer, answer: (error: Error | null, response: Buffer) => void) =>
      answer(null, Buffer.from("30030a0106", "hex")),
    );
    const port = await listen(server);
    expect((await probe(`localhost:${port}`)).metrics.tls_ocsp_stapled).toBe(true);
  });

  test("which versions it takes", async () => {
    const port = await secure("chain", { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" });
    const result = await probe(`localhost:${port}`, { check_versions: true });
    expect(result.metrics).toMatchObject({ tls_version: "TLSv1.2", tls_versions: "TLSv1.2" });
    expect(result.detail.versions).toEqual({
      TLSv1: "refused",
      "TLSv1.1": "refused",
      "TLSv1.2": "accepted",
      "TLSv1.3": "refused",
    });
    expect((await probe(`localhost:${port}`)).reasons.tls_versions).toBe("not_applicable");
  });

  test("what this host itself refuses, or what is no TLS, says nothing about a version", async () => {
    // A server that knows TLS 1.2 and nothing of secure renegotiation (RFC 5746), which OpenSSL insists on.
    const old = await raw((socket) => void socket.once("data", () => socket.write(SERVER_HELLO)));
    const insecure = await probe(`localhost:${old}`, { check_versions: true, timeout: 3 });
    expect(insecure.detail.versions).toEqual({
      TLSv1: "refused",
      "TLSv1.1": "refused",
      "TLSv1.2": "unknown",
      "TLSv1.3": "refused",
    });
    expect(insecure).toMatchObject({ metrics: { tls_versions: null }, reasons: { tls_versions: "unsupported" } });
    const plain = await raw((socket) => void socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")));
    const spoken = await probe(`localhost:${plain}`, { check_versions: true, timeout: 3 });
    expect(new Set(Object.values(spoken.detail.versions as object))).toEqual(new Set(["unknown"]));
    expect(spoken.metrics.tls_versions).toBeNull();
  });

  test.each([
    ["handshake_failure", "15030300020228", "none"],
    ["unrecognized_name", "15030300020270", null],
    ["no_application_protocol", "15030300020278", null],
  ])("an alert refuses the version, unless it is about something else: %s", async (_name, alert, versions) => {
    const port = await raw((socket) => void socket.once("data", () => socket.end(Buffer.from(alert, "hex"))));
    expect((await probe(`localhost:${port}`, { check_versions: true, timeout: 3 })).metrics.tls_versions).toBe(versions);
  });

  test("a server that closes at a version it does not take has refused it", async () => {
    const port = await raw((socket) => void socket.once("data", () => socket.end()));
    expect((await probe(`localhost:${port}`, { check_versions: true, timeout: 3 })).metrics.tls_versions).toBe("none");
  });

  test("old versions are found where they still are", async () => {
    const port = await secure("chain", { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" });
    const refused = await probe(`localhost:${port}`, { check_versions: true });
    expect(refused).toMatchObject({ status: "failed", error: { code: "tls_failed", source: "target" } });
    expect(refused.metrics.tls_versions).toBe("TLSv1, TLSv1.1");
    expect((await probe(`localhost:${port}`, { min_version: "TLSv1" })).metrics.tls_version).toBe("TLSv1.1");
  });
});

describe("a certificate that is not valid is measured like any other, and the target's fault", () => {
  test.each([
    ["expired", "expired", {}, "CERT_HAS_EXPIRED", /ended on 2021-01-01/],
    ["not yet valid", "future", {}, "CERT_NOT_YET_VALID", /begins on 2100-01-01/],
    [
      "wrong name",
      "chain",
      { servername: "crm.example" },
      "ERR_TLS_CERT_ALTNAME_INVALID",
      /names localhost, 127\.0\.0\.1, not crm\.example/,
    ],
  ])("%s", async (_name, certificate, params, code, words) => {
    const port = await secure(certificate);
    const result = await probe(`localhost:${port}`, params);
    expect(result).toMatchObject({ status: "failed", error: { code: "certificate", source: "target" } });
    expect(result.error?.message).toMatch(words);
    expect(result.metrics).toMatchObject({
      tls_authorized: false,
      tls_error: code,
      tls_version: "TLSv1.3",
      cert_subject_cn: "localhost",
    });
    expect(Number(result.metrics.tls_handshake_ms)).toBeGreaterThan(0);
    expect(result.metrics.cert_days_left).toBeTypeOf("number");
    everyMetricExplained(result);
  });

  test("unknown issuer, by the command line without --ca", async () => {
    const port = await secure("chain");
    const { code, stdout } = await cli(["probe", "tls", `localhost:${port}`, "--json"]);
    expect(code).toBe(1);
    const result = JSON.parse(stdout) as Measurement;
    expect(result.error).toMatchObject({ code: "certificate", message: expect.stringContaining("--ca") });
    expect(["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_GET_ISSUER_CERT"]).toContain(
      result.metrics.tls_error,
    );
    expect(result.metrics.cert_issuer).toBe("Test Intermediate");
  });

  test("days are whole and rounded down, also past the end", () => {
    const end = Date.UTC(2026, 0, 31);
    expect(daysLeft(end, end - 30 * 86_400_000)).toBe(30);
    expect(daysLeft(end, end - 30 * 86_400_000 + 1)).toBe(29);
    expect(daysLeft(end, end + 1)).toBe(-1);
  });

  test("hostile names stay text of bounded length, in the result and on the terminal", async () => {
    const port = await secure("hostile");
    const result = await probe(`127.0.0.1:${port}`);
    expect(result).toMatchObject({ status: "ok", detail: { sans_count: 401 } });
    expect(result.detail.sans).toHaveLength(50);
    expect(String(result.metrics.cert_sans).length).toBeLessThanOrEqual(500);
    expect(String(result.metrics.cert_subject_cn)).toContain("evil");
    const shown = JSON.stringify(tlsView(result)) + JSON.stringify([result.metrics, result.detail]);
    expect(JSON.stringify(result).length).toBeLessThan(10_000);
    for (const character of ["\u001b", "\\u001b", "\u202e"]) expect(shown).not.toContain(character);
  });
});

describe("whether the certificate changed", () => {
  test("is known from a test's second run on", async () => {
    const first = await secure("chain");
    const second = await secure("hostile");
    const changed = async (port: number, series?: string) => (await probe(`127.0.0.1:${port}`, {}, series)).metrics.cert_changed;
    expect(await changed(first, "test-a")).toBeNull();
    expect(await changed(first, "test-a")).toBe(false);
    expect(await changed(second, "test-a")).toBe(true);
    expect(await changed(second, "test-b")).toBeNull();
    expect(await changed(second)).toBeNull();
  });

  test("is not remembered of more tests than an agent can have", () => {
    const seen = new LastSeen();
    seen.swap("first", "a");
    for (let i = 0; i < 1000; i++) seen.swap(`test-${i}`, "b");
    expect(seen.swap("first", "a")).toBeUndefined();
    expect(seen.swap("test-999", "c")).toBe("b");
  });
});

const ALERT_HANDSHAKE_FAILURE = Buffer.from("15030300020228", "hex");
/** A ServerHello of TLS 1.2 (RFC 5246 7.4.1.3) and the head of a Certificate message of 16 MiB. */
const SERVER_HELLO = Buffer.concat([
  Buffer.from("160303002a020000260303", "hex"),
  Buffer.alloc(32, 7),
  Buffer.from("00c02f00", "hex"),
]);
const ENDLESS_CHAIN = Buffer.concat([Buffer.from("16030340000bffffff", "hex"), Buffer.alloc(0x4000 - 4, 0)]);

describe("hostile servers", () => {
  test.each<[string, (socket: Socket) => void, string, string]>([
    ["closes at the ClientHello", (socket) => void socket.once("data", () => socket.end()), "tls_failed", "ECONNRESET"],
    ["resets at the ClientHello", (socket) => void socket.once("data", () => socket.resetAndDestroy()), "reset", "ECONNRESET"],
    [
      "speaks plain HTTP",
      (socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"),
      "tls_failed",
      "ERR_SSL_WRONG_VERSION_NUMBER",
    ],
    ["speaks SMTP", (socket) => void socket.write("220 mail.example ESMTP\r\n"), "tls_failed", "ERR_SSL_WRONG_VERSION_NUMBER"],
    ["sends zeros", (socket) => void socket.write(Buffer.alloc(70_000)), "tls_failed", "ERR_SSL_WRONG_VERSION_NUMBER"],
    ["sends an alert", (socket) => void socket.write(ALERT_HANDSHAKE_FAILURE), "tls_failed", "HANDSHAKE_FAILURE"],
  ])("one that %s", async (_name, behave, code, nodeCode) => {
    const port = await raw(behave);
    const result = await probe(`localhost:${port}`, { timeout: 3 });
    expect(result).toMatchObject({ status: "failed", error: { code, source: "target" } });
    expect(result.metrics.tls_error).toContain(nodeCode);
    expect(result.metrics.tls_tcp_ms).toBeTypeOf("number");
    expect(result.metrics).toMatchObject({ tls_handshake_ms: null, tls_authorized: null, cert_days_left: null });
    expect(result.duration_ms).toBeLessThan(2000);
    everyMetricExplained(result);
  });

  test("an endless certificate chain is cut off", async () => {
    let sent = 0;
    const port = await raw((socket) => {
      const flood = () => {
        while (!socket.destroyed && sent < 64 << 20 && socket.write(ENDLESS_CHAIN)) sent += ENDLESS_CHAIN.length;
      };
      socket.once("data", () => {
        socket.write(SERVER_HELLO);
        socket.on("drain", flood);
        flood();
      });
    });
    const result = await probe(`localhost:${port}`, { timeout: 5, max_version: "TLSv1.2" });
    expect(result).toMatchObject({ status: "failed", error: { code: "tls_failed", source: "target" } });
    expect(result.duration_ms).toBeLessThan(4000);
    expect(sent).toBeLessThan(64 << 20);
  });

  test.concurrent.each<[string, (socket: Socket) => void]>([
    ["says nothing", () => undefined],
    [
      "says a byte now and then",
      (socket) => {
        let i = 0;
        const drip = setInterval(() => socket.write(SERVER_HELLO.subarray(i, ++i)), 100);
        socket.on("close", () => clearInterval(drip));
      },
    ],
  ])("one that %s costs the deadline and no more", async (_name, behave) => {
    const server = createServer((socket) => {
      socket.on("error", () => socket.destroy());
      behave(socket);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const result = await probe(`127.0.0.1:${port}`, { timeout: 1.5, check_versions: true });
    server.close();
    expect(result).toMatchObject({ status: "failed", error: { code: "deadline", source: "target" } });
    expect(result.metrics).toMatchObject({
      tls_tcp_ms: expect.any(Number) as number,
      tls_handshake_ms: null,
      tls_versions: null,
    });
    expect(result.reasons).toMatchObject({ tls_handshake_ms: "timeout", tls_versions: "timeout", cert_days_left: "timeout" });
    expect(Math.abs(result.duration_ms - 1500)).toBeLessThan(150);
    everyMetricExplained(result);
  });

  test("no protocol in common names the option", async () => {
    const port = await secure("chain", { ALPNProtocols: ["http/1.1"] });
    const result = await probe(`localhost:${port}`, { alpn: "smtp" });
    expect(result.error).toMatchObject({ code: "tls_failed", message: expect.stringContaining("--alpn") });
    expect((await probe(`localhost:${port}`, { alpn: "" })).metrics.tls_alpn).toBeNull();
  });

  test("nobody there: refused, without a time of any kind", async () => {
    const port = await raw(() => undefined);
    servers.pop()?.close();
    const result = await probe(`127.0.0.1:${port}`);
    expect(result).toMatchObject({ status: "failed", error: { code: "refused", source: "target" } });
    expect(Object.values(result.metrics).filter((value) => value !== null)).toEqual([]);
    expect(new Set(Object.values(result.reasons))).toContain("refused");
    everyMetricExplained(result);
  });

  test("stopped from outside", async () => {
    const port = await raw((socket) => void socket.once("data", () => stop.abort()));
    const stop = new AbortController();
    const result = await runTest({ type: "tls", destination: `127.0.0.1:${port}`, params: {} }, stop.signal);
    expect(result).toMatchObject({ status: "failed", error: { code: "aborted", source: "agent" } });
    expect(result.duration_ms).toBeLessThan(2000);
  });
});

describe("wrong arguments name the option", () => {
  test.each<[string, Record<string, unknown>, string]>([
    ["localhost:0", {}, "destination"],
    ["https://localhost/", {}, "destination"],
    ["localhost", { port: "65536" }, "--port"],
    ["localhost", { servername: "a b" }, "--servername"],
    ["localhost", { servername: "192.0.2.1" }, "--servername"],
    ["localhost", { servername: "-f" }, "--servername"],
    ["localhost", { alpn: "h2,,http/1.1" }, "--alpn"],
    ["localhost", { alpn: "h\u00e92" }, "--alpn"],
    ["localhost", { minVersion: "SSLv3" }, "--min-version"],
    ["localhost", { minVersion: "TLSv1.3", maxVersion: "TLSv1.2" }, "--min-version"],
    ["localhost", { timeout: "0" }, "--timeout"],
    ["192.0.2.1", { ipVersion: "6" }, "--ip-version"],
  ])("%s %j", (destination, given, named) => {
    expect(() => readParameters("tls", destination, given)).toThrow(named);
  });

  test("by the program itself, and nobody is connected to", async () => {
    let connections = 0;
    const port = await raw(() => {
      connections += 1;
    });
    const { code, stdout, stderr } = await cli(["probe", "tls", `127.0.0.1:${port}`, "--min-version", "SSLv3"]);
    expect({ code, stdout, connections }).toEqual({ code: 2, stdout: "", connections: 0 });
    expect(stderr).toContain("--min-version");
  });
});
