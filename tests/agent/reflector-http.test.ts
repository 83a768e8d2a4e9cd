// The throughput server on real sockets: who may fill the line, exact counts, and what it does with everybody else.
import { once } from "node:events";
import { request } from "node:http";
import { brotliCompressSync, constants } from "node:zlib";
import { expect, test, vi } from "vitest";
import { authorizationFor, HttpGate, NONCE_LIFE_MS, readChallenge } from "../../agent/reflector/http-auth.ts";
import { Line } from "../../agent/reflector/http-line.ts";
import { networkOf, Strangers } from "../../agent/reflector/http-strangers.ts";
import { HTTP_LIMITS } from "../../agent/reflector/limits.ts";
import { newSecret } from "../../agent/stamp/key.ts";
import { sessionFor, startReflector } from "./helpers/reflector.ts";
import { ask, counts, hold, nonceOf, prove, speak } from "./helpers/throughput.ts";

/** Finds whatever repeats within 16 MiB. */
const LARGE_WINDOW = { params: { [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_QUALITY]: 5 } };

const problemOf = (body: Buffer) => JSON.parse(body.toString()) as { code: string; status: number; detail: string };

test("without proof nothing is sent but a nonce and a short problem", async () => {
  const { port, reflector } = await startReflector();
  for (const [method, target, body] of [
    ["GET", "/__down?bytes=1000000", undefined],
    ["POST", "/__up", Buffer.alloc(100_000)],
  ] as const) {
    const answer = await ask(port, method, target, body && { body });
    expect(answer.status).toBe(401);
    expect(readChallenge(String(answer.headers["www-authenticate"]))).toMatch(/^[\w-]{43}$/);
    expect(problemOf(answer.body).code).toBe("unauthenticated");
    expect(answer.body.length).toBeLessThan(300);
  }
  expect(reflector.stats?.http).toMatchObject({ downloads: 0, uploads: 0, sent_bytes: 0, received_bytes: 0 });
});

test.each([0, 1, 65_536, 262_145, 3_000_001])(
  "a download of %i bytes is exactly that, and no link can compress it",
  async (bytes) => {
    const { port, secret, reflector } = await startReflector();
    const answer = await prove(port, sessionFor(secret), "GET", `/__down?bytes=${bytes}`);
    expect(answer.status).toBe(200);
    expect(answer.headers["content-length"]).toBe(String(bytes));
    expect(answer.body).toHaveLength(bytes);
    if (bytes > 0) expect(brotliCompressSync(answer.body, LARGE_WINDOW).length).toBeGreaterThanOrEqual(bytes);
    await vi.waitFor(() => expect(reflector.stats?.http).toMatchObject({ downloads: 1, sent_bytes: bytes }));
  },
);

