// Binds a session to a real WebSocket.

import { type SessionEnd, type SessionEvents, SocketSession } from "./edge-socket.ts";
import type { Log } from "./log.ts";
import { edgeEndpoint } from "./self-test-targets.ts";
import { openSocket } from "./web-socket.ts";

const OPEN_MS = 15_000;

export interface Connection {
  readonly session: SocketSession;
  readonly ended: Promise<SessionEnd>;
  /** The socket itself is closed: a goodbye has been answered. */
  readonly gone: Promise<void>;
}

/** Opens a socket with the client token in its upgrade request. A refused upgrade ends it with code 1006. */
export function connect(url: string, token: string, events: SessionEvents, log: Log): Connection {
  let finish: (end: SessionEnd) => void = () => {};
  const ended = new Promise<SessionEnd>((resolve) => {
    finish = resolve;
  });
  let left: () => void = () => {};
  const gone = new Promise<void>((resolve) => {
    left = resolve;
  });
  const headers = { authorization: `Bearer ${token}` };
  const { proxy } = edgeEndpoint(url.replace(/^ws/, "http"));
  const wire = openSocket(url, headers, proxy, {
    open() {
      clearTimeout(timer);
      session.opened();
    },
    message: (text) => session.received(text),
    error: (why) => log.debug({ error: why }, "socket error"),
    close(code, reason) {
      clearTimeout(timer);
      session.closed(code, reason);
      left();
    },
  });
  const session = new SocketSession({ wire, events, ended: (end) => finish(end), log });
  const timer = setTimeout(() => session.close(4000, "not open in time"), OPEN_MS);
  return { session, ended, gone };
}
