// The reflector: what other agents measure against. STAMP over UDP and throughput over TCP, on one port.
import { FatalError } from "../exit.ts";
import { type Bound, bindPort } from "./bind.ts";
import { HostClock, type ReflectorClock } from "./clock.ts";
import { HttpReflector, type HttpStats, type Transfer } from "./http.ts";
import { Keyring, type Secret } from "./keyring.ts";
import { DEFAULT_PORT } from "./limits.ts";
import { UdpReflector, type UdpStats } from "./udp.ts";
import type { ReflectorSession } from "./udp-sessions.ts";

export type { Secret } from "./keyring.ts";
export { DEFAULT_PORT } from "./limits.ts";

/** Receives what happens, for people; nothing of it holds a key. */
export interface ReflectorWatch {
  sessionBegan?(session: ReflectorSession): void;
  sessionEnded?(session: ReflectorSession): void;
  transferEnded?(transfer: Transfer): void;
  /** A socket failed; the reflector goes on if it can. */
  trouble?(error: Error): void;
}

export interface ReflectorOptions {
  /** 0 lets the system pick one. */
  readonly port?: number;
  /** IP literal to listen on; absent, every address of both families. */
  readonly host?: string;
  /** Takes another port when this one cannot be had. */
  readonly anyPort?: boolean;
  /** Answers packets and requests without authentication too. */
  readonly open?: boolean;
  /** Asked again and again; those in force are answered to. */
  readonly secrets: () => readonly Secret[];
  /** The host's clock unless given. */
  readonly clock?: ReflectorClock;
  readonly watch?: ReflectorWatch;
}

export interface ReflectorStats {
  readonly udp: UdpStats;
  readonly http: HttpStats;
}

interface Running {
  readonly bound: Bound;
  readonly udp: UdpReflector;
  readonly http: HttpReflector;
}

export class Reflector {
  #running: Running | undefined;
  #last: ReflectorStats | undefined;

  /** Opens both ports. Rejects with a FatalError that names the port and says what to do. */
  async start(options: ReflectorOptions): Promise<void> {
    if (this.#running !== undefined) throw new FatalError("the reflector runs already");
    const { watch = {}, open = false, clock = new HostClock() } = options;
    const keyring = new Keyring(options.secrets);
    const http = new HttpReflector({ keyring, open, onTransfer: (transfer) => watch.transferEnded?.(transfer) });
    const { host, port = DEFAULT_PORT, anyPort = false } = options;
    const bound = await bindPort(http.server, { host, port, anyPort });
    // Without a listener, an error of a socket would end the process.
    http.server.on("error", (error) => watch.trouble?.(error));
    for (const socket of bound.sockets) socket.on("error", (error) => watch.trouble?.(error));
    const udp = new UdpReflector({
      sockets: bound.sockets,
      keyring,
      clock,
      open,
      onBegin: (session) => watch.sessionBegan?.(session),
      onEnd: (session) => watch.sessionEnded?.(session),
    });
    this.#running = { bound, udp, http };
  }

  /** Closes both ports and cuts off what runs. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#last = { udp: running.udp.stats, http: running.http.stats };
    running.udp.close();
    const closed = [
      ...running.bound.sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))),
      new Promise<void>((resolve) => running.http.server.close(() => resolve())),
    ];
    running.http.server.closeAllConnections();
    await Promise.all(closed);
  }

  /** Where it listens; undefined when it does not. */
  get address(): { readonly host: string; readonly port: number } | undefined {
    const bound = this.#running?.bound;
    return bound && { host: bound.host, port: bound.port };
  }

  /** Counts since the start; after the end, the last ones. Undefined before any start. */
  get stats(): ReflectorStats | undefined {
    const running = this.#running;
    return running === undefined ? this.#last : { udp: running.udp.stats, http: running.http.stats };
  }

  /** UDP sessions that run. */
  sessions(): readonly ReflectorSession[] {
    return this.#running?.udp.sessions() ?? [];
  }
}
