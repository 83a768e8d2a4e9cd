// Web servers on loopback for the HTTP probe: Node's own, and raw sockets that say whatever a hostile server may say.
import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer as createHttp2Server, createSecureServer, type ServerHttp2Stream } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";
import type { Measurement } from "#contract/result";
import { runTest, type Veto } from "../../../agent/runner.ts";

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/http/${name}`, import.meta.url));

/** The certificate of `https` and `http2` below, good for localhost and the loopback addresses once it is trusted. */
export const CA_FILE = fixture("localhost.pem");
export const identity = () => ({ key: readFileSync(fixture("localhost.key")), cert: readFileSync(CA_FILE) });

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Listening {
  readonly port: number;
  /** TCP connections taken so far. */
  readonly connections: () => number;
}

async function listen(server: Server): Promise<Listening> {
  const sockets = new Set<Socket>();
  let taken = 0;
  server.on("connection", (socket: Socket) => {
    taken += 1;
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
  });
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return { port: (server.address() as AddressInfo).port, connections: () => taken };
}

export const http = (listener: RequestListener): Promise<Listening> => listen(createHttpServer(listener));
export const https = (listener: RequestListener): Promise<Listening> => listen(createHttpsServer(identity(), listener));

type StreamListener = (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void;

/** HTTP/2: over TLS, or in plain text to those who know (h2c). */
export function http2(secure: boolean, onStream: StreamListener): Promise<Listening> {
  const server = secure ? createSecureServer(identity()) : createHttp2Server();
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    onStream(stream, headers);
  });
  server.on("sessionError", () => undefined);
  return listen(server as unknown as Server);
}

/** A server that answers each request, once its head has come, with whatever the test writes. */
export function raw(answer: (socket: Socket, request: string, index: number) => void): Promise<Listening> {
  let index = 0;
  return listen(
    createTcpServer((socket) => {
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
          const request = text.slice(0, end);
          text = text.slice(end + 4);
          answer(socket, request, index);
          index += 1;
        }
      });
    }),
  );
}

/** Calls back again and again until the socket is gone. */
export function every(socket: Socket, ms: number, write: () => void): void {
  const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : write()), ms);
  socket.on("close", () => clearInterval(timer));
}

/** One run of the probe as the agent runs it, in this process. */
export function probe(url: string, params: Record<string, unknown> = {}, veto?: Veto): Promise<Measurement> {
  return runTest({ type: "http", destination: url, params }, new AbortController().signal, { veto });
}
