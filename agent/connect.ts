// Binds a session to a real WebSocket.

import { type SessionEnd, type SessionEvents, SocketSession } from "./edge-socket.ts";
import type { Log } from "./log.ts";

const OPEN_MS = 15_000;

export interface Connection {
  readonly session: SocketSession;
  readonly ended: Promise<SessionEnd>;
  /** The socket itself is closed: a goodbye has been answered. */
  readonly gone: Promise<void>;
}

/** Opens a socket with the client token in its upgrade request. A refused upgrade ends it with code 1006. */
export function connect(url: string, token: string, events: SessionEvents, log: Log): Connection {
  const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
  const wire = {
    send: (text: string) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    close: (code: number, reason: string) => socket.close(code, reason),
  };
  let finish: (end: SessionEnd) => void = () => {};
  const ended = new Promise<SessionEnd>((resolve) => {
    finish = resolve;
  });
  const session = new SocketSession({ wire, events, ended: (end) => finish(end), log });
  const timer = setTimeout(() => session.close(4000, "not open in time"), OPEN_MS);
  socket.addEventListener("open", () => {
    clearTimeout(timer);
    session.opened();
  });
  socket.addEventListener("message", ({ data }) => {
    if (typeof data === "string") session.received(data);
  });
  socket.addEventListener("error", (event) => log.debug({ error: String(event.message || event.type) }, "socket error"));
  const gone = new Promise<void>((resolve) => {
    socket.addEventListener("close", ({ code, reason }) => {
      clearTimeout(timer);
      session.closed(code, reason);
      resolve();
    });
  });
  return { session, ended, gone };
}
