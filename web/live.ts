// A live socket that comes back by itself, and polling while it cannot.
import { type LiveFrame, liveFrameSchema } from "#contract/api";
import { CADENCE } from "#contract/limits";
import { parseJson } from "./problem.ts";

export type LiveState = "connecting" | "live" | "polling";

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const POLL_MS = 5000;
/** Failed tries before the page polls. */
const TRIES_BEFORE_POLLING = 2;

export interface LiveOptions {
  readonly path: string;
  readonly onFrame: (frame: LiveFrame) => void;
  readonly onState: (state: LiveState) => void;
  /** Reads the same data over HTTPS. */
  readonly poll: () => void;
}

/** Wait before try `attempt` (from 0): up to 0.5 s doubling to 30 s, fully jittered so that browsers do not return together. */
export function retryDelayMs(attempt: number, random: number): number {
  return Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt) * (0.2 + 0.8 * random);
}

export class LiveSocket {
  readonly #options: LiveOptions;
  #socket: WebSocket | undefined;
  #failures = 0;
  #heardAt = 0;
  #timers: { retry?: number; ping?: number; poll?: number } = {};
  #closed = false;

  constructor(options: LiveOptions) {
    this.#options = options;
    options.onState("connecting");
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timers.retry);
    this.#stopPing();
    this.#stopPolling();
    this.#socket?.close(1000);
  }

  #connect(): void {
    const url = new URL(`/api/v1${this.#options.path}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.addEventListener("open", () => this.#opened(socket));
    socket.addEventListener("message", (event: MessageEvent<unknown>) => this.#heard(event.data));
    socket.addEventListener("close", () => this.#lost(socket));
  }

  #opened(socket: WebSocket): void {
    if (this.#closed) {
      socket.close(1000);
      return;
    }
    this.#heardAt = Date.now();
    this.#stopPolling();
    this.#options.onState("live");
    // What came while the socket was away is not sent again.
    if (this.#failures > 0) this.#options.poll();
    this.#timers.ping = window.setInterval(() => this.#ping(socket), CADENCE.heartbeatS * 1000);
  }

  #ping(socket: WebSocket): void {
    // A half-open socket never reports itself; two unanswered pings mean it is dead.
    const dead = Date.now() - this.#heardAt > CADENCE.heartbeatS * 2500;
    if (dead) socket.close(4000, "silent");
    else socket.send("ping");
  }

  #heard(data: unknown): void {
    this.#heardAt = Date.now();
    // Only now is the line known to carry data: a proxy may open a socket and drop it at once.
    this.#failures = 0;
    if (this.#closed || typeof data !== "string" || data === "pong") return;
    const frame = liveFrameSchema.safeParse(parseJson(data));
    if (frame.success) this.#options.onFrame(frame.data);
    else console.warn("A live frame could not be read", frame.error.issues[0]);
  }

  #lost(socket: WebSocket): void {
    if (this.#closed || socket !== this.#socket) return;
    this.#stopPing();
    this.#failures += 1;
    if (this.#failures >= TRIES_BEFORE_POLLING) this.#startPolling();
    else this.#options.onState("connecting");
    this.#timers.retry = window.setTimeout(() => this.#connect(), retryDelayMs(this.#failures - 1, Math.random()));
  }

  #startPolling(): void {
    this.#options.onState("polling");
    if (this.#timers.poll !== undefined) return;
    this.#options.poll();
    this.#timers.poll = window.setInterval(() => {
      if (!document.hidden) this.#options.poll();
    }, POLL_MS);
  }

  #stopPolling(): void {
    clearInterval(this.#timers.poll);
    delete this.#timers.poll;
  }

  #stopPing(): void {
    clearInterval(this.#timers.ping);
    delete this.#timers.ping;
  }
}
