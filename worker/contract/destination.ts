// What a test may be pointed at. The same grammar guards the dashboard's form, the edge and the agent's command line.
import { z } from "zod";
import { LIMITS } from "./limits.ts";

// The contract compiles without a platform; every runtime that imports it has the WHATWG URL parser, used here for IDNA.
declare class URL {
  constructor(url: string);
  readonly hostname: string;
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

function checkIpv4(host: string): DestinationCheck {
  const first = Number(host.split(".")[0]);
  if (host === "255.255.255.255") return refuse("is the broadcast address; name one host");
  if (first === 0) return refuse("is in 0.0.0.0/8, which names no host");
  if (first >= 224 && first < 240) return refuse("is a multicast address; name one host");
  if (first >= 240) return refuse("is in a reserved range");
  if (host === "169.254.169.254") return refuse("is a cloud metadata address, which is never measured");
  return { ok: true, host, version: 4 };
}

function checkIpv6(host: string): DestinationCheck {
  const [address = "", zone] = host.toLowerCase().split("%");
  if (zone !== undefined && !/^fe[89ab]/.test(address)) return refuse("has a zone, which only link-local addresses take");
  if (/^[0:]+$/.test(address)) return refuse("is the unspecified address");
  if (address.startsWith("ff")) return refuse("is a multicast address; name one host");
  if (/^::ffff:/.test(address)) return refuse("is an IPv4 address in IPv6 clothes; write the IPv4 address");
  return { ok: true, host, version: 6 };
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
