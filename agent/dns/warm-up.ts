// The first datagram and the first connection of a process cost milliseconds of loading and compiling that are not the network's.
// One exchange over the loopback interface, once, keeps them out of what is measured.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import type { Codec } from "./codec.ts";

/** A host so busy, or without a loopback interface, measures cold. */
const LIMIT_MS = 100;
const QUESTION = { name: "localhost", type: "A", recursion: false, dnssec: false };

async function datagram(codec: Codec): Promise<void> {
  const socket = createSocket("udp4");
  try {
    const signal = AbortSignal.timeout(LIMIT_MS);
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening", { signal });
    socket.connect(socket.address().port, "127.0.0.1");
    await once(socket, "connect", { signal });
    const echo = once(socket, "message", { signal });
    socket.send(codec.query(0, QUESTION));
    const [message] = (await echo) as [Buffer];
    // As a response it is decoded whole: otherwise the first answer of several would delay the others.
    message.writeUInt8(message.readUInt8(2) | 0x80, 2);
    codec.read(message, 0, QUESTION);
  } finally {
    socket.close();
  }
}

async function stream(): Promise<void> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const server = createServer((peer) => peer.on("error", () => undefined).pipe(peer));
  const listening = once(server, "listening", { signal });
  server.listen(0, "127.0.0.1");
  try {
    await listening;
    const socket = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port, noDelay: true });
    try {
      await once(socket, "connect", { signal });
      const echo = once(socket, "data", { signal });
      socket.write("x");
      await echo;
    } finally {
      socket.destroy();
    }
  } finally {
    server.close();
  }
}

const done = new Map<string, Promise<void>>();

function onlyOnce(what: string, exchange: () => Promise<void>): Promise<void> {
  const warmed = done.get(what) ?? exchange().catch(() => undefined);
  done.set(what, warmed);
  return warmed;
}

export const warmUdp = (codec: Codec): Promise<void> => onlyOnce("udp", () => datagram(codec));

export const warmTcp = (): Promise<void> => onlyOnce("tcp", stream);
