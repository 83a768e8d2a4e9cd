// The agent's sockets on a client's object: greeting, second copies, and what survives hibernation on a socket.
import { CADENCE, CLOSE } from "#contract/limits";
import type { EdgeFrame, Hello } from "#contract/wire";

/** Facts of one agent socket that survive hibernation. `boot` is null until its hello was accepted. */
export interface AgentAttachment {
  kind: "agent";
  epoch: number;
  boot: string | null;
  connected_at: number;
  /** Newest frame that woke the object; heartbeats are asked from the runtime instead. */
  heard_at: number;
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
    socket.close(code, reason.slice(0, 120));
  } catch (error) {
    console.log(JSON.stringify({ event: "close_failed", code, error: String(error) }));
  }
}

/** When this socket was last heard, heartbeats included, epoch milliseconds. */
export function heardAt(context: DurableObjectState, socket: WebSocket): number {
  const beat = context.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0;
  const attachment = attachmentOf(socket);
  return Math.max(beat, attachment?.heard_at ?? 0, attachment?.connected_at ?? 0);
}

const ANSWER_WITHIN_MS = 2000;

interface Challenge {
  nonce: string;
  answered: () => void;
}

/** Decides which of two sockets with the same identity may stay. */
export class AgentLink {
  readonly #context: DurableObjectState;
  readonly #challenges = new Map<WebSocket, Challenge>();

  constructor(context: DurableObjectState) {
    this.#context = context;
  }

  /** The socket that speaks for the client now. */
  current(): WebSocket | undefined {
    return this.greeted()[0];
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
    for (const other of this.greeted()) {
      if (other === newcomer) continue;
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

  /** An agent answered `check`. */
  here(socket: WebSocket, nonce: string): void {
    const challenge = this.#challenges.get(socket);
    if (challenge?.nonce === nonce) challenge.answered();
  }

  #answers(socket: WebSocket): Promise<boolean> {
    return new Promise((resolve) => {
      const nonce = crypto.randomUUID();
      const timer = setTimeout(() => finish(false), ANSWER_WITHIN_MS);
      const finish = (answered: boolean) => {
        clearTimeout(timer);
        this.#challenges.delete(socket);
        resolve(answered);
      };
      this.#challenges.set(socket, { nonce, answered: () => finish(true) });
      send(socket, { type: "check", nonce });
    });
  }
}
