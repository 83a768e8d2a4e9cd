// What tests of every type can be pointed at: a web server, a TLS server and a name server on loopback.
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import packet from "dns-packet";

const FIXTURES = join(import.meta.dirname, "../e2e/fixtures");
const fixture = (name: string) => readFileSync(join(FIXTURES, name), "utf8");

export const CERTIFICATE_NAME = "loopback.example";
export const DNS_ANSWERS = ["192.0.2.10", "192.0.2.11"];

export interface Services {
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly dnsPort: number;
  close(): Promise<void>;
}

export async function startServices(): Promise<Services> {
  const web = createHttpServer((request, response) => {
    if (request.url === "/old") {
      response.writeHead(302, { location: "/" }).end();
      return;
    }
    response.writeHead(200, { "content-type": "text/plain", "cache-control": "no-store" }).end("hello ".repeat(500));
  });
  const tls = createTlsServer({ key: fixture("loopback.key"), cert: fixture("loopback.crt"), ALPNProtocols: ["h2"] }, (socket) =>
    // A client that has seen enough hangs up.
    socket.on("error", () => socket.destroy()),
  );
  tls.on("tlsClientError", () => undefined);
  const dns = createSocket("udp4");
  dns.on("message", (message, from) => dns.send(answer(message), from.port, from.address));
  const [httpPort, tlsPort] = await Promise.all([listen(web), listen(tls)]);
  const dnsPort = await bind(dns);
  return {
    httpPort,
    tlsPort,
    dnsPort,
    async close() {
      web.closeAllConnections();
      await Promise.all([web, tls, dns].map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
    },
  };
}

function answer(message: Buffer): Buffer {
  const query = packet.decode(message);
  const name = query.questions?.[0]?.name ?? "";
  return packet.encode({
    type: "response",
    id: query.id ?? 0,
    flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE,
    questions: query.questions ?? [],
    answers: DNS_ANSWERS.map((data) => ({ type: "A", name, ttl: 300, data })),
  });
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function bind(socket: Socket): Promise<number> {
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket.address().port;
}
