// Targets on loopback for the edge's own check: the Worker under test runs where nothing can listen.
import { createServer as createHttp, type Server } from "node:http";
import { type AddressInfo, createServer as createTcp, type Server as TcpServer } from "node:net";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** Ports of a web server and of one that takes connections and never says a word. */
    targets: { http: number; mute: number };
  }
}

/** Requests that reached the web server, as its `/asked` tells. */
const asked: string[] = [];

function web(): Server {
  return createHttp((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://target");
    if (pathname === "/asked") return response.end(JSON.stringify(asked.splice(0)));
    asked.push(`${request.method} ${request.url}`);
    if (pathname === "/away") return response.writeHead(302, { location: "/inside" }).end();
    if (pathname === "/endless") {
      response.writeHead(200);
      const more = setInterval(() => response.write("x".repeat(65_536)), 10);
      return response.on("close", () => clearInterval(more));
    }
    const status = /^\/(\d{3})$/.exec(pathname)?.[1];
    return response.writeHead(Number(status ?? 200)).end("here");
  });
}

const listen = (server: Server | TcpServer): Promise<number> =>
  new Promise((resolve) => server.listen(0, "::", () => resolve((server.address() as AddressInfo).port)));

export default async function setup(project: TestProject): Promise<() => void> {
  const http = web();
  const sockets = new Set<{ destroy(): void }>();
  const mute = createTcp((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
  });
  project.provide("targets", { http: await listen(http), mute: await listen(mute) });
  return () => {
    http.closeAllConnections();
    for (const socket of sockets) socket.destroy();
    http.close();
    mute.close();
  };
}
