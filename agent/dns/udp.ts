// One query over UDP (RFC 1035 4.2.1) from a port of its own, so that an answer must guess port and id (RFC 5452).
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import { performance } from "node:perf_hooks";
import { round3 } from "../statistics.ts";
import { type Exchange, failure, type Order, type Session, socketFailure } from "./exchange.ts";

/** Datagrams that are no answer, read before the resolver is given up. */
const STRAY_MAX = 256;

/** What arrived that was no answer, for the message about an answer that did not come. */
class Strays {
  #count = 0;
  #malformed: string | undefined;
  #why = "";

  note(fault: "stray" | "malformed", why: string): void {
    this.#count += 1;
    this.#why = why;
    if (fault === "malformed") this.#malformed ??= why;
  }

  get tooMany(): boolean {
    return this.#count >= STRAY_MAX;
  }

  /** How a query without an answer ended. */
  verdict(label: string): Exchange {
    if (this.#malformed !== undefined) {
      return failure("bad_response", `${label} answered what is no DNS message: it ${this.#malformed}`, { connected: true });
    }
    if (this.tooMany) return failure("bad_response", `${label} sent ${this.#count} datagrams that answer no query of ours`);
    const ignored = this.#count === 0 ? "" : `; ${this.#count} datagrams were ignored (${this.#why})`;
    return failure("timeout", `${label} did not answer in time${ignored}`);
  }
}

function ask({ server, question, codec }: Order, signal: AbortSignal): Promise<Exchange> {
  const id = randomInt(65_536);
  const message = codec.query(id, question);
  const strays = new Strays();
  if (signal.aborted) return Promise.resolve(strays.verdict(server.label));
  return new Promise((resolve) => {
    const socket = createSocket({ type: isIPv6(server.address) ? "udp6" : "udp4" });
    let sent_at = 0;
    const finish = (exchange: Exchange) => {
      signal.removeEventListener("abort", expire);
      socket.removeAllListeners("message");
      // Errors that arrive after the end concern nobody.
      socket.removeAllListeners("error").on("error", () => undefined);
      socket.close();
      resolve(exchange);
    };
    const expire = () => finish(strays.verdict(server.label));
    signal.addEventListener("abort", expire, { once: true });
    socket.once("error", (error) => finish(socketFailure(error, server)));
    socket.on("message", (datagram) => {
      const query_ms = round3(performance.now() - sent_at);
      const reading = codec.read(datagram, id, question);
      if (reading.ok) return finish({ ok: true, reply: reading.reply, query_ms, connect: null });
      strays.note(reading.fault, reading.why);
      if (strays.tooMany) expire();
    });
    // A connected socket hears only this resolver, and hears that its port is closed (ICMP port unreachable).
    socket.once("connect", () => {
      sent_at = performance.now();
      socket.send(message);
    });
    socket.connect(server.port, server.address);
  });
}

export const udpSession = (order: Order): Session => ({ ask: (signal) => ask(order, signal), close: () => undefined });
