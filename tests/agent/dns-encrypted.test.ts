// The dns type over TLS (RFC 7858) and HTTPS (RFC 8484): verified certificates, phases apart, hostile servers.
import type { IncomingMessage, ServerResponse } from "node:http";
import { createSecureServer, type ServerHttp2Session } from "node:http2";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { createServer as createTls, getCACertificates, setDefaultCACertificates } from "node:tls";
import packet from "dns-packet";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { metricsOf } from "#contract/metrics";
import type { Measurement } from "#contract/result";
import { findTool } from "../../agent/exec.ts";
import { trustCa } from "../../agent/network.ts";
import type { ResolverDetail } from "../../agent/probes/dns-report.ts";
import { runTest } from "../../agent/runner.ts";
import { cli } from "./helpers/cli.ts";
import { certificates, closeLater, closeResolvers, framed, listener, readQueries, response } from "./helpers/dns-server.ts";

afterEach(closeResolvers);

const probe = (params: Record<string, unknown>): Promise<Measurement> =>
  runTest({ type: "dns", destination: "host.example", params: { timeout: 1, ...params } }, new AbortController().signal);

const reportOf = (result: Measurement): ResolverDetail | undefined => (result.detail.resolvers as ResolverDetail[])[0];

const replyTo = (raw: Buffer): Buffer => {
  const query = packet.decode(raw);
  return response({ query }, { answers: [{ name: "host.example", type: "A", ttl: 60, data: "192.0.2.1" }] });
};

function failedWith(result: Measurement, code: string, source = "resolver"): void {
  expect(result).toMatchObject({ status: "failed", error: { code, source }, metrics: { dns_query_ms: null, dns_answers: null } });
  expect(new Set(Object.keys(result.metrics))).toEqual(new Set(metricsOf("dns")));
  expect(result.reasons.dns_query_ms).toBeTypeOf("string");
}

interface Closable {
  listen(port: number, host: string, ready: () => void): unknown;
  address(): AddressInfo | string | null;
  close(): unknown;
  on(event: "connection", listener: (socket: Socket) => void): unknown;
}

