// Speed servers on loopback: one that is as fast as a line would be, and ones that misbehave as a test says.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { afterAll } from "vitest";

const servers: Server[] = [];
const sockets = new Set<Socket>();
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const server of servers.splice(0)) server.close();
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** A server of bare connections. */
export const bareServer = (onSocket: (socket: Socket) => void): Promise<number> =>
  listen(createServer({ allowHalfOpen: true }, onSocket));

export interface LineServer {
  readonly port: number;
  /** What was asked, `METHOD path`, with the authorization header. */
  readonly asked: { readonly line: string; readonly authorization: string | undefined }[];
  /** Bytes of bodies sent and received. */
  sent: number;
  received: number;
  connections: number;
  /** Connections open just now. */
  open(): number;
}

export interface LineOptions {
  /** Rate of the pretended line, both ways, Mbit/s. */
  readonly mbps: number;
  /** Whether an upload is answered with running counts, or at its end only; a text stands there instead of counts. */
  readonly counts?: boolean | string;
  /** Answers a request itself, true when it did. */
  readonly instead?: (request: IncomingMessage, response: ServerResponse, server: LineServer) => boolean;
}

const TICK_MS = 5;
const PIECE = 16 * 1024;
const BYTES = randomBytes(PIECE);

/** Lends so many bytes a second to whoever asks, in turns. */
class Meter {
  readonly #waiting: { most: number; give: (bytes: number) => void }[] = [];
  readonly #rate: number;
  #at = performance.now();
  #left = 0;

  constructor(mbps: number) {
    this.#rate = (mbps * 1000) / 8;
    const timer = setInterval(() => this.#turn(), TICK_MS).unref();
    stops.push(() => clearInterval(timer));
  }

  ask(most: number): Promise<number> {
    return new Promise((give) => this.#waiting.push({ most, give }));
  }

  #turn(): void {
    const now = performance.now();
    // Nothing is saved up beyond a moment, as on a line with a short queue.
    this.#left = Math.min(this.#left + (now - this.#at) * this.#rate, 100 * this.#rate);
    this.#at = now;
    while (this.#left >= 1 && this.#waiting.length > 0) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const bytes = Math.floor(Math.min(next.most, this.#left));
      this.#left -= bytes;
      next.give(bytes);
    }
  }
}
const stops: (() => void)[] = [];
afterAll(() => {
  for (const stop of stops.splice(0)) stop();
});

async function download(response: ServerResponse, total: number, meter: Meter, line: LineServer): Promise<void> {
  response.writeHead(200, { "content-length": total });
  for (let left = total; left > 0 && !response.destroyed; ) {
    const bytes = await meter.ask(Math.min(left, PIECE));
    left -= bytes;
    line.sent += bytes;
    if (!response.write(BYTES.subarray(0, bytes)) && !response.destroyed) {
      await Promise.race([once(response, "drain"), once(response, "close")]);
    }
  }
  response.end();
}

async function upload(
  request: IncomingMessage,
  response: ServerResponse,
  { meter, line, counts }: { meter: Meter; line: LineServer; counts: boolean | string },
): Promise<void> {
  const start = performance.now();
  let bytes = 0;
  let told = 0;
  const tell = (more: object = {}) =>
    typeof counts === "string" ? counts : `${JSON.stringify({ t_ms: performance.now() - start, bytes, ...more })}\n`;
  if (counts !== false) response.writeHead(200, { "content-type": "application/x-ndjson" }).write(tell());
  for await (const piece of request as AsyncIterable<Buffer>) {
    for (let left = piece.length; left > 0; ) left -= await meter.ask(left);
    bytes += piece.length;
    line.received += piece.length;
    if (counts !== false && performance.now() - told > 100) {
      told = performance.now();
      response.write(tell());
    }
  }
  response.end(counts !== false ? tell({ done: true }) : JSON.stringify({ bytes, ms: performance.now() - start }));
}

/** Speaks the protocol of our speed servers at a fixed rate. */
export async function lineServer({ mbps, counts = true, instead }: LineOptions): Promise<LineServer> {
  const meter = new Meter(mbps);
  const own = new Set<Socket>();
  const line = {
    port: 0,
    asked: [] as LineServer["asked"][number][],
    sent: 0,
    received: 0,
    connections: 0,
    open: () => own.size,
  };
  const server = createHttp((request, response) => {
    line.asked.push({ line: `${request.method} ${request.url}`, authorization: request.headers.authorization });
    if (instead?.(request, response, line) === true) return;
    if (request.method === "HEAD") {
      response.writeHead(200).end();
      return;
    }
    const url = new URL(request.url ?? "/", "http://line");
    const work =
      request.method === "POST"
        ? upload(request, response, { meter, line, counts })
        : download(response, Number(url.searchParams.get("bytes") ?? 50_000_000), meter, line);
    // A client that hangs up is how every phase ends.
    work.catch(() => response.destroy());
  });
  server.on("connection", (socket: Socket) => {
    line.connections += 1;
    own.add(socket);
    socket.once("close", () => own.delete(socket));
  });
  line.port = await listen(server);
  return line;
}
