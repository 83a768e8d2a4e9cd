// One spelling for an IP address: the hosts file, a tool and the edge may each write the same one differently.
import { isIPv6, SocketAddress } from "node:net";

/** The canonical text of an IPv6 literal (RFC 5952), without its zone; anything else as it is. */
export function canonicalAddress(address: string): string {
  const [literal = ""] = address.split("%", 1);
  return isIPv6(literal) ? new SocketAddress({ address: literal, family: "ipv6" }).address : address;
}

/** Whether two literals name the same address, however they are spelled. A zone names an interface of this host, not an address. */
export const sameAddress = (one: string | null, other: string): boolean =>
  one === other || (one?.includes(":") === true && other.includes(":") && canonicalAddress(one) === canonicalAddress(other));
