// The UDP socket of one STAMP session: connected, so that the kernel keeps other senders out and tells of ICMP errors.
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { isIP } from "node:net";

/** Asked for; the kernel gives what its limits allow. Holds what comes while this process is held up. */
const RECEIVE_BYTES = 4 * 1024 * 1024;
/** An error of an earlier packet is told in the place of sending the next one: that one is tried again so often. */
const TRIES = 3;

export interface LineEvents {
  onMessage(bytes: Buffer, from: RemoteInfo): void;
  /** An ICMP error or one of this host's own kernel, by its errno name. */
  onError(errno: string): void;
}

const errnoOf = (error: NodeJS.ErrnoException): string => error.code ?? "UNKNOWN";

/** The largest receive buffer this system grants; some refuse what others cut down. */
function widen(socket: Socket): void {
  for (let bytes = RECEIVE_BYTES; bytes >= 65_536; bytes /= 2) {
    try {
      socket.setRecvBufferSize(bytes);
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ERR_SOCKET_BUFFER_SIZE")) throw error;
    }
  }
}

export class StampLine {
  readonly #socket: Socket;
  readonly #events: LineEvents;
  #closed = false;

  private constructor(socket: Socket, events: LineEvents) {
    this.#socket = socket;
    this.#events = events;
  }

  /** Opens a socket to one address and port, or tells the errno name of why there is none. `address` is an IP literal. */
  static open(address: string, port: number, events: LineEvents): Promise<StampLine | { readonly errno: string }> {
    const socket = createSocket(isIP(address) === 6 ? "udp6" : "udp4");
    const line = new StampLine(socket, events);
    return new Promise((resolve) => {
      socket.on("message", (bytes, from) => events.onMessage(bytes, from));
      socket.on("error", (error: NodeJS.ErrnoException) => {
        resolve({ errno: errnoOf(error) });
        events.onError(errnoOf(error));
      });
      socket.connect(port, address, (error?: Error) => {
        if (error !== undefined && error !== null) {
          line.close();
          resolve({ errno: errnoOf(error) });
          return;
        }
        widen(socket);
        resolve(line);
      });
    });
  }

  /** Sends one packet, made anew for each try so that its timestamp is that of its sending. `onFailure` is told why it was not sent. */
  send(make: () => Buffer, onFailure: (errno: string) => void, tries = TRIES): void {
    if (this.#closed) return;
    this.#socket.send(make(), (error) => {
      if (error === null || error === undefined || this.#closed) return;
      const errno = errnoOf(error);
      this.#events.onError(errno);
      if (errno === "ECONNREFUSED" && tries > 1) this.send(make, onFailure, tries - 1);
      else onFailure(errno);
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}