test("an upload is counted as it arrives, by rising times and bytes, and the last line has all of it", async () => {
  const { port, secret, reflector } = await startReflector();
  const session = sessionFor(secret);
  const authorization = authorizationFor(session, "POST", "/__up", await nonceOf(port));
  const outgoing = request({ host: "127.0.0.1", port, method: "POST", path: "/__up", headers: { authorization } });
  const parts: Buffer[] = [];
  outgoing.flushHeaders();
  // The answer begins before the body ends: the counts are there to be watched.
  const [incoming] = (await once(outgoing, "response")) as [import("node:http").IncomingMessage];
  incoming.on("data", (part: Buffer) => parts.push(part));
  let sent = 0;
  for (let i = 0; i < 8; i++) {
    outgoing.write(Buffer.alloc(100_000 + i));
    sent += 100_000 + i;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  outgoing.end();
  await once(incoming, "end");
  const rows = counts(Buffer.concat(parts));
  expect(rows.length).toBeGreaterThanOrEqual(4);
  expect(rows[0]?.bytes).toBe(0);
  expect(rows.filter(({ done }) => done === true)).toEqual([rows.at(-1)]);
  expect(rows.at(-1)).toMatchObject({ bytes: sent });
  expect(rows.at(-1)?.cut).toBeUndefined();
  for (const [i, row] of rows.entries()) {
    expect(row.t_ms).toBeGreaterThanOrEqual(rows[i - 1]?.t_ms ?? 0);
    expect(row.bytes).toBeGreaterThanOrEqual(rows[i - 1]?.bytes ?? 0);
  }
  const gaps = rows.slice(1, -1).map((row, i) => row.t_ms - (rows[i]?.t_ms ?? 0));
  for (const gap of gaps) expect(gap).toBeGreaterThan(HTTP_LIMITS.count_ms - 30);
  await vi.waitFor(() => expect(reflector.stats?.http).toMatchObject({ uploads: 1, received_bytes: sent }));
});

test("a large upload in one go is counted to the byte", async () => {
  const { port, secret } = await startReflector();
  const answer = await prove(port, sessionFor(secret), "POST", "/__up", Buffer.alloc(20_000_003));
  expect(answer.status).toBe(200);
  expect(counts(answer.body).at(-1)).toMatchObject({ bytes: 20_000_003, done: true });
});

test("a proof holds once, for its method, its path and query, its identifier and its key", async () => {
  const now = Date.now();
  const old = newSecret();
  const secret = newSecret();
  const secrets = [
    { from: now - 1e9, until: now + 1e9, secret },
    { from: now - 1e9, until: now - 1e8, secret: old },
  ];
  const { port } = await startReflector({ secrets: () => secrets });
  const session = sessionFor(secret);
  const down = async (authorization: string, method = "GET", target = "/__down?bytes=10") =>
    (await ask(port, method, target, { headers: { authorization } })).status;
  const proof = async (from = session, method = "GET", target = "/__down?bytes=10") =>
    authorizationFor(from, method, target, await nonceOf(port));

  const used = await proof();
  expect(await down(used)).toBe(200);
  expect(await down(used)).toBe(401);
  expect(await down(await proof(session, "GET", "/__down?bytes=11"))).toBe(401);
  expect(await down(await proof(session, "POST"))).toBe(401);
  expect(await down(await proof(session, "GET", "/__up"), "POST", "/__up")).toBe(401);
  expect(await down(await proof(sessionFor(newSecret())))).toBe(401);
  expect(await down(await proof({ ...session, ssid: 78 }))).toBe(401);
  expect(await down(await proof(sessionFor(old)))).toBe(401);
  expect(await down(authorizationFor(session, "GET", "/__down?bytes=10", "A".repeat(43)))).toBe(401);
  const good = await proof();
  for (const bad of ["", "StreamSwarm", "Bearer x", good.replace("mac=", "mac ="), good.slice(0, -3), `${good},`, `x${good}`]) {
    expect(await down(bad)).toBe(401);
  }
  expect(await down(good)).toBe(200);
});

test("a nonce of another server, an old one and a used one are worth nothing; the store of used ones is bounded", () => {
  let now = 1000;
  const session = sessionFor(newSecret());
  const gate = new HttpGate(() => now);
  const keysOf = () => [session.key];
  const proof = (from: HttpGate) => authorizationFor(session, "GET", "/x", readChallenge(from.challenge()) ?? "");
  const admit = (header: string) => gate.admit(header, "GET", "/x", keysOf);
  expect(admit(proof(gate))).toBe(session.ssid);
  expect(admit(proof(new HttpGate(() => now)))).toBeUndefined();
  const old = proof(gate);
  now += NONCE_LIFE_MS;
  expect(admit(old)).toBeUndefined();
  const admitted = Array.from({ length: 5000 }, () => admit(proof(gate))).filter((ssid) => ssid !== undefined);
  expect(admitted).toHaveLength(4096);
  now += NONCE_LIFE_MS;
  expect(admit(proof(gate))).toBe(session.ssid);
});

test("one test has the line: a second one is told when to ask again, the first one's further streams are served", async () => {
  const { port, secret, reflector } = await startReflector();
  const [first, second] = [sessionFor(secret, 1), sessionFor(secret, 2)];
  const target = "/__down?bytes=1000000000";
  await hold(port, authorizationFor(first, "GET", target, await nonceOf(port)), target);
  const refused = await prove(port, second, "GET", "/__down?bytes=10");
  expect(refused.status).toBe(503);
  expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(1);
  expect(problemOf(refused.body).detail).toContain("another throughput test");
  expect((await prove(port, second, "POST", "/__up", Buffer.alloc(10))).status).toBe(503);
  expect((await prove(port, first, "GET", "/__down?bytes=10")).status).toBe(200);
  expect((await prove(port, first, "POST", "/__up", Buffer.alloc(10))).status).toBe(200);
  expect(reflector.stats?.http.refused.busy).toBe(2);
});

test("one test has at most 32 transfers at once", async () => {
  const { port, secret } = await startReflector();
  const session = sessionFor(secret);
  const target = "/__down?bytes=1000000000";
  const proof = async () => authorizationFor(session, "GET", target, await nonceOf(port));
  for (let i = 0; i < HTTP_LIMITS.transfers; i++) await hold(port, await proof(), target);
  expect((await prove(port, session, "GET", "/__down?bytes=10")).status).toBe(503);
});

test("the line stays with its test through the pause between two phases, then goes to whoever asks", () => {
  let now = 0;
  const line = new Line(() => now);
  const first = line.take("a");
  expect(line.owner).toBe("a");
  if ("why" in first) throw new Error("the line is free");
  first.release();
  first.release();
  now = HTTP_LIMITS.linger_ms - 1;
  expect(line.take("b")).toMatchObject({ why: "busy", retry_s: 1 });
  now = HTTP_LIMITS.linger_ms;
  expect(line.owner).toBeUndefined();
  expect(line.take("b")).not.toHaveProperty("why");
  expect(line.take("a")).toMatchObject({ why: "busy" });
});

test("bytes are counted against an hour: beyond it a transfer is cut and the next one refused until there are some again", () => {
  let now = 0;
  const line = new Line(() => now);
  const begin = () => {
    const hold = line.take("a");
    if ("why" in hold) throw new Error(`refused: ${hold.why}`);
    return hold;
  };
  const share = HTTP_LIMITS.hourBytes / 10;
  for (let i = 0; i < 9; i++) {
    const hold = begin();
    expect(hold.spend(share)).toBe(true);
    hold.release();
  }
  const last = begin();
  expect(last.spend(share)).toBe(false);
  last.release();
  expect(line.take("a")).toMatchObject({ why: "spent" });
  now += HTTP_LIMITS.linger_ms;
  expect(line.take("b")).not.toHaveProperty("why");
  const long = new Line(() => now).take("c");
  expect("why" in long || long.spend(HTTP_LIMITS.transferBytes)).toBe(true);
  expect("why" in long || long.spend(1)).toBe(false);
});

test("a transfer whose client goes away gives the line back", async () => {
  const { port, secret, reflector } = await startReflector();
  const target = "/__down?bytes=1000000000";
  const socket = await hold(port, authorizationFor(sessionFor(secret), "GET", target, await nonceOf(port)), target);
  const ended = vi.waitFor(() => expect(reflector.stats?.http.sent_bytes).toBeGreaterThan(0));
  socket.destroy();
  await ended;
  expect(reflector.stats?.http.sent_bytes).toBeLessThan(100_000_000);
});

test.each([
  ["GET", "/", 404],
  ["GET", "/__up", 404],
  ["POST", "/__down?bytes=1", 404],
  ["DELETE", "/__down?bytes=1", 404],
  ["GET", "/__down/../etc/passwd", 404],
  ["GET", "http://other.example/__down?bytes=1", 404],
  ["GET", "/__down", 400],
  ["GET", "/__down?bytes=-1", 400],
  ["GET", "/__down?bytes=1e3", 400],
  ["GET", "/__down?bytes=10000000001", 400],
  ["GET", "/__down?bytes=99999999999999999999", 400],
])("%s %s is refused with %i, before any proof is looked at", async (method, target, status) => {
  const { port, reflector } = await startReflector();
  const answer = await ask(port, method, target);
  expect(answer.status).toBe(status);
  expect(answer.headers["content-type"]).toBe("application/problem+json");
  expect(problemOf(answer.body).status).toBe(status);
  expect(reflector.stats?.http.refused.unknown).toBe(1);
});

test("open mode serves without proof, one address at a time", async () => {
  const { port } = await startReflector({ open: true, secrets: () => [] });
  expect((await ask(port, "GET", "/__down?bytes=70000")).body).toHaveLength(70_000);
  const up = await ask(port, "POST", "/__up", { body: Buffer.alloc(50_000) });
  expect(counts(up.body).at(-1)).toMatchObject({ bytes: 50_000, done: true });
});

test("a client that waits for 100-continue sends its body only when it is wanted", async () => {
  const { port, secret } = await startReflector();
  const refused = await speak(port, "POST /__up HTTP/1.1\r\nhost: r\r\nexpect: 100-continue\r\ncontent-length: 1000000\r\n\r\n");
  expect(refused.text).toMatch(/^HTTP\/1\.1 401 /);
  const proof = authorizationFor(sessionFor(secret), "POST", "/__up", await nonceOf(port));
  const head = `POST /__up HTTP/1.1\r\nhost: r\r\nconnection: close\r\nexpect: 100-continue\r\nauthorization: ${proof}\r\n`;
  const served = await speak(port, `${head}content-length: 5\r\n\r\nhello`);
  expect(served.text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
  expect(served.text).toContain('"bytes":5,"done":true');
});

test("a body nobody asked for is not taken in", async () => {
  const { port, reflector } = await startReflector();
  const spoken = await speak(port, `POST /__up HTTP/1.1\r\nhost: r\r\ncontent-length: 9000000000\r\n\r\n${"x".repeat(65_536)}`);
  expect(spoken.text).toMatch(/^HTTP\/1\.1 401 /);
  expect(spoken.took_ms).toBeLessThan(3000);
  expect(reflector.stats?.http.received_bytes).toBe(0);
});

test("what does not move is cut: silent, slow, half-closed and idle connections, stalled uploads, unread downloads", async () => {
  const { port, secret, reflector } = await startReflector();
  const session = sessionFor(secret);
  const up = authorizationFor(session, "POST", "/__up", await nonceOf(port));
  const target = "/__down?bytes=1000000000";
  const down = authorizationFor(session, "GET", target, await nonceOf(port));
  const upload = speak(port, `POST /__up HTTP/1.1\r\nhost: r\r\nauthorization: ${up}\r\ncontent-length: 1000\r\n\r\nhello`);
  await hold(port, down, target);
  const early = await Promise.all([
    speak(port, ""),
    speak(port, "GET /__down?bytes=1 HTTP/1.1\r\nhost: r\r\n"),
    speak(port, "GET /__down?bytes=1 HTTP/1.1\r\nhost: r\r\nx: ", { pace_ms: 100 }),
    speak(port, "GET /__down?bytes=1 HTTP/1.1\r\nhost: r\r\n", { end: true }),
    speak(port, "GET /__down?bytes=1 HTTP/1.1\r\nhost: r\r\n\r\n"),
  ]);
  for (const { took_ms } of early) expect(took_ms).toBeLessThan(HTTP_LIMITS.headers_ms + 2500);
  const stalled = await upload;
  expect(stalled.text).toContain('"bytes":5,"done":true,"cut":"the body stopped arriving"');
  expect(stalled.took_ms).toBeGreaterThan(HTTP_LIMITS.stall_ms - 500);
  await vi.waitFor(() => expect(reflector.stats?.http.sent_bytes).toBeGreaterThan(0), { timeout: 4000 });
  expect((await prove(port, session, "GET", "/__down?bytes=5")).status).toBe(200);
}, 20_000);

test("floods of headers and garbage end the connection, not the server", async () => {
  const { port, secret } = await startReflector();
  const long = await speak(port, `GET /__down?bytes=1 HTTP/1.1\r\nhost: r\r\nx: ${"a".repeat(100_000)}\r\n\r\n`);
  expect(long.text).toMatch(/^(HTTP\/1\.1 431 |$)/);
  const many = Array.from({ length: 2000 }, (_, i) => `h${i}: 1`).join("\r\n");
  expect((await speak(port, `GET /__down?bytes=1 HTTP/1.1\r\nhost: r\r\n${many}\r\n\r\n`)).text).toMatch(/^(HTTP\/1\.1 431 |$)/);
  for (const text of [
    "\0\0\0\r\n\r\n",
    "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET\r\n\r\n",
  ]) {
    expect((await speak(port, text)).text).toMatch(/^(HTTP\/1\.1 400 |$)/);
  }
  expect((await speak(port, "CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n")).text).toBe("");
  expect((await prove(port, sessionFor(secret), "GET", "/__down?bytes=5")).body).toHaveLength(5);
});

test("one network has a bounded number of connections", async () => {
  const { port, reflector } = await startReflector();
  const many = Array.from({ length: HTTP_LIMITS.connectionsPerNetwork + 5 }, () => speak(port, ""));
  await vi.waitFor(() => expect(reflector.stats?.http.refused.connections).toBe(5));
  await Promise.race(many);
  await reflector.stop();
  await Promise.all(many);
});

test("requests without proof get an answer at a bounded rate, many at once in one packet too; a holder of the key is served", async () => {
  const { port, secret, reflector } = await startReflector();
  const session = sessionFor(secret);
  const authorization = authorizationFor(session, "GET", "/__down?bytes=5", await nonceOf(port));
  const junk = `authorization: StreamSwarm ssid=9, nonce="${"A".repeat(43)}", mac="${"A".repeat(43)}"`;
  const request = `GET /__down?bytes=1 HTTP/1.1\r\nhost: r\r\n${junk}\r\n\r\n`;
  // The connection is there before the rate is used up.
  const connected = await hold(port, undefined, "/__down?bytes=1");
  const served = new Promise<string>((resolve) => {
    connected.on("data", (part: Buffer) => part.includes("200 OK") && resolve(part.toString("latin1")));
  });
  const start = performance.now();
  const flood = Promise.all(Array.from({ length: 10 }, () => speak(port, request.repeat(150))));
  await vi.waitFor(() => expect(reflector.stats?.http.refused.rate).toBeGreaterThan(0));
  const seconds = (performance.now() - start) / 1000;
  const refused = reflector.stats?.http.refused;
  expect(refused?.unauthenticated).toBeLessThanOrEqual(HTTP_LIMITS.strangerBurst + HTTP_LIMITS.strangerRate * seconds);
  connected.write(`GET /__down?bytes=5 HTTP/1.1\r\nhost: r\r\nauthorization: ${authorization}\r\n\r\n`);
  expect(await served).toContain("content-length: 5");
  await reflector.stop();
  await flood;
});

test("an IPv6 network of 64 bits is one stranger, an IPv4 address is one however it is written; others are not held up", () => {
  expect(networkOf("2001:db8:0:7::1")).toBe(networkOf("2001:db8:0:7:ffff:1:2:3"));
  expect(networkOf("2001:db8:0:7::1")).not.toBe(networkOf("2001:db8:0:8::1"));
  expect(networkOf("::ffff:192.0.2.1")).toBe(networkOf("192.0.2.1"));
  expect(networkOf("::ffff:192.0.2.1")).not.toBe(networkOf("::ffff:192.0.2.2"));
  expect(networkOf("fe80::1%eth0")).toBe(networkOf("fe80::2"));
  let now = 0;
  const strangers = new Strangers(() => now);
  for (let i = 0; i < HTTP_LIMITS.strangerBurst; i++) expect(strangers.admit("a")).toBe(true);
  expect(strangers.admit("a")).toBe(false);
  expect(strangers.admit("b")).toBe(true);
  now = 1000;
  const again = Array.from({ length: HTTP_LIMITS.strangerBurst }, () => strangers.admit("a"));
  expect(again.filter(Boolean)).toHaveLength(HTTP_LIMITS.strangerRate);
  // Beyond the networks that are remembered, all share one rate; those that have been quiet are forgotten first.
  const crowd = new Strangers(() => now);
  const admitted = (name: string, from: number) =>
    Array.from({ length: 5000 }, (_, i) => crowd.admit(`${name}${from + i}`)).filter(Boolean).length;
  expect(admitted("x", 0)).toBe(HTTP_LIMITS.networks + HTTP_LIMITS.strangerBurst);
  now += 10_000;
  expect(admitted("y", 0)).toBe(HTTP_LIMITS.networks + HTTP_LIMITS.strangerBurst);
});