async function started(server: Closable): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  closeLater(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const hasOpenssl = findTool("openssl") !== undefined;
const authority = hasOpenssl ? certificates() : undefined;
const usual = getCACertificates("default");
if (authority !== undefined) trustCa(authority.ca);
afterAll(() => setDefaultCACertificates(usual));

describe.skipIf(authority === undefined)("with an authority of our own (needs openssl)", () => {
  const good = () => authority?.good ?? { key: Buffer.alloc(0), cert: Buffer.alloc(0) };

  const dot = (
    certificate = good(),
    answer: (raw: Buffer, socket: Socket) => void = (raw, socket) => void socket.write(framed(replyTo(raw))),
  ) => {
    const server = createTls({ ...certificate, ALPNProtocols: ["dot"] }, (socket) => {
      socket.on("error", () => undefined);
      readQueries(socket, (raw) => answer(raw, socket));
    });
    server.on("tlsClientError", () => undefined);
    return started(server);
  };

  const bodyOf = async (request: IncomingMessage): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  };
  type Handler = (request: IncomingMessage, reply: ServerResponse) => void;
  const answering: Handler = async (request, reply) => {
    reply.setHeader("content-type", "application/dns-message");
    reply.end(replyTo(await bodyOf(request)));
  };
  const http1 = async (handler: Handler = answering) => `https://${await started(createHttps(good(), handler))}/dns-query`;
  const http2 = async (handler: Handler = answering, onSession: (session: ServerHttp2Session) => void = () => undefined) => {
    const server = createSecureServer({ ...good(), allowHTTP1: false }, handler as never);
    server.on("session", (session: ServerHttp2Session) => {
      session.on("error", () => undefined);
      onSession(session);
    });
    server.on("connection", (socket: Socket) => socket.on("error", () => undefined));
    return `https://${await started(server as unknown as Closable)}/dns-query`;
  };

  test("TLS: the handshake is apart from the query, and one connection serves several", async () => {
    const resolver = await dot();
    const result = await probe({ resolver, transport: "tls", count: 3, interval: 0.1 });
    expect(result).toMatchObject({ status: "ok", metrics: { dns_transport: "tls", dns_received: 3 } });
    const connect = reportOf(result)?.connect;
    expect(connect?.tls_ms).toBeGreaterThan(0);
    expect(result.metrics.dns_connect_ms).toBeCloseTo(Number(connect?.tcp_ms) + Number(connect?.tls_ms), 2);
    expect(Number(result.metrics.dns_query_ms)).toBeLessThan(Number(result.metrics.dns_connect_ms) + 20);
  });

  test("TLS by the program, with --ca and without", async () => {
    const resolver = await dot();
    const args = ["probe", "dns", "host.example", "--resolver", resolver, "--transport", "tls", "--json"];
    const [trusting, wary] = await Promise.all([cli([...args, "--ca", authority?.ca ?? ""]), cli(args)]);
    expect(trusting.code).toBe(0);
    expect(wary.code).toBe(1);
    expect(JSON.parse(wary.stdout)).toMatchObject({
      error: { code: "certificate", source: "resolver" },
      metrics: { dns_rcode: null },
    });
  });

  test("TLS: the certificate must be the resolver's, by address or by the name given", async () => {
    failedWith(await probe({ resolver: await dot(authority?.other), transport: "tls" }), "certificate");
    failedWith(await probe({ resolver: await dot(authority?.selfSigned), transport: "tls" }), "certificate");
    const resolver = await dot();
    expect((await probe({ resolver, transport: "tls", servername: "dns.test" })).status).toBe("ok");
    failedWith(await probe({ resolver, transport: "tls", servername: "other.test" }), "certificate");
  });

  test("TLS: no query is sent to whom the certificate does not belong", async () => {
    let heard = 0;
    const resolver = await dot(authority?.other, () => {
      heard += 1;
    });
    failedWith(await probe({ resolver, transport: "tls" }), "certificate");
    expect(heard).toBe(0);
  });

  test("TLS: the name in a certificate cannot act on a terminal", async () => {
    const result = await probe({ resolver: await dot(authority?.rude), transport: "tls", servername: "dns.test" });
    failedWith(result, "certificate");
    expect(result.error?.message).toContain("evil");
    expect(JSON.stringify([result.error, result.detail])).not.toMatch(/[\u007f-\u009f]|\\u001b/);
  });

  /** Holds back what goes to a server for a while, as a slow handshake would. */
  const slowly = async (server: string, delay_ms: number): Promise<string> => {
    const [, port = ""] = server.split(":");
    const { address } = await listener((socket) => {
      const onward = connect(Number(port), "127.0.0.1");
      onward.on("error", () => socket.destroy());
      socket.on("close", () => onward.destroy());
      onward.pipe(socket);
      setTimeout(() => socket.pipe(onward), delay_ms);
    });
    return address;
  };

  test.each(["tls", "https"])(
    "%s: a connection that several queries wait for has the time of the last one",
    async (transport) => {
      const server = transport === "tls" ? await dot() : new URL(await http2()).host;
      // The first query, at 0 s, is out of time at 0.6 s; the second waits from 0.4 s until 1 s.
      const resolver = await slowly(server, 750);
      const result = await probe({ resolver, transport, count: 2, interval: 0.4, timeout: 0.6 });
      expect(result).toMatchObject({ status: "partial", metrics: { dns_sent: 2, dns_received: 1, dns_answers: 1 } });
      expect(result.error).toMatchObject({ code: "dns_timeout", source: "resolver" });
      expect(result.error?.message).toContain("TLS handshake");
      expect(Number(result.metrics.dns_connect_ms)).toBeGreaterThan(700);
      expect(Number(result.metrics.dns_query_ms)).toBeLessThan(200);
    },
  );

  test("TLS: whoever waits in vain waits no longer than a try", async () => {
    const mute = await listener(() => undefined);
    const result = await probe({ resolver: mute.address, transport: "tls", count: 3, interval: 0.1, timeout: 0.4 });
    failedWith(result, "dns_timeout");
    expect(reportOf(result)?.outcomes).toEqual({ TIMEOUT: 3 });
    expect(result.duration_ms).toBeLessThan(680);
  });

  test("TLS: a server that speaks none, and one that says nothing", async () => {
    const plain = await listener((socket) => socket.on("data", () => socket.write("220 mail.example ESMTP\r\n")));
    failedWith(await probe({ resolver: plain.address, transport: "tls" }), "tls_failed");
    const mute = await listener(() => undefined);
    const result = await probe({ resolver: mute.address, transport: "tls", timeout: 0.4 });
    failedWith(result, "dns_timeout");
    expect(result.duration_ms).toBeLessThan(460);
  });

  test.each([
    ["HTTP/1.1", http1],
    ["HTTP/2", http2],
  ])("HTTPS by %s: one connection, times apart", async (_name, serve) => {
    const ports = new Set<number | undefined>();
    const requests: string[] = [];
    const url = await serve((request, reply) => {
      ports.add(request.socket.remotePort);
      requests.push(`${request.method} ${request.url} ${request.headers["content-type"]} ${request.headers.accept}`);
      setTimeout(() => answering(request, reply), 50);
    });
    const result = await probe({ resolver: url, count: 3, interval: 0.1 });
    expect(result).toMatchObject({
      status: "ok",
      metrics: { dns_transport: "https", dns_received: 3, dns_answers: 1, dns_server: url },
    });
    expect(Number(result.metrics.dns_query_min_ms)).toBeGreaterThan(49);
    expect(Number(result.metrics.dns_query_ms)).toBeLessThan(80);
    expect(Number(result.metrics.dns_connect_ms)).toBeGreaterThan(0);
    expect(ports.size).toBe(1);
    expect(new Set(requests)).toEqual(new Set(["POST /dns-query application/dns-message application/dns-message"]));
  });

  test("HTTPS: a connection the server closes between two queries is made anew", async () => {
    const url = await http1((request, reply) => {
      reply.setHeader("connection", "close");
      answering(request, reply);
    });
    expect((await probe({ resolver: url, count: 2, interval: 0.2 })).metrics.dns_received).toBe(2);
    const away = await http2(
      (request, reply) => {
        answering(request, reply);
      },
      (session) => setTimeout(() => session.close(), 60),
    );
    expect((await probe({ resolver: away, count: 2, interval: 0.3 })).metrics.dns_received).toBe(2);
  });

  const html: Handler = (_request, reply) => {
    reply.setHeader("content-type", "text/html");
    reply.end("<html>Please log in to the guest network</html>");
  };
  const status =
    (code: number): Handler =>
    (_request, reply) => {
      reply.writeHead(code, { location: "https://127.0.0.1:1/", "content-type": "application/dns-message" });
      reply.end();
    };
  const body =
    (make: (raw: Buffer) => Buffer): Handler =>
    async (request, reply) => {
      reply.setHeader("content-type", "application/dns-message");
      reply.end(make(await bodyOf(request)));
    };
  const endless: Handler = (_request, reply) => {
    reply.setHeader("content-type", "application/dns-message");
    const pour = () => {
      if (!reply.destroyed) reply.write(Buffer.alloc(16_384), () => setImmediate(pour));
    };
    pour();
  };
  const trickle: Handler = (_request, reply) => {
    reply.setHeader("content-type", "application/dns-message");
    const drip = setInterval(() => (reply.destroyed ? clearInterval(drip) : reply.write("x")), 20);
    reply.on("close", () => clearInterval(drip));
  };
  const lies: [string, Handler, string][] = [
    ["a page with status 200", html, "bad_response"],
    ["status 404", status(404), "http_status"],
    ["a redirect", status(302), "http_status"],
    ["an empty body", body(() => Buffer.alloc(0)), "bad_response"],
    ["garbage", body(() => Buffer.alloc(500, 0xc0)), "bad_response"],
    [
      "the answer to another question",
      body((raw) => response({ query: packet.decode(raw) }, { questions: [{ name: "evil.example", type: "A" }] })),
      "bad_response",
    ],
    ["a body without end", endless, "bad_response"],
    ["a body that trickles", trickle, "dns_timeout"],
    ["nothing", () => undefined, "dns_timeout"],
    ["a connection cut in the middle", (_request, reply) => void reply.socket?.destroy(), "reset"],
  ];
  test.each(lies)("HTTP/1.1: %s", async (_name, handler, code) => {
    const result = await probe({ resolver: await http1(handler), timeout: 0.5 });
    failedWith(result, code);
    expect(result.duration_ms).toBeLessThan(560);
    expect(result.metrics.dns_connect_ms).toBeTypeOf("number");
  });
  test.each(lies.filter(([name]) => !name.startsWith("a connection cut")))("HTTP/2: %s", async (_name, handler, code) => {
    const result = await probe({ resolver: await http2(handler), timeout: 0.5 });
    failedWith(result, code);
    expect(result.duration_ms).toBeLessThan(560);
  });

  test("HTTP/2: a session destroyed under the query", async () => {
    const sessions: ServerHttp2Session[] = [];
    const url = await http2(
      () => sessions[0]?.destroy(),
      (session) => sessions.push(session),
    );
    const result = await probe({ resolver: url, timeout: 0.5 });
    expect(result.status).toBe("failed");
    expect(["reset", "bad_response"]).toContain(result.error?.code);
    expect(result.duration_ms).toBeLessThan(560);
  });

  test("HTTPS: a resolver is named by its host; its path and query may be somebody's token", async () => {
    const paths: string[] = [];
    const url = await http1((request, reply) => {
      paths.push(request.url ?? "");
      answering(request, reply);
    });
    const { host } = new URL(url);
    const personal = `https://${host}/token-${"k".repeat(600)}?key=token`;
    const result = await probe({ resolver: `${personal},${url}` });
    expect(result.status).toBe("ok");
    expect(new Set(paths)).toEqual(new Set([personal.slice(`https://${host}`.length), "/dns-query"]));
    const labels = (result.detail.resolvers as ResolverDetail[]).map(({ server }) => server);
    expect(labels).toEqual([expect.stringMatching(/^https:\/\/127\.0\.0\.1:\d+\/…[0-9a-f]{6}$/), url]);
    expect(result.metrics.dns_server).toBe(labels[0]);
    expect(labels).toContain(result.metrics.dns_fastest_resolver);
    expect(JSON.stringify([result.metrics, result.detail])).not.toContain("token");
    // Profiles of one provider are several resolvers.
    const two = await probe({ resolver: `https://${host}/a,https://${host}/b` });
    expect(new Set((two.detail.resolvers as ResolverDetail[]).map(({ server }) => server)).size).toBe(2);
  });

  test("HTTPS: what is no HTTP at all", async () => {
    const server = createTls(good(), (socket) => {
      socket.on("error", () => undefined);
      socket.end("SSH-2.0-OpenSSH_9.2\r\n");
    });
    const result = await probe({ resolver: `https://${await started(server)}/dns-query`, timeout: 0.5 });
    failedWith(result, "bad_response");
  });

  test("UDP, TLS and HTTPS resolvers side by side", async () => {
    const [tls, url] = [await dot(), await http2()];
    const result = await probe({ resolver: `${tls},${url}`, transport: "tls" });
    expect(result).toMatchObject({ status: "ok", metrics: { dns_resolver_diff: false } });
    expect((result.detail.resolvers as ResolverDetail[]).map(({ transport }) => transport)).toEqual(["tls", "https"]);
  });
});
