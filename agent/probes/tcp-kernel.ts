// The kernel's figures of our own connections, read by ss (iproute2). It needs no privilege; one call serves many sockets.
import type { Socket } from "node:net";
import type { Reason } from "#contract/metrics";
import { findTool, runTool } from "../exec.ts";
import { parseSs, type SsSocket } from "../parsers/ss.ts";

/** ss answers in milliseconds; one that does not in this time is not asked again. */
const SS_MS = 1000;
const SS_GRACE_MS = 100;
/** Answers in a row without any of the sockets asked for that are still open, until ss is taken for one that cannot show them. */
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

  /** The figures of these sockets as far as they are connected, or connecting, to `peerPort`. */
  async read(sockets: readonly Socket[], peerPort: number): Promise<Map<Socket, SsSocket>> {
    const found = new Map<Socket, SsSocket>();
    const byPort = new Map(sockets.flatMap((socket) => (socket.localPort === undefined ? [] : [[socket.localPort, socket]])));
    if (this.#file === undefined || this.#missing !== undefined || byPort.size === 0) return found;
    // ss takes its filter as words of its own and honours no `--`: only numbers of ours go there.
    const filter = [...byPort.keys()].map((port) => `sport = :${Math.trunc(port)}`).join(" or ");
    const run = await runTool({
      file: this.#file,
      args: ["-Htino", filter],
      timeout_ms: SS_MS,
      grace_ms: SS_GRACE_MS,
      signal: this.#signal,
    });
    if (run.aborted) return found;
    if (run.timedOut) this.#missing = "timeout";
    else if (run.startError === "EPERM" || run.startError === "EACCES") this.#missing = "no_permission";
    else if (run.code !== 0) this.#missing = "unsupported";
    if (this.#missing !== undefined) return found;
    for (const figures of parseSs(run.stdout)) {
      const socket = byPort.get(figures.local_port);
      if (socket !== undefined && figures.info.rto_ms !== null && figures.peer_port === peerPort) found.set(socket, figures);
    }
    // A connection that its peer has reset meanwhile is gone for ss too, which is not the fault of ss.
    if (found.size > 0) this.#misses = 0;
    else if ([...byPort.values()].some((socket) => !socket.destroyed)) this.#misses += 1;
    if (this.#misses >= MISSES_MOST) this.#missing = "unsupported";
    return found;
  }
}
