// What a test may be pointed at. The same grammar guards the dashboard's form, the edge and the agent's command line.
import { z } from "zod";
import { LIMITS } from "./limits.ts";

// The contract compiles without a platform; every runtime that imports it has the WHATWG URL parser, used here for IDNA.
declare class URL {
  constructor(url: string);
  readonly href: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port: string;
  readonly username: string;
  readonly password: string;
}

const ipv4 = z.ipv4();
const ipv6 = z.ipv6();

/** 4 or 6 for an IP literal in canonical notation (no octal, hexadecimal or short forms), else 0. */
export function ipVersion(text: string): 0 | 4 | 6 {
  if (ipv4.safeParse(text).success) return 4;
  if (ipv6.safeParse(text.replace(/%[0-9A-Za-z._-]{1,32}$/, "")).success) return 6;
  return 0;
}

export type DestinationCheck = { ok: true; host: string; version: 0 | 4 | 6 } | { ok: false; message: string };

const refuse = (message: string): DestinationCheck => ({ ok: false, message });

/** Where clouds answer their machines' questions for credentials (AWS, Azure, Google; AWS ECS; Alibaba). */
const METADATA: readonly string[] = ["169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254"];

function checkIpv4(host: string): DestinationCheck {
  const first = Number(host.split(".")[0]);
  if (host === "255.255.255.255") return refuse("is the broadcast address; name one host");
  if (first === 0) return refuse("is in 0.0.0.0/8, which names no host");
  if (first >= 224 && first < 240) return refuse("is a multicast address; name one host");
  if (first >= 240) return refuse("is in a reserved range");
  if (METADATA.includes(host)) return refuse("is a cloud metadata address, which is never measured");
  return { ok: true, host, version: 4 };
}

/** An IPv6 address without a zone in the URL parser's one spelling (RFC 5952). */
const canonicalIpv6 = (address: string): string => new URL(`http://[${address}]/`).hostname.slice(1, -1);

/** The eight groups of an IPv6 address without a zone. */
export function ipv6Groups(address: string): number[] {
  const [head = "", tail] = canonicalIpv6(address).split("::");
  const read = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const [front, back] = [read(head), read(tail ?? "")];
  return [...front, ...new Array<number>(Math.max(0, 8 - front.length - back.length)).fill(0), ...back];
}

/** The IPv4 address an IPv6 address leads to through a translator or tunnel (RFC 6052, 8215, 3056), or undefined. */
function embeddedIpv4(groups: readonly number[]): string | undefined {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups;
  const dotted = (high: number, low: number) => [high >> 8, high & 255, low >> 8, low & 255].join(".");
  const nat64 = a === 0x64 && b === 0xff9b;
  if (nat64 && c === 0 && d === 0 && e === 0 && f === 0) return dotted(g, h);
  // A prefix of 48 bits: the address surrounds the octet that is kept zero (RFC 6052 2.2).
  if (nat64 && c === 1) return dotted(d, ((e & 255) << 8) | (f >> 8));
  return a === 0x2002 ? dotted(b, c) : undefined;
}

/** The IPv4 address that packets to an IPv6 address without a zone end up at, where its form says so; else undefined. */
export const translatedIpv4 = (address: string): string | undefined => embeddedIpv4(ipv6Groups(address));

function checkIpv6(host: string): DestinationCheck {
  const [address = "", zone] = host.split("%");
  // Leading zeros and long forms must not hide what it is.
  const canonical = canonicalIpv6(address);
  if (zone !== undefined && !/^fe[89ab]/.test(canonical)) return refuse("has a zone, which only link-local addresses take");
  if (canonical === "::") return refuse("is the unspecified address");
  if (canonical.startsWith("ff")) return refuse("is a multicast address; name one host");
  const groups = ipv6Groups(canonical);
  const compatible = groups.slice(0, 6).every((group) => group === 0) && canonical !== "::1";
  if (compatible || canonical.startsWith("::ffff:")) {
    return refuse("is an IPv4 address in IPv6 clothes; write the IPv4 address");
  }
  if (METADATA.includes(canonical)) return refuse("is a cloud metadata address, which is never measured");
  const inner = embeddedIpv4(groups);
  const verdict = inner === undefined ? undefined : checkIpv4(inner);
  if (verdict?.ok === false) return refuse(`leads to ${inner}, which ${verdict.message}`);
  return { ok: true, host: zone === undefined ? canonical : `${canonical}%${zone}`, version: 6 };
}

/**
 * A host to measure: an IP literal or a host name (RFC 1123, IDNA). Answers the form to use on the wire (ASCII, lower case).
 * Anything a tool could read as an option, an octal or hexadecimal number or a shell word is refused.
 */
