// The kernel's figures of our own connections, read by ss (iproute2). It needs no privilege; one call serves many sockets.
import type { Reason } from "#contract/metrics";
import { findTool, runTool } from "../exec.ts";
import { parseSs, type SsSocket } from "../parsers/ss.ts";

/** ss answers in milliseconds; one that does not in this time is not asked again. */
const SS_MS = 1000;
const SS_GRACE_MS = 100;
/** Answers in a row without the socket asked for, until ss is taken for one that cannot show it. */
const MISSES_MOST = 3;

export class KernelReader {
  readonly #file: string | undefined;
  readonly #signal: AbortSignal;
  #missing: Reason | undefined;
  #misses = 0;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    this.#file = process.platform === "linux" ? findTool("ss") : undefined;
    if (process.platform !== "linux") this.#missing = "unsupported";
    else if (this.#file === undefined) this.#missing = "tool_missing";
  }

  /** Why there are no figures; undefined while ss does its work. */
  get missing(): Reason | undefined {
    return this.#missing;
  }

  /** The sockets with these local ports that are connected, or connecting, to `peerPort`; by local port. */
  async read(ports: readonly number[], peerPort: number): Promise<Map<number, SsSocket>> {
    const sockets = new Map<number, SsSocket>();
    if (this.#file === undefined || this.#missing !== undefined || ports.length === 0) return sockets;
    // ss takes its filter as words of its own and honours no `--`: only numbers of ours go there.
    const filter = ports.map((port) => `sport = :${Math.trunc(port)}`).join(" or ");
    const run = await runTool({
      file: this.#file,
      args: ["-Htino", filter],
      timeout_ms: SS_MS,
      grace_ms: SS_GRACE_MS,
      signal: this.#signal,
    });
    if (run.aborted) return sockets;
    if (run.timedOut) this.#missing = "timeout";
    else if (run.startError === "EPERM" || run.startError === "EACCES") this.#missing = "no_permission";
    else if (run.code !== 0) this.#missing = "unsupported";
    if (this.#missing !== undefined) return sockets;
    for (const socket of parseSs(run.stdout)) {
      const readable = socket.info.rto_ms !== null && socket.peer_port === peerPort && ports.includes(socket.local_port);
      if (readable) sockets.set(socket.local_port, socket);
    }
    this.#misses = sockets.size > 0 ? 0 : this.#misses + 1;
    if (this.#misses >= MISSES_MOST) this.#missing = "unsupported";
    return sockets;
  }
}
