// The agent's sockets on a client's object: greeting, second copies, and what survives hibernation on a socket.
import { CADENCE, CLOSE } from "#contract/limits";
import type { EdgeFrame, Hello, OutboxFigures } from "#contract/wire";
import { parseJson } from "../json.ts";

/** Facts of one agent socket that survive hibernation. `boot` is null until its hello was accepted. */
export interface AgentAttachment {
  kind: "agent";
  epoch: number;
  boot: string | null;
  connected_at: number;
  /** Newest frame that woke the object; heartbeats are asked from the runtime instead. */
  heard_at: number;
  /** What this agent said of its outbox last: uploads, which would store it, do not come while the outbox cannot be read. */
  outbox?: OutboxFigures;
}

export function attachmentOf(socket: WebSocket): AgentAttachment | null {
  const attachment = socket.deserializeAttachment() as AgentAttachment | null;
  return attachment?.kind === "agent" ? attachment : null;
}

export function send(socket: WebSocket, frame: EdgeFrame): void {
  try {
    socket.send(JSON.stringify(frame));
  } catch (error) {
    // The peer went away between two frames; its close event follows and says so.
    console.log(JSON.stringify({ event: "send_failed", frame: frame.type, error: String(error) }));
  }
}

export function close(socket: WebSocket, code: number, reason: string): void {
  try {
    // A reason holds 123 bytes; a longer one is an error and would leave the socket open.
    socket.close(code, reason.replace(/[^\x20-\x7e]/g, "?").slice(0, 120));
  } catch (error) {
    console.log(JSON.stringify({ event: "close_failed", code, error: String(error) }));
  }
}

/**
 * Answers a close. The runtime does not do it by itself for a hibernating socket, and the codes that only report a broken
 * line (1005, 1006) may not be sent.
 */
export function closeReply(socket: WebSocket, code: number, reason: string): void {
  if (socket.readyState === WebSocket.CLOSED) return;
  close(socket, code === 1005 || code === 1006 || code < 1000 ? 1000 : code, reason);
}

/** A frame as far as its type; undefined for what is not a JSON object with one. */
export function readFrame(message: string): { type: string } | undefined {
  const frame = parseJson(message);
  const typed = typeof frame === "object" && frame !== null && "type" in frame && typeof frame.type === "string";
  return typed ? (frame as { type: string }) : undefined;
}

/** When this socket was last heard, heartbeats included, epoch milliseconds. */
export function heardAt(context: DurableObjectState, socket: WebSocket): number {
  const beat = context.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0;
  const attachment = attachmentOf(socket);
  return Math.max(beat, attachment?.heard_at ?? 0, attachment?.connected_at ?? 0);
}

const ANSWER_WITHIN_MS = 2000;

/** Decides which of two sockets with the same identity may stay. */
export class AgentLink {
  readonly #context: DurableObjectState;
  /** By nonce: several newcomers may ask the same socket at the same time. */
  readonly #challenges = new Map<string, { socket: WebSocket; answered: () => void }>();

  constructor(context: DurableObjectState) {
    this.#context = context;
  }

  /** The socket that speaks for the client now. */
  current(): WebSocket | undefined {
    return this.greeted()[0];
  }

  /** What the agent said of its outbox before this object slept. */
  get outbox(): OutboxFigures | undefined {
    const socket = this.current();
    return socket === undefined ? undefined : attachmentOf(socket)?.outbox;
  }

  /** Keeps what the agent said of its outbox with its socket, where it costs no row. */
  noteOutbox(outbox: OutboxFigures): void {
    const socket = this.current();
    const attachment = socket === undefined ? null : attachmentOf(socket);
    if (attachment !== null) socket?.serializeAttachment({ ...attachment, outbox });
  }

  greeted(): WebSocket[] {
    return this.#context
      .getWebSockets("agent")
      .filter((socket) => socket.readyState === WebSocket.OPEN && attachmentOf(socket)?.boot != null);
  }

  /**
   * Lets a socket in that said hello, or refuses it. The same boot is the same process coming back and replaces its old
   * socket. Another boot is either a restart whose old socket is half-open, or a second live copy (a cloned disk): the old
   * socket is asked, and if its agent answers, the newcomer is the copy.
   */
  async admit(newcomer: WebSocket, hello: Hello, now: number): Promise<boolean> {
    // Looked up again after each answer: another newcomer may have been let in meanwhile.
    for (let other = this.#otherThan(newcomer); other !== undefined; other = this.#otherThan(newcomer)) {
      const sameProcess = attachmentOf(other)?.boot === hello.boot;
      const dead = now - heardAt(this.#context, other) > CADENCE.silentAfterS * 1000;
      if (!sameProcess && !dead && (await this.#answers(other))) {
        close(newcomer, CLOSE.superseded, "another live agent holds this identity; register anew");
        return false;
      }
      if (sameProcess) close(other, 1000, "replaced by a new connection");
      else close(other, CLOSE.superseded, "another agent took over this identity");
      // A closing socket must not speak for the client again while its close event is on its way.
      const attachment = attachmentOf(other);
      if (attachment !== null) other.serializeAttachment({ ...attachment, boot: null });
    }
    if (newcomer.readyState !== WebSocket.OPEN) return false;
    const attachment = attachmentOf(newcomer);
    if (attachment !== null) newcomer.serializeAttachment({ ...attachment, boot: hello.boot, heard_at: now });
    return true;
  }

  #otherThan(newcomer: WebSocket): WebSocket | undefined {
    return this.greeted().find((socket) => socket !== newcomer);
  }

  /** Closes every socket, except those of the epoch to keep. */
  closeAll(code: number, reason: string, keepEpoch?: number): void {
    for (const socket of this.#context.getWebSockets("agent")) {
      if (keepEpoch === undefined || attachmentOf(socket)?.epoch !== keepEpoch) close(socket, code, reason);
    }
  }

  /** An agent answered `check`. */
  here(socket: WebSocket, nonce: string): void {
    const challenge = this.#challenges.get(nonce);
    if (challenge?.socket === socket) challenge.answered();
  }

  #answers(socket: WebSocket): Promise<boolean> {
    return new Promise((resolve) => {
      const nonce = crypto.randomUUID();
      const timer = setTimeout(() => finish(false), ANSWER_WITHIN_MS);
      const finish = (answered: boolean) => {
        clearTimeout(timer);
        this.#challenges.delete(nonce);
        resolve(answered);
      };
      this.#challenges.set(nonce, { socket, answered: () => finish(true) });
      send(socket, { type: "check", nonce });
    });
  }
}