export function checkHost(text: string): DestinationCheck {
  const input = text.trim();
  if (input === "") return refuse("is empty; give a host name or an IP address");
  if (input.length > LIMITS.destinationLength) return refuse("is too long");
  if (input.startsWith("-")) return refuse("begins with '-'; give a host name or an IP address");
  const version = ipVersion(input);
  if (version === 4) return checkIpv4(input);
  if (version === 6) return checkIpv6(input);
  if (/[\s\p{Cc}\p{Cf}]/u.test(input)) return refuse("holds spaces or control characters");
  if (/[^\p{L}\p{N}\p{M}.\-_]/u.test(input)) {
    return refuse("holds characters that no host name has; give a bare host name or an IP address, without scheme, port or path");
  }
  return checkName(input);
}

function checkName(input: string): DestinationCheck {
  const ascii = toAscii(input);
  if (ascii === undefined) return refuse("is not a host name");
  const name = ascii.replace(/\.$/, "");
  const labels = name.split(".");
  const last = labels.at(-1) ?? "";
  if (/^\d+$/.test(last) || /^0x/i.test(last))
    return refuse("looks like a mistyped IP address; write it as four numbers 0 to 255");
  if (name.length > 253) return refuse("is longer than the 253 characters of a host name");
  const bad = labels.find((label) => !/^(?!-)[a-z0-9_-]{1,63}(?<!-)$/.test(label));
  if (bad !== undefined) return refuse(`has a label that is not a host name label: '${bad.slice(0, 70)}'`);
  return { ok: true, host: name, version: 0 };
}

function toAscii(input: string): string | undefined {
  // Plain ASCII goes past the URL parser, which would read "0x7f.1" as a number.
  if (/^[\x21-\x7e]+$/.test(input)) return input.toLowerCase();
  try {
    return new URL(`http://${input}/`).hostname;
  } catch {
    return undefined;
  }
}

export type EndpointCheck =
  | { ok: true; host: string; version: 0 | 4 | 6; port: number | undefined }
  | { ok: false; message: string };

/** A host with or without a port: `name`, `name:443`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]:443`. */
export function checkEndpoint(text: string): EndpointCheck {
  const input = text.trim();
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(input);
  const plain = bracketed === null && ipVersion(input) === 0 ? /^([^:]*):(.*)$/.exec(input) : null;
  const [host, port] = bracketed ? [bracketed[1] ?? "", bracketed[2]] : plain ? [plain[1] ?? "", plain[2]] : [input, undefined];
  if (bracketed && ipVersion(host) !== 6) return { ok: false, message: "has brackets around something that is no IPv6 address" };
  const checked = checkHost(host);
  if (!checked.ok) return checked;
  if (port === undefined) return { ...checked, port: undefined };
  const number = /^\d{1,5}$/.test(port) ? Number(port) : Number.NaN;
  if (!(number >= 1 && number <= 65_535))
    return { ok: false, message: `has the port '${port.slice(0, 20)}'; ports are 1 to 65535` };
  return { ...checked, port: number };
}

/** Another client as destination: one by its id, or every other client of the same test. */
export type PeerDestination = { kind: "client"; client_id: string } | { kind: "mesh" };

/** Reads `client:<id>` and `mesh`; undefined for a destination that is an address or a name. */
export function peerDestination(text: string): PeerDestination | undefined {
  const input = text.trim();
  if (input === "mesh") return { kind: "mesh" };
  const id = /^client:([0-9a-z]{16})$/.exec(input)?.[1];
  return id === undefined ? undefined : { kind: "client", client_id: id };
}

export type UrlCheck =
  | { ok: true; url: string; scheme: "http" | "https"; host: string; version: 0 | 4 | 6; port: number }
  | { ok: false; message: string };

/** An http or https URL without credentials, whose host passes the host grammar. Path and query stay as they are. */
export function checkUrl(text: string): UrlCheck {
  const input = text.trim();
  if (input === "") return { ok: false, message: "is empty; give a URL such as https://example.com/" };
  if (input.length > LIMITS.destinationLength) return { ok: false, message: "is too long" };
  if (/[\s\p{Cc}\p{Cf}\\]/u.test(input)) return { ok: false, message: "holds spaces, backslashes or control characters" };
  const parts = /^(https?):\/\/([^/?#]+)/i.exec(input);
  if (parts === null) return { ok: false, message: "is not an http or https URL; write https://host/path" };
  let url: URL;
  try {
    url = new URL(input);
  } catch {
    return { ok: false, message: "is not a URL" };
  }
  const authority = parts[2] ?? "";
  if (authority.includes("@"))
    return { ok: false, message: "holds a user name or password, which a test would show to everyone" };
  // The parser would read 0x7f.1 or 127.1 as an address; the authority as written must pass the grammar.
  const host = checkEndpoint(authority);
  if (!host.ok) return { ok: false, message: `has a host that ${host.message}` };
  if (host.version !== 6 && url.hostname.replace(/\.$/, "") !== host.host) {
    return { ok: false, message: "has a host that can be read in two ways" };
  }
  const scheme = url.protocol === "https:" ? "https" : "http";
  const port = host.port ?? (scheme === "https" ? 443 : 80);
  return { ok: true, url: url.href, scheme, host: host.host, version: host.version, port };
}
