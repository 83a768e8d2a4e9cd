// One socket to the edge, as a state machine: hello, welcome, then frames both ways until it closes.
import { CADENCE } from "#contract/limits";
import { type EdgeFrame, edgeFrameSchema, type UploadBody } from "#contract/wire";
import type { Log } from "./log.ts";
import { type Clock, systemClock } from "./scheduler.ts";
import type { Carrier, UploadAnswer } from "./uploader.ts";

/** What a session needs of a WebSocket. */
export interface Wire {
  send(text: string): void;
  close(code: number, reason: string): void;
}

export type Welcome = Extract<EdgeFrame, { type: "welcome" }>;
export type RunFrame = Extract<EdgeFrame, { type: "run" }>;

/** What the agent does on the edge's frames. */
export interface SessionEvents {
  /** Anything came from the edge. */
  heard?(): void;
  hello(): Record<string, unknown>;
  /** `sent` and `received` enclose the server's time, epoch ms. */
  welcome(frame: Welcome, sent: number, received: number): void;
  instruction(revision: number): void;
  live(until: number): void;
  run(frame: RunFrame): void;
}

export interface SessionEnd {
  readonly code: number;
  readonly reason: string;
  readonly welcomed: boolean;
  /** How long the session was up after its welcome, ms. */
  readonly lasted: number;
}

const WELCOME_MS = 20_000;
const ACK_MS = 20_000;
/** Close code of our own when the other side has gone quiet. */
const SILENT = 4000;

interface Pending {
  readonly resolve: (answer: UploadAnswer) => void;
  readonly reject: (error: Error) => void;
  readonly cancel: () => void;
}

export class SocketSession implements Carrier {
  readonly #wire: Wire;
  readonly #events: SessionEvents;
  readonly #clock: Clock;
  readonly #log: Pick<Log, "debug" | "warn">;
  readonly #ended: (end: SessionEnd) => void;
  #greeted = 0;
  #welcomedAt: number | undefined;
  #heard = false;
  #missed = 0;
  #pending: Pending | undefined;
  #cancelTimer: () => void = () => {};
  #over = false;

  constructor(parts: {
    wire: Wire;
    events: SessionEvents;
    ended: (end: SessionEnd) => void;
    log: Pick<Log, "debug" | "warn">;
    clock?: Clock;
  }) {
    this.#wire = parts.wire;
    this.#events = parts.events;
    this.#ended = parts.ended;
    this.#log = parts.log;
    this.#clock = parts.clock ?? systemClock;
  }

  get welcomed(): boolean {
    return this.#welcomedAt !== undefined && !this.#over;
  }

  /** The socket is open: greets. */
  opened(): void {
    this.#greeted = this.#clock.now();
    this.send({ type: "hello", ...this.#events.hello() });
    this.#cancelTimer = this.#clock.after(WELCOME_MS, () => this.#giveUp("no welcome"));
  }

  /** A text frame came. Unknown ones are left alone: the edge may be newer. */
  received(text: string): void {
    if (this.#over) return;
    this.#heard = true;
    this.#events.heard?.();
    if (text === "pong") return;
    const frame = edgeFrameSchema.safeParse(parse(text));
    if (frame.success) this.#handle(frame.data);
    else this.#log.debug({ frame: text.slice(0, 80) }, "an unknown frame was left alone");
  }

  /** The socket is gone. */
  closed(code: number, reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelTimer();
    this.#reject(new Error(`the connection closed (${code})`));
    const lasted = this.#welcomedAt === undefined ? 0 : this.#clock.now() - this.#welcomedAt;
    this.#ended({ code, reason, welcomed: this.#welcomedAt !== undefined, lasted });
  }

  send(frame: Record<string, unknown>): void {
    if (!this.#over) this.#wire.send(JSON.stringify(frame));
  }

  /** Says goodbye. The other side may be gone already, so the end does not wait for its answer. */
  close(code: number, reason: string): void {
    if (this.#over) return;
    this.#wire.close(code, reason);
    this.closed(code, reason);
  }

  upload(body: UploadBody): Promise<UploadAnswer> {
    if (!this.welcomed) return Promise.reject(new Error("there is no connection"));
    if (this.#pending !== undefined) return Promise.reject(new Error("an upload is already on its way"));
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(ACK_MS, () => this.#giveUp("no acknowledgement"));
      this.#pending = { resolve, reject, cancel };
      this.send({ type: "upload", ...body });
    });
  }

  #handle(frame: EdgeFrame): void {
    if (frame.type === "welcome") this.#welcome(frame);
    else if (frame.type === "ack") this.#answer({ ack: frame.to });
    else if (frame.type === "need") this.#answer({ need: frame.from });
    else if (frame.type === "check") this.send({ type: "here", nonce: frame.nonce });
    else if (frame.type === "instruction") this.#events.instruction(frame.revision);
    else if (frame.type === "live") this.#events.live(frame.until);
    else this.#events.run(frame);
  }

  #welcome(frame: Welcome): void {
    if (this.#welcomedAt !== undefined) return;
    this.#welcomedAt = this.#clock.now();
    this.#cancelTimer();
    this.#beat();
    this.#events.welcome(frame, this.#greeted, this.#welcomedAt);
  }

  /** A ping each beat; two beats without any frame, and the line is dead. */
  #beat(): void {
    this.#cancelTimer = this.#clock.after(CADENCE.heartbeatS * 1000, () => {
      this.#missed = this.#heard ? 0 : this.#missed + 1;
      this.#heard = false;
      if (this.#missed >= 2) {
        this.#giveUp("silence");
        return;
      }
      this.#wire.send("ping");
      this.#beat();
    });
  }

  #giveUp(why: string): void {
    this.#log.warn({ why }, "the connection is dead");
    this.close(SILENT, why);
  }

  #answer(answer: UploadAnswer): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    this.#pending = undefined;
    pending.cancel();
    pending.resolve(answer);
  }

  #reject(error: Error): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    this.#pending = undefined;
    pending.cancel();
    pending.reject(error);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
