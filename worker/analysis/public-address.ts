// What may be asked from the edge: only what is on the public internet. Pure.
import { ipVersion, ipv6Groups } from "#contract/destination";

/** Ranges that are not globally reachable (IANA special-purpose registries, RFC 6890), and multicast. */
const NOT_PUBLIC_4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
] as const;
/** Of IPv6 only global unicast is public (RFC 4291 2.4), less what is set aside in it: Teredo and the like, 6to4, documentation. */
const GLOBAL_UNICAST = "2000::/3";
const NOT_PUBLIC_6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"] as const;

/** Last labels that the public DNS does not hold (RFC 6761, 6762, 7686, 8375, 9476), and those people use as if they were theirs. */
const PRIVATE_NAMES =
  /(?:^|\.)(?:local|localhost|localdomain|test|example|invalid|onion|internal|alt|arpa|lan|home|corp|mail|intranet|private|workgroup)$/;

/** Cloudflare's own ranges (www.cloudflare.com/ips, and its resolver's), to which a Worker cannot open TCP connections. */
const CLOUDFLARE = [
  "1.0.0.0/24",
  "1.1.1.0/24",
  "103.21.244.0/22",
  "103.22.200.0/22",
  "103.31.4.0/22",
  "104.16.0.0/13",
  "104.24.0.0/14",
  "108.162.192.0/18",
  "131.0.72.0/22",
  "141.101.64.0/18",
  "162.158.0.0/15",
  "172.64.0.0/13",
  "173.245.48.0/20",
  "188.114.96.0/20",
  "190.93.240.0/20",
  "197.234.240.0/22",
  "198.41.128.0/17",
  "2400:cb00::/32",
  "2606:4700::/32",
  "2803:f800::/32",
  "2405:b500::/32",
  "2405:8100::/32",
  "2a06:98c0::/29",
  "2c0f:f248::/32",
] as const;

/** An address as 16-bit groups: two of IPv4, eight of IPv6. */
function groupsOf(address: string): number[] {
  if (ipVersion(address) === 6) return ipv6Groups(address.split("%")[0] ?? "");
  const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
  return [(a << 8) | b, (c << 8) | d];
}

function inRange(address: string, range: string): boolean {
  const [network = "", length = "0"] = range.split("/");
  if (ipVersion(address) !== ipVersion(network)) return false;
  const [groups, wanted] = [groupsOf(address), groupsOf(network)];
  let bits = Number(length);
  for (let at = 0; bits > 0; at++, bits -= 16) {
    const mask = bits >= 16 ? 0xffff : (0xffff << (16 - bits)) & 0xffff;
    if (((groups[at] ?? 0) & mask) !== ((wanted[at] ?? 0) & mask)) return false;
  }
  return true;
}

const inAny = (address: string, ranges: readonly string[]): boolean => ranges.some((range) => inRange(address, range));

/** Whether an IP literal is on the public internet. */
export function isPublicAddress(address: string): boolean {
  const version = ipVersion(address);
  if (version === 4) return !inAny(address, NOT_PUBLIC_4);
  return version === 6 && !address.includes("%") && inRange(address, GLOBAL_UNICAST) && !inAny(address, NOT_PUBLIC_6);
}

/** Whether a host, as the grammar of destinations writes it, could be on the public internet. */
export function mayBePublic(host: string): boolean {
  if (ipVersion(host) !== 0) return isPublicAddress(host);
  return host.includes(".") && !PRIVATE_NAMES.test(host);
}

/** Link-local addresses lead to the edge's own neighbours, a cloud's metadata service among them. */
export const isLinkLocal = (address: string): boolean => inAny(address, ["169.254.0.0/16", "fe80::/10"]);

/** Names under which clouds serve their machines' metadata. */
export const isMetadataName = (host: string): boolean => /^(?:metadata|instance-data)(?:\.|$)/.test(host);

export const isCloudflare = (address: string): boolean => inAny(address, CLOUDFLARE);
