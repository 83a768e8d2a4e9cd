// One port number for UDP and TCP, on every address of this host or on one.
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { Server } from "node:http";
import { isIPv4 } from "node:net";
import { FatalError } from "../exit.ts";
import { UDP_LIMITS } from "./limits.ts";

export interface Bound {
  /** UDP: one, or one for each family where an IPv6 socket gets no IPv4. */
  readonly sockets: readonly Socket[];
  /** Address both are bound to; `::` is every IPv6 and IPv4 address. */
  readonly host: string;
  readonly port: number;
}

/** Ports the system picks for UDP may be taken for TCP. */
const PICKS = 8;

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";

/** Replies go to literals; looking them up, even at once, would put the wire later than its timestamp. */
function lookup(
  address: string,
  _options: unknown,
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  done(null, address, isIPv4(address) ? 4 : 6);
}

async function bindUdp(host: string, port: number): Promise<Socket> {
  const socket = createSocket({ type: isIPv4(host) ? "udp4" : "udp6", recvBufferSize: UDP_LIMITS.receiveBuffer, lookup });
  try {
    const bound = once(socket, "listening");
    socket.bind({ address: host, port, exclusive: true });
    await bound;
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/**
 * The socket for IPv4 beside that for every IPv6 address, which most systems give IPv4 too and then have the port in use; systems
 * with net.ipv6.bindv6only=1 do not. TCP needs no such care: libuv clears IPV6_V6ONLY there.
 */
async function bindIpv4Too(port: number): Promise<Socket[]> {
  try {
    return [await bindUdp("0.0.0.0", port)];
  } catch (error) {
    if (["EADDRINUSE", "EAFNOSUPPORT", "EADDRNOTAVAIL", "EPROTONOSUPPORT"].includes(codeOf(error))) return [];
    throw error;
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  const listening = once(server, "listening");
  server.listen({ host, port, exclusive: true });
  await listening;
}

async function bindBoth(server: Server, host: string, port: number): Promise<Bound> {
  const sockets = [await bindUdp(host, port)];
  const chosen = sockets[0]?.address().port ?? port;
  try {
    if (host === "::") sockets.push(...(await bindIpv4Too(chosen)));
    await listen(server, host, chosen);
    return { sockets, host, port: chosen };
  } catch (error) {
    for (const socket of sockets) socket.close();
    throw error;
  }
}

/** Both on a port the system picks. */
async function bindAny(server: Server, host: string): Promise<Bound> {
  for (let left = PICKS; ; left--) {
    try {
      return await bindBoth(server, host, 0);
    } catch (error) {
      if (codeOf(error) !== "EADDRINUSE" || left === 0) throw error;
    }
  }
}

/** IPv6 with IPv4 in it; where this host has no IPv6, IPv4 alone. */
async function withFamilies(host: string | undefined, bind: (host: string) => Promise<Bound>): Promise<Bound> {
  if (host !== undefined) return await bind(host);
  try {
    return await bind("::");
  } catch (error) {
    if (!["EAFNOSUPPORT", "EADDRNOTAVAIL", "EPROTONOSUPPORT"].includes(codeOf(error))) throw error;
    return await bind("0.0.0.0");
  }
}

/** What to do about a port that cannot be had. */
function explain(error: unknown, host: string | undefined, port: number): FatalError {
  const code = codeOf(error);
  const where = `UDP and TCP port ${port}${host === undefined ? "" : ` of ${host}`}`;
  const advice =
    code === "EADDRINUSE"
      ? "is in use by another program; stop that, or choose another with --port"
      : code === "EACCES"
        ? "needs privileges; choose one above 1023 with --port"
        : code === "EADDRNOTAVAIL"
          ? "cannot be opened: this host does not have that address; choose another with --host"
          : `cannot be opened: ${error instanceof Error ? error.message : String(error)}`;
  return new FatalError(`${where} ${advice}`);
}

/**
 * Binds both. `host` is a literal; absent, every address. With `anyPort` a taken port gives way to one the system picks.
 * Rejects with a FatalError that says what to do.
 */
export async function bindPort(
  server: Server,
  { host, port, anyPort }: { host?: string | undefined; port: number; anyPort: boolean },
): Promise<Bound> {
  const some = (at: string) => bindAny(server, at);
  try {
    if (port === 0) return await withFamilies(host, some);
    return await withFamilies(host, (at) => bindBoth(server, at, port));
  } catch (error) {
    if (!anyPort || port === 0 || !["EADDRINUSE", "EACCES"].includes(codeOf(error))) throw explain(error, host, port);
  }
  return await withFamilies(host, some).catch((error: unknown) => {
    throw explain(error, host, 0);
  });
}
