// SIP OPTIONS against real sockets: servers that answer, that lose, that lie, that drip and that say nothing.
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTls } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { findTool } from "../../agent/exec.ts";
import type { Endpoint } from "../../agent/probes/endpoint.ts";
import { askOptions, type SipOutcome } from "../../agent/voice/sip.ts";
import { RESPONSE_MAX, ResponseReader, readResponse } from "../../agent/voice/sip-message.ts";
import { certificates } from "./helpers/dns-server.ts";
import { generator, mutate } from "./helpers/mutations.ts";

const open: (UdpSocket | Server)[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

/** Headers of a request by their lower-case names. */
function headersOf(request: string): Record<string, string> {
  const lines = request.split("\r\n").slice(1);
  return Object.fromEntries(
    lines
      .filter((line) => line.includes(":"))
      .map((line) => [line.split(":")[0]?.toLowerCase() ?? "", line.replace(/^[^:]*: ?/, "")]),
  );
}

/** A proper response to this request, with changes. */
function answer(request: string, status = "200 OK", change: Record<string, string | undefined> = {}, body = ""): string {
  const { via, from, to, "call-id": callId, cseq } = headersOf(request);
  const headers: Record<string, string | undefined> = {
    Via: via,
    From: from,
    To: `${to};tag=77`,
    "Call-ID": callId,
    CSeq: cseq,
    Server: "lab-pbx/1.0",
    "Content-Length": String(body.length),
    ...change,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return `SIP/2.0 ${status}\r\n${lines.join("\r\n")}\r\n\r\n${body}`;
}

const endpointAt = (port: number, host = "127.0.0.1"): Endpoint => ({
  host,
  address: "127.0.0.1",
  family: 4,
  port,
  resolve_ms: 0,
  resolved_by: "literal",
});

/** What a UDP server does with each request; it is told which one it is. */
type OnRequest = (request: string, reply: (text: string | Buffer) => void, count: number, from: RemoteInfo) => void;

async function udpServer(onRequest: OnRequest): Promise<{ port: number; requests: string[] }> {
  const socket = createSocket("udp4");
  open.push(socket);
  const requests: string[] = [];
  socket.on("message", (message, from) => {
    requests.push(message.toString("latin1"));
    onRequest(message.toString("latin1"), (text) => socket.send(text, from.port, from.address), requests.length, from);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return { port: socket.address().port, requests };
}

async function tcpServer(onRequest: (request: string, socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", (bytes) => onRequest(bytes.toString("latin1"), socket));
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return (server.address() as AddressInfo).port;
}

const ask = (port: number, transport: "udp" | "tcp" = "udp", ms = 2000): Promise<SipOutcome> =>
  askOptions({ endpoint: endpointAt(port), transport }, AbortSignal.timeout(ms));

const errorOf = (outcome: SipOutcome) => (outcome.ok ? undefined : outcome.error);

describe("over UDP", () => {
  test("a request by the book, answered at once", async () => {
    const { port, requests } = await udpServer((request, reply) => reply(answer(request)));
    const outcome = await ask(port);
    expect(outcome).toMatchObject({ ok: true, status: 200, reason: "OK", server: "lab-pbx/1.0", retransmissions: 0 });
    expect(outcome.ok && outcome.rtt_ms).toBeGreaterThan(0);
    expect(outcome.ok && outcome.rtt_ms).toBeLessThan(100);
    const [request = ""] = requests;
    expect(request.split("\r\n")[0]).toBe(`OPTIONS sip:127.0.0.1:${port} SIP/2.0`);
    const headers = headersOf(request);
    expect(headers.via).toMatch(/^SIP\/2\.0\/UDP 127\.0\.0\.1:\d+;branch=z9hG4bK[0-9a-f]{24};rport$/);
    expect(headers).toMatchObject({ "max-forwards": "70", cseq: "1 OPTIONS", "content-length": "0" });
    expect(headers.from).toMatch(/;tag=[0-9a-f]{24}$/);
    expect(request.endsWith("\r\n\r\n")).toBe(true);
  });

  test("no two requests share a branch, a Call-ID or a tag", async () => {
    const { port, requests } = await udpServer((request, reply) => reply(answer(request)));
    await Promise.all([ask(port), ask(port), ask(port)]);
    for (const name of ["via", "call-id", "from"] as const) {
      expect(new Set(requests.map((request) => headersOf(request)[name])).size).toBe(3);
    }
  });

  test("a lost request is sent again, the same one, after T1 (RFC 3261 17.1.2.2)", async () => {
    const { port, requests } = await udpServer((request, reply, count) => {
      if (count > 1) reply(answer(request));
    });
    const outcome = await ask(port);
    expect(outcome).toMatchObject({ ok: true, retransmissions: 1 });
    // From the first request on: what a phone would wait (RFC 6076).
    expect(outcome.ok && outcome.rtt_ms).toBeGreaterThan(490);
    expect(requests[1]).toBe(requests[0]);
  });

  test.each(["401 Unauthorized", "404 Not Found", "405 Method Not Allowed", "503 Service Unavailable", "603 Decline"])(
    "%s is an answer",
    async (status) => {
      const { port } = await udpServer((request, reply) => reply(answer(request, status)));
      expect(await ask(port)).toMatchObject({ ok: true, status: Number(status.slice(0, 3)), reason: status.slice(4) });
    },
  );

  test("a provisional answer is none, the final one is", async () => {
    const { port } = await udpServer((request, reply) => {
      reply(answer(request, "100 Trying"));
      setTimeout(() => reply(answer(request)), 50);
    });
    expect(await ask(port)).toMatchObject({ ok: true, status: 200 });
    const forever = await udpServer((request, reply) => reply(answer(request, "100 Trying")));
    const outcome = await ask(forever.port, "udp", 300);
    expect(errorOf(outcome)).toMatchObject({ code: "no_reply", source: "network" });
    expect(errorOf(outcome)?.message).toContain("100");
  });

  test.each([
    ["another branch", { Via: "SIP/2.0/UDP 127.0.0.1:1;branch=z9hG4bKforged;rport" }],
    ["no branch", { Via: "SIP/2.0/UDP 127.0.0.1:1" }],
    ["no Via", { Via: undefined }],
    ["another Call-ID", { "Call-ID": "forged" }],
    ["no Call-ID", { "Call-ID": undefined }],
    ["another method", { CSeq: "1 INVITE" }],
    ["another number", { CSeq: "2 OPTIONS" }],
  ])("an answer with %s is not ours", async (_what, change) => {
    const { port } = await udpServer((request, reply) => reply(answer(request, "200 OK", change)));
    expect(errorOf(await ask(port, "udp", 200))).toMatchObject({ code: "bad_response", source: "target" });
  });

  test("the real answer counts behind forged ones", async () => {
    const { port } = await udpServer((request, reply) => {
      reply(answer(request, "503 No", { "Call-ID": "forged" }));
      reply("garbage");
      reply(answer(request, "200 OK"));
    });
    expect(await ask(port)).toMatchObject({ ok: true, status: 200 });
  });

  test("a flood of garbage ends the wait, which says so", async () => {
    const { port } = await udpServer((_request, reply) => {
      for (let i = 0; i < 400; i++) reply(Buffer.from([i & 255, 0, 13, 10]));
    });
    const error = errorOf(await ask(port, "udp", 1500));
    expect(error).toMatchObject({ code: "bad_response", source: "target" });
    expect(error?.message).toMatch(/messages that are no answer/);
  });

  test("a flood of provisional answers ends the wait, which says so", async () => {
    const { port } = await udpServer((request, reply) => {
      for (let i = 0; i < 400; i++) reply(answer(request, "180 Ringing"));
    });
    const start = performance.now();
    const error = errorOf(await ask(port, "udp", 5000));
    expect(performance.now() - start).toBeLessThan(2500);
    expect(error).toMatchObject({ code: "bad_response", source: "target" });
    expect(error?.message).toMatch(/provisional answers, the last 180, and no final one/);
  });

  test("a datagram as large as they come, and headers without end", async () => {
    const { port } = await udpServer((request, reply) => reply(answer(request, "200 OK", { "X-Long": "a".repeat(60_000) })));
    expect(await ask(port)).toMatchObject({ ok: true, status: 200 });
    const many = Array.from({ length: 3000 }, (_, i) => `X-${i}: 1`).join("\r\n");
    const crowded = await udpServer((request, reply) => reply(answer(request, "200 OK", { "X-Many": `1\r\n${many}` })));
    expect(errorOf(await ask(crowded.port, "udp", 200))).toMatchObject({ code: "bad_response" });
  });

  test("what the server says of itself is kept printable and short", async () => {
    const evil = `\u001b[31mred\u0007${"x".repeat(5000)}`;
    const { port } = await udpServer((request, reply) => reply(answer(request, `200 ${evil}`, { Server: evil })));
    const outcome = await ask(port);
    expect(outcome.ok && outcome.reason).toMatch(/^\?\[31mred\?x+$/);
    expect(outcome.ok && outcome.reason.length).toBeLessThanOrEqual(100);
    expect(outcome.ok && (outcome.server?.length ?? 0)).toBeLessThanOrEqual(100);
  });

  test("silence is no answer in time, and it ends with its signal", async () => {
    const { port, requests } = await udpServer(() => undefined);
    const start = performance.now();
    const outcome = await ask(port, "udp", 700);
    expect(performance.now() - start).toBeLessThan(900);
    expect(outcome).toMatchObject({ ok: false, error: { code: "no_reply", source: "network" }, reason: "timeout" });
    expect(requests).toHaveLength(2);
  });

  test("a closed port is a refusal", async () => {
    const { port } = await udpServer(() => undefined);
    open.pop()?.close();
    const start = performance.now();
    expect(await ask(port)).toMatchObject({ ok: false, error: { code: "refused", source: "target" }, reason: "refused" });
    expect(performance.now() - start).toBeLessThan(1500);
  });
});

describe("over TCP", () => {
  test("an answer in single bytes behind keep-alives", async () => {
    const port = await tcpServer((request, socket) => {
      socket.setNoDelay(true);
      const bytes = Buffer.from(`\r\n\r\n${answer(request, "200 OK", {}, "v=0\r\n")}`);
      let next = 0;
      const drip = setInterval(() => {
        socket.write(bytes.subarray(next, next + 4));
        next += 4;
        if (next >= bytes.length) clearInterval(drip);
      }, 1);
    });
    expect(await ask(port, "tcp")).toMatchObject({ ok: true, status: 200, server: "lab-pbx/1.0" });
  });

  test("several messages in one piece: the final answer to us is found", async () => {
    const port = await tcpServer((request, socket) => {
      const forged = answer(request, "503 No", { "Call-ID": "forged" }, "body");
      socket.write(answer(request, "100 Trying") + forged + answer(request, "404 Not Found", { "Content-Length": undefined }));
    });
    const outcome = await ask(port, "tcp");
    expect(outcome).toMatchObject({ ok: true, status: 404 });
    expect(outcome.ok && outcome.connect_ms).toBeGreaterThan(0);
  });

  test("a connection closed in the middle, at once, and by a reset", async () => {
    const half = await tcpServer((request, socket) => socket.end(answer(request).slice(0, 40)));
    const shut = await tcpServer((_request, socket) => socket.end());
    const reset = await tcpServer((_request, socket) => socket.resetAndDestroy());
    for (const port of [half, shut, reset]) {
      expect(errorOf(await ask(port, "tcp"))).toMatchObject({ code: "reset", source: "target" });
    }
  });

  test.each([
    ["another protocol", "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ["no protocol", "\0\x01\x02\xff".repeat(50)],
    ["a body that would not end", "SIP/2.0 200 OK\r\nContent-Length: 999999\r\n\r\n"],
    ["a length that is none", "SIP/2.0 200 OK\r\nContent-Length: -1\r\n\r\n"],
    ["a head that does not end", `SIP/2.0 200 OK\r\n${"X: y\r\n".repeat(20_000)}`],
  ])("%s is given up at once", async (_what, text) => {
    const port = await tcpServer((_request, socket) => socket.write(text, "latin1"));
    const start = performance.now();
    expect(errorOf(await ask(port, "tcp"))).toMatchObject({ code: "bad_response", source: "target" });
    expect(performance.now() - start).toBeLessThan(1500);
  });

  test.each([
    ["provisional answers", (request: string) => answer(request, "100 Trying")],
    ["keep-alives", () => "\r\n".repeat(8192)],
    ["a head in many pieces", () => `SIP/2.0 200 OK\r\nX: ${"y".repeat(300)}`],
  ])("%s without end are not read until the deadline", async (_what, text) => {
    const port = await tcpServer((request, socket) => {
      const piece = text(request);
      const pump = () => {
        while (!socket.destroyed && socket.write(piece));
      };
      socket.on("drain", pump);
      pump();
    });
    const start = performance.now();
    expect(errorOf(await ask(port, "tcp", 8000))).toMatchObject({ code: "bad_response", source: "target" });
    expect(performance.now() - start).toBeLessThan(4000);
  });

  test("silence after the connection, and a port that nobody serves", async () => {
    const silent = await tcpServer(() => undefined);
    expect(errorOf(await ask(silent, "tcp", 200))).toMatchObject({ code: "no_reply" });
    const closed = await tcpServer(() => undefined);
    open.pop()?.close();
    expect(await ask(closed, "tcp")).toMatchObject({ ok: false, error: { code: "refused", source: "target" } });
  });

  test("a server that speaks no TLS", async () => {
    const port = await tcpServer((_request, socket) => socket.write("SIP/2.0 400 Bad Request\r\n\r\n"));
    const outcome = await askOptions({ endpoint: endpointAt(port), transport: "tls" }, AbortSignal.timeout(2000));
    expect(errorOf(outcome)).toMatchObject({ code: "tls_failed", source: "target" });
  });
});

describe.skipIf(findTool("openssl") === undefined)("over TLS (needs openssl)", () => {
  test("an answer behind a certificate nobody vouches for is an answer, and the certificate is told", async () => {
    const server = createTls(certificates().selfSigned, (socket) => {
      socket.on("error", () => socket.destroy());
      socket.once("data", (bytes) => socket.write(answer(bytes.toString("latin1"))));
    });
    open.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    const { port } = server.address() as AddressInfo;
    const outcome = await askOptions({ endpoint: endpointAt(port), transport: "tls" }, AbortSignal.timeout(5000));
    expect(outcome).toMatchObject({ ok: true, status: 200, certificate_error: "DEPTH_ZERO_SELF_SIGNED_CERT" });
    expect(outcome.ok && outcome.connect_ms).toBeGreaterThan(0);
  });
});

describe("damaged responses", () => {
  const request = { branch: "z9hG4bK0123", callId: "abc" };
  const whole = Buffer.from(
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060\r\n ;branch=z9hG4bK0123;received=192.0.2.1\r\ni: abc\r\nCSeq: 1 OPTIONS\r\nl: 4\r\n\r\nbody",
  );

  test("the whole one is read, folded lines and short names with it", () => {
    expect(readResponse(whole, request)).toEqual({ ok: true, response: { status: 200, reason: "OK", server: undefined } });
    expect(new ResponseReader().push(whole)).toEqual([whole]);
  });

  test("cut at each byte and changed at random: nothing throws, and no status is invented", () => {
    for (let end = 0; end < whole.length; end++) {
      const cut = whole.subarray(0, end);
      expect(readResponse(cut, request).ok).toBe(end >= whole.length - 4);
      expect(new ResponseReader().push(cut)).toEqual([]);
    }
    const random = generator(29);
    for (let run = 0; run < 5000; run++) {
      const bytes = mutate(whole, random, [whole]);
      const reading = readResponse(bytes, request);
      if (reading.ok) expect(bytes.toString("latin1")).toContain(`SIP/2.0 ${reading.response.status}`.slice(8));
      const pieces = new ResponseReader().push(bytes);
      if (Array.isArray(pieces)) for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(RESPONSE_MAX);
    }
  });

  test("however the bytes are cut into chunks, the same messages come out", () => {
    const body = Buffer.from("SIP/2.0 100 Trying\r\nl: 9\r\n\r\nab\r\n\r\ncd\n");
    const bytes = Buffer.concat([Buffer.from("\r\n\r\n"), whole, body, Buffer.from("\r\n"), whole, whole, body]);
    const random = generator(31);
    for (let run = 0; run < 2000; run++) {
      const reader = new ResponseReader();
      const messages: Buffer[] = [];
      for (let at = 0; at < bytes.length; ) {
        const length = 1 + Math.floor(random() * (run % 2 === 0 ? 8 : 300));
        const read = reader.push(bytes.subarray(at, at + length));
        if (!Array.isArray(read)) throw new Error(read.why);
        messages.push(...read);
        at += length;
      }
      expect(Buffer.concat(messages).equals(Buffer.concat([whole, body, whole, whole, body]))).toBe(true);
      expect(messages).toHaveLength(5);
    }
  });

  test("thousands of small messages in one chunk cost little, and a megabyte is all that is read", () => {
    const reader = new ResponseReader();
    const small = Buffer.from("SIP/2.0 100 A\r\nl:0\r\n\r\n".repeat(2900));
    const { user, system } = process.cpuUsage();
    for (let i = 0; i < 15; i++) expect(reader.push(small)).toHaveLength(2900);
    const spent = process.cpuUsage({ user, system });
    expect(spent.user + spent.system).toBeLessThan(1_000_000);
    expect(Array.from({ length: 3 }, () => reader.push(small)).at(-1)).toMatchObject({ why: expect.stringMatching(/too many/) });
  });

  test("a long drip of bytes costs little", () => {
    const reader = new ResponseReader();
    const start = performance.now();
    const [head, one] = [Buffer.from("SIP/2.0 200 OK\r\n"), Buffer.from("a")];
    reader.push(head);
    let fault = false;
    for (let i = 0; i < RESPONSE_MAX + 10 && !fault; i++) fault = !Array.isArray(reader.push(one));
    expect(fault).toBe(true);
    expect(performance.now() - start).toBeLessThan(1500);
  });
});
