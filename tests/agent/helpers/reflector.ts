// A real reflector on loopback, and senders with real sockets for it.
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import { performance } from "node:perf_hooks";
import { afterEach } from "vitest";
import type { SessionKey } from "../../../agent/peer.ts";
import { Reflector, type ReflectorOptions } from "../../../agent/reflector/index.ts";
import { deriveKey, newSecret } from "../../../agent/stamp/key.ts";
import { decodeReflector, encodeSender, type ReflectorPacket, verifyMac } from "../../../agent/stamp/packet.ts";

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

export const ALWAYS = { from: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY };

export interface Started {
  readonly reflector: Reflector;
  readonly secret: Uint8Array;
  readonly port: number;
}

/** A reflector on a free loopback port with one secret that always holds. */
export async function startReflector(options: Partial<ReflectorOptions> = {}): Promise<Started> {
  const reflector = new Reflector();
  const secret = newSecret();
  closers.push(() => reflector.stop());
  await reflector.start({ port: 0, host: "127.0.0.1", secrets: () => [{ ...ALWAYS, secret }], ...options });
  return { reflector, secret, port: reflector.address?.port ?? 0 };
}

export const sessionFor = (secret: Uint8Array, ssid = 77): SessionKey => ({ ssid, key: deriveKey(secret, ssid) });

/** A sender's packet of now; without a session, an open one. */
export function question(sequence: number, session?: SessionKey, length = 0, ssid = session?.ssid ?? 0): Buffer {
  const estimate = { synchronised: false, ptp: false, error_ms: null };
  const sent_ms = performance.timeOrigin + performance.now();
  return encodeSender({ sequence, sent_ms, estimate, ssid }, length, session?.key);
}

/** A socket that sends whatever it is told and keeps every answer. */
export class Sender {
  readonly answers: Buffer[] = [];
  readonly #socket: Socket;
  readonly #port: number;
  readonly #host: string;

  private constructor(socket: Socket, host: string, port: number) {
    this.#socket = socket;
    this.#host = host;
    this.#port = port;
    socket.on("message", (answer) => this.answers.push(answer));
  }

  static async open(port: number, host = "127.0.0.1"): Promise<Sender> {
    const socket = createSocket({ type: isIPv6(host) ? "udp6" : "udp4", recvBufferSize: 1 << 22 });
    closers.push(() => {
      socket.close();
    });
    socket.bind(0, host);
    await once(socket, "listening");
    return new Sender(socket, host, port);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Sends one packet; done when the kernel has it, which on loopback is when the other socket has it. */
  send(packet: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(packet, this.#port, this.#host, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  /** Waits until there are that many answers in all. */
  async until(count: number): Promise<Buffer[]> {
    while (this.answers.length < count) await once(this.#socket, "message", { signal: AbortSignal.timeout(5000) });
    return this.answers;
  }

  /** Sends one packet and answers the next answer. */
  async ask(packet: Buffer): Promise<Buffer> {
    const before = this.answers.length;
    await this.send(packet);
    const answer = (await this.until(before + 1))[before];
    if (answer === undefined) throw new Error("no answer");
    return answer;
  }
}

/** Reads an answer; throws when its HMAC is not of this session. */
export function read(answer: Buffer, session?: SessionKey): ReflectorPacket {
  if (session !== undefined && !verifyMac(answer, session.key)) throw new Error("the answer's HMAC is wrong");
  const packet = decodeReflector(answer, session === undefined ? "open" : "authenticated");
  if (packet === undefined) throw new Error("the answer is too short");
  return packet;
}
