// Where other agents can reach this host.
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { LIMITS } from "#contract/limits";
import { canonicalAddress } from "./address.ts";

/** Interfaces that lead to this host's own containers and virtual machines: the same addresses exist on every such host. */
const INNER = /^(docker|br-|veth|virbr|vnet|cni|flannel|cali|lxc|lxdbr|podman|tap)/;
/** Loopback, link-local (RFC 3927, RFC 4291), and what names no host. */
const NOT_ELSEWHERE = /^(127\.|0\.|169\.254\.|::1?$|fe[89ab]|f[ef]c|ff)/i;

/** Addresses of this host's real interfaces that count beyond their link, IPv4 first. */
export function interfaceAddresses(): string[] {
  const found = Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    INNER.test(name) ? [] : (list ?? []).filter((each) => !each.internal).map(({ address }) => canonicalAddress(address)),
  );
  const usable = found.filter((address) => !NOT_ELSEWHERE.test(address));
  return [...usable.filter((address) => !isIPv6(address)), ...usable.filter((address) => isIPv6(address))];
}

/** The address that this host's packets to a server carry; undefined where it has no way there. Nothing is sent. */
export async function addressTowards(server: string): Promise<string | undefined> {
  const { hostname, port, protocol } = new URL(server);
  try {
    const { address, family } = await lookup(hostname.replace(/^\[|\]$/g, ""));
    const socket = createSocket(family === 6 ? "udp6" : "udp4");
    try {
      const ready = once(socket, "connect");
      socket.connect(Number(port) || (protocol === "https:" ? 443 : 80), address);
      await ready;
      return canonicalAddress(socket.address().address);
    } finally {
      socket.close();
    }
  } catch {
    // No name, no route, a proxy in between: the interfaces' addresses have to do.
    return undefined;
  }
}

/**
 * Everywhere this host can be reached, the best first: the address that reaches the server, then the others. What its owner says
 * stands alone in its family. Loopback counts where the server is on this host too.
 */
export async function ownAddresses(server: string, advertised: readonly string[]): Promise<string[]> {
  const towards = await addressTowards(server);
  const found = [...(towards === undefined || /^(169\.254|fe[89ab])/i.test(towards) ? [] : [towards]), ...interfaceAddresses()];
  const said = new Set(advertised.map(isIPv6));
  const all = [...advertised, ...found.filter((address) => !said.has(isIPv6(address)))];
  return [...new Set(all)].slice(0, LIMITS.reflectorAddresses);
}
