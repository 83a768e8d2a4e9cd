// STAMP reflectors of every kind on loopback, written from RFC 8762 and not from the agent's own code.
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach } from "vitest";

/** Milliseconds since 1970 as an NTP timestamp. */
function ntp(epoch_ms: number): bigint {
  const microseconds = BigInt(Math.round(epoch_ms * 1000));
  const seconds = microseconds / 1_000_000n + 2_208_988_800n;
  return (BigInt.asUintN(32, seconds) << 32n) | (((microseconds % 1_000_000n) << 32n) / 1_000_000n);
}

const now = () => performance.timeOrigin + performance.now();

/** A reply of RFC 8762 section 4.3.1 to an unauthenticated packet. */
export interface ReplyFields {
  sequence: number;
  /** Milliseconds added to this host's time. */
  offset_ms?: number;
  /** Error Estimate: S, Z, scale, multiplier. */
  estimate?: number;
  /** Milliseconds since 1970 by this host's clock; default now. */
  received_ms?: number;
}

export function replyTo(
  packet: Buffer,
  { sequence, offset_ms = 0, estimate = 0x0001, received_ms = now() }: ReplyFields,
): Buffer {
  const reply = Buffer.alloc(packet.length);
  reply.writeUInt32BE(sequence >>> 0, 0);
  reply.writeUInt16BE(estimate, 12);
  reply.writeBigUInt64BE(ntp(received_ms + offset_ms), 16);
  packet.copy(reply, 24, 0, 14);
  reply.writeBigUInt64BE(ntp(now() + offset_ms), 4);
  return reply;
}

/** What a reflector does with one packet. `place` counts the packets that came, from 0. */
export type Behaviour = (packet: Buffer, tools: { place: number; send(reply: Buffer): void; from: RemoteInfo }) => void;

export interface TestReflector {
  readonly port: number;
  /** Packets that came. */
  readonly packets: Buffer[];
  close(): void;
}

const open = new Set<Socket>();
afterEach(() => {
  for (const socket of open) socket.close();
  open.clear();
});

/** A reflector on loopback, closed after the test. */
export async function reflect(behaviour: Behaviour, host = "127.0.0.1"): Promise<TestReflector> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  open.add(socket);
  const packets: Buffer[] = [];
  let isOpen = true;
  socket.on("message", (packet, from) => {
    packets.push(Buffer.from(packet));
    const send = (reply: Buffer) => {
      if (isOpen) socket.send(reply, from.port, from.address);
    };
    behaviour(packet, { place: packets.length - 1, send, from });
  });
  socket.bind(0, host);
  await once(socket, "listening");
  const close = () => {
    isOpen = false;
    if (open.delete(socket)) socket.close();
  };
  return { port: socket.address().port, packets, close };
}

/** Counts what it gets, from `base`, and answers it. */
export function counting(base = 0, fields: Partial<ReplyFields> = {}): Behaviour {
  let sequence = base;
  return (packet, { send }) => send(replyTo(packet, { ...fields, sequence: sequence++ }));
}

/** Copies the sender's number instead of counting (RFC 8762 section 4.2, stateless). */
export const stateless: Behaviour = (packet, { send }) => send(replyTo(packet, { sequence: packet.readUInt32BE(0) }));

export interface Losses {
  /** Places of packets that never get there, and of those whose answer is lost. */
  readonly up: ReadonlySet<number>;
  readonly down: ReadonlySet<number>;
}

/** Counts from `base`, behind a network that loses these packets each way. */
export function lossy(base: number, { up, down }: Losses): Behaviour {
  let sequence = base;
  return (packet, { place, send }) => {
    if (up.has(place)) return;
    const reply = replyTo(packet, { sequence: sequence++ });
    if (!down.has(place)) send(reply);
  };
}
