// Resolvers on the loopback interface that answer, or misbehave, as a test says.
import { execFileSync } from "node:child_process";
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packet, { type Answer, type DecodedPacket } from "dns-packet";

/** A query as it arrived, and the ways to answer it. */
export interface Asked {
  readonly name: string;
  readonly type: string;
  readonly raw: Buffer;
  readonly query: DecodedPacket;
  readonly transport: "udp" | "tcp";
  readonly remote: RemoteInfo | undefined;
  /** Sends a DNS message, framed where the transport frames. */
  send(message: Buffer): void;
  /** The connection, on TCP. */
  readonly socket: Socket | undefined;
}
export type Behaviour = (asked: Asked, index: number) => void;

interface Content {
  readonly answers?: readonly object[];
  readonly authorities?: readonly object[];
  readonly additionals?: readonly object[];
  /** Header bits beside RD and RA. */
  readonly flags?: number;
  readonly rcode?: number;
  readonly id?: number;
  readonly questions?: readonly object[];
}

/** A response to the query. */
export function response({ query }: Pick<Asked, "query">, content: Content = {}): Buffer {
  return packet.encode({
    type: "response",
    id: content.id ?? query.id,
    flags: ((query.flags ?? 0) & 0x0100) | 0x80 | (content.flags ?? 0) | (content.rcode ?? 0),
    questions: (content.questions ?? query.questions) as never,
    answers: (content.answers ?? []) as Answer[],
    authorities: (content.authorities ?? []) as Answer[],
    additionals: (content.additionals ?? []) as Answer[],
  });
}

export const a = (name: string, data: string, ttl = 300): object => ({ name, type: "A", ttl, data });

/** Answers every query with this address. */
export const answers =
  (...data: string[]): Behaviour =>
  (asked) =>
    asked.send(
      response(asked, {
        answers: data.map((each) => ({ name: asked.name, type: each.includes(":") ? "AAAA" : "A", ttl: 300, data: each })),
      }),
    );

export const refuses =
  (rcode: number): Behaviour =>
  (asked) =>
    asked.send(response(asked, { rcode }));

export const silent: Behaviour = () => undefined;

function askedOf(raw: Buffer, more: Pick<Asked, "transport" | "remote" | "socket" | "send">): Asked {
  const query = packet.decode(raw);
  const [question] = query.questions ?? [];
  return { name: question?.name ?? "", type: question?.type ?? "", raw, query, ...more };
}

export interface FakeResolver {
  readonly port: number;
  /** As the parameter `resolver` names it. */
  readonly address: string;
  readonly asked: Asked[];
  close(): Promise<void>;
}

const open = new Set<() => Promise<void>>();

/** Closes every resolver of the test. */
export async function closeResolvers(): Promise<void> {
  await Promise.all([...open].map((close) => close()));
  open.clear();
}

async function bindUdp(host: string, port: number): Promise<UdpSocket> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  socket.bind(port, host);
  await once(socket, "listening");
  return socket;
}

/** Listens for connections; each gets its queries one by one through `behave`, or whole through `connection`. */
async function bindTcp(
  host: string,
  port: number,
  connection: (socket: Socket) => void,
): Promise<{ server: Server; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    connection(socket);
  });
  server.listen(port, host);
  await once(server, "listening");
  return { server, sockets };
}

/** Reads framed queries from a connection. */
export function readQueries(socket: Socket, onQuery: (raw: Buffer) => void): void {
  let bytes = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
      const end = 2 + bytes.readUInt16BE(0);
      onQuery(bytes.subarray(2, end));
      bytes = bytes.subarray(end);
    }
  });
}

export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** A resolver over UDP and, where `tcp` says how, over TCP at the same port. */
export async function resolver(udp: Behaviour, tcp?: Behaviour, host = "127.0.0.1"): Promise<FakeResolver> {
  const asked: Asked[] = [];
  const take = (each: Asked, behave: Behaviour) => {
    asked.push(each);
    behave(each, asked.length - 1);
  };
  const socket = await bindUdp(host, 0);
  const { port } = socket.address();
  socket.on("error", () => undefined);
  socket.on("message", (raw, remote) => {
    const send = (message: Buffer) => socket.send(message, remote.port, remote.address);
    take(askedOf(raw, { transport: "udp", remote, socket: undefined, send }), udp);
  });
  const stream =
    tcp === undefined
      ? undefined
      : await bindTcp(host, port, (connection) => {
          readQueries(connection, (raw) => {
            const send = (message: Buffer) => connection.write(framed(message));
            take(askedOf(raw, { transport: "tcp", remote: undefined, socket: connection, send }), tcp);
          });
        });
  const close = async () => {
    open.delete(close);
    socket.close();
    for (const each of stream?.sockets ?? []) each.destroy();
    stream?.server.close();
  };
  open.add(close);
  return { port, address: `${host.includes(":") ? `[${host}]` : host}:${port}`, asked, close };
}

/** A listener that does with its connections what the test says. */
export async function listener(
  connection: (socket: Socket) => void,
  host = "127.0.0.1",
): Promise<{ port: number; address: string }> {
  const { server, sockets } = await bindTcp(host, 0, connection);
  const close = async () => {
    for (const each of sockets) each.destroy();
    server.close();
  };
  open.add(close);
  const { port } = server.address() as { port: number };
  return { port, address: `${host}:${port}` };
}

/** Registers what a test started itself. */
export const closeLater = (close: () => Promise<void>): void => void open.add(close);

/** A UDP port nobody listens on. */
export async function closedPort(): Promise<number> {
  const socket = await bindUdp("127.0.0.1", 0);
  const { port } = socket.address();
  socket.close();
  return port;
}

export interface Certificates {
  /** PEM file of the authority. */
  readonly ca: string;
  readonly good: { key: Buffer; cert: Buffer };
  /** For another name and address. */
  readonly other: { key: Buffer; cert: Buffer };
  readonly selfSigned: { key: Buffer; cert: Buffer };
  /** Its only name would act on a terminal. */
  readonly rude: { key: Buffer; cert: Buffer };
}

/** An authority of its own with a certificate for dns.test and 127.0.0.1, by the openssl program. */
export function certificates(): Certificates {
  const dir = mkdtempSync(join(tmpdir(), "streamswarm-dns-ca-"));
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: dir, stdio: "ignore" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test authority");
  const leaf = (name: string, names: string | undefined, cn = name) => {
    const issued = [
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca.key",
      "-addext",
      "basicConstraints=CA:FALSE",
      ...(names === undefined ? [] : ["-addext", `subjectAltName=${names}`]),
    ];
    openssl("req", "-x509", ...key, ...issued, "-utf8", "-keyout", `${name}.key`, "-out", `${name}.pem`, "-subj", `/CN=${cn}`);
    return { key: readFileSync(join(dir, `${name}.key`)), cert: readFileSync(join(dir, `${name}.pem`)) };
  };
  const good = leaf("good", "DNS:dns.test,IP:127.0.0.1");
  const other = leaf("other", "DNS:other.test,IP:127.0.0.9");
  const rude = leaf("rude", undefined, "evil\u001b[2J\u009b31m.test");
  openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    "self.key",
    "-out",
    "self.pem",
    "-subj",
    "/CN=self",
    "-addext",
    "subjectAltName=IP:127.0.0.1",
  );
  const selfSigned = { key: readFileSync(join(dir, "self.key")), cert: readFileSync(join(dir, "self.pem")) };
  return { ca: join(dir, "ca.pem"), good, other, selfSigned, rude };
}
