// Requests to a reflector's throughput server, with and without proof of a key.
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { afterEach } from "vitest";
import type { SessionKey } from "../../../agent/peer.ts";
import { authorizationFor, readChallenge } from "../../../agent/reflector/http-auth.ts";

const sockets = new Set<Socket>();
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  agent.destroy();
});

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
}

export interface Asked {
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
}

/** One request without any proof. */
export function ask(port: number, method: string, target: string, { headers = {}, body }: Asked = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, method, path: target, headers, agent }, (incoming) => {
      const parts: Buffer[] = [];
      incoming.on("data", (part: Buffer) => parts.push(part));
      incoming.on("error", reject);
      incoming.on("end", () =>
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(parts) }),
      );
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** A nonce of the server. */
export async function nonceOf(port: number): Promise<string> {
  const { headers } = await ask(port, "GET", "/__down?bytes=0");
  const nonce = readChallenge(String(headers["www-authenticate"]));
  if (nonce === undefined) throw new Error("no nonce came");
  return nonce;
}

/** One request that proves its session's key. */
export async function prove(port: number, session: SessionKey, method: string, target: string, body?: Buffer): Promise<Answer> {
  const authorization = authorizationFor(session, method, target, await nonceOf(port));
  return await ask(port, method, target, { headers: { authorization }, ...(body && { body }) });
}

/** A line of an upload's answer. */
export interface Count {
  readonly t_ms: number;
  readonly bytes: number;
  readonly done?: boolean;
  readonly cut?: string;
}

export const counts = (body: Buffer): Count[] =>
  body
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Count);

export interface Spoken {
  /** Everything the server said before it closed. */
  readonly text: string;
  readonly took_ms: number;
}

/** A raw connection: says that, then waits until the server closes. `pace_ms` says it byte by byte. */
export async function speak(port: number, text: string, { pace_ms = 0, end = false } = {}): Promise<Spoken> {
  const start = performance.now();
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  sockets.add(socket);
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part));
  const closed = new Promise<void>((resolve) => {
    socket.on("end", resolve);
    // What the server resets is closed too.
    socket.on("error", () => resolve());
  });
  if (pace_ms === 0) {
    socket.write(text);
    if (end) socket.end();
  } else {
    let at = 0;
    const timer = setInterval(() => socket.write(text[at++ % text.length] ?? ""), pace_ms);
    void closed.then(() => clearInterval(timer));
  }
  await closed;
  socket.destroy();
  return { text: Buffer.concat(parts).toString("latin1"), took_ms: performance.now() - start };
}

/** A download that proves its key and is not read: its connection, once the answer has begun. */
export async function hold(port: number, authorization: string | undefined, target: string): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port });
  sockets.add(socket);
  socket.on("error", () => socket.destroy());
  const proof = authorization === undefined ? "" : `authorization: ${authorization}\r\n`;
  socket.write(`GET ${target} HTTP/1.1\r\nhost: reflector\r\n${proof}\r\n`);
  await new Promise<void>((resolve) => socket.once("readable", resolve));
  return socket;
}
