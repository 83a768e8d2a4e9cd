// The rules of a consent file: address blocks, addresses, names and suffixes of names.
import { BlockList, isIP } from "node:net";
import { checkHost, ipVersion, ipv6Groups, translatedIpv4 } from "#contract/destination";

/** One rule as it was understood, or what is wrong with it and what may stand there. */
export type Rule =
  | { kind: "block"; base: string; bits: number; family: "ipv4" | "ipv6" }
  | { kind: "name"; name: string }
  | { kind: "suffix"; suffix: string }
  | { kind: "problem"; problem: string };

const FORMS = "a rule is a block such as 10.0.0.0/8 or fd00::/8, an address, a name, or a suffix such as *.example.com";
const refuse = (why: string): Rule => ({ kind: "problem", problem: `${why}; ${FORMS}` });

/** The numbers of an address, most significant bit first. */
function bitsOf(address: string, version: 4 | 6): bigint {
  const parts = version === 4 ? address.split(".").map(Number) : ipv6Groups(address);
  return parts.reduce((sum, part) => (sum << BigInt(version === 4 ? 8 : 16)) | BigInt(part), 0n);
}

/** Whether these bits are in ::ffff:0:0/96, IPv4 addresses in IPv6 notation (RFC 4291 section 2.5.5.2). */
const isMapped = (bits: bigint): boolean => bits >> 32n === 0xffffn;

/** The IPv4 address that an IPv6 notation hides, as system settings may write it; every other address as it is. */
function unmapped(address: string): string {
  const bits = isIP(address) === 6 ? bitsOf(address, 6) : 0n;
  return isMapped(bits) ? [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 255n).join(".") : address;
}

function readBlock(base: string, version: 4 | 6, length: string | undefined): Rule {
  if (base.includes("%")) return refuse("has a zone, which a rule cannot hold");
  const most = version === 4 ? 32 : 128;
  const bits = length === undefined ? most : /^(0|[1-9]\d{0,2})$/.test(length) ? Number(length) : Number.NaN;
  if (!(bits >= 0 && bits <= most)) return refuse(`has the prefix length '${length}'; an IPv${version} block has 0 to ${most}`);
  const beyond = bitsOf(base, version) & ((1n << BigInt(most - bits)) - 1n);
  if (beyond !== 0n)
    return refuse(`is an address inside the block and not its first one; write ${base} alone, or the block's first address`);
  if (version === 6 && bits >= 96 && isMapped(bitsOf(base, 6)))
    return refuse("is an IPv4 address in IPv6 clothes; write the IPv4 one");
  return { kind: "block", base, bits, family: version === 4 ? "ipv4" : "ipv6" };
}

/** Reads one rule. */
export function readRule(text: string): Rule {
  const input = text.trim();
  const [base = "", length, ...rest] = input.split("/");
  const version = ipVersion(base);
  if (version !== 0 && rest.length === 0) return readBlock(base, version, length);
  if (input.includes("/")) return refuse("is no address block");
  const suffix = /^\*\.(.+)$/.exec(input)?.[1];
  const name = checkHost(suffix ?? input);
  if (!name.ok) return refuse(name.message);
  if (suffix === undefined) return { kind: "name", name: name.host };
  return name.version === 0 ? { kind: "suffix", suffix: `.${name.host}` } : refuse("puts '*.' before an address");
}

/** Rules together: whether a name or an address is among what they name. */
export class RuleSet {
  /** One list for each family: a common one takes IPv4 addresses for IPv6 ones, and ::/0 would hold them all. */
  readonly #blocks = { ipv4: new BlockList(), ipv6: new BlockList() } as const;
  readonly #names = new Set<string>();
  readonly #suffixes: string[] = [];
  /** Whether addresses are named at all. */
  readonly hasBlocks: boolean;

  /** Throws when a rule is none. */
  constructor(texts: readonly string[]) {
    const rules = texts.map(readRule);
    this.hasBlocks = rules.some(({ kind }) => kind === "block");
    for (const [index, rule] of rules.entries()) {
      if (rule.kind === "problem") throw new Error(`'${texts[index]}' ${rule.problem}`);
      if (rule.kind === "block") this.#blocks[rule.family].addSubnet(rule.base, rule.bits, rule.family);
      else if (rule.kind === "name") this.#names.add(rule.name);
      else this.#suffixes.push(rule.suffix);
    }
  }

  /** Whether a rule names this host name (as checkHost writes it). */
  names(name: string): boolean {
    return this.#names.has(name) || this.#suffixes.some((suffix) => name.endsWith(suffix));
  }

  /** Whether a block holds this address; a zone makes no difference. */
  holds(address: string): boolean {
    const bare = unmapped(address.replace(/%.*$/, ""));
    const version = isIP(bare);
    const family = version === 6 ? "ipv6" : "ipv4";
    return version !== 0 && this.#blocks[family].check(bare, family);
  }

  /** As `holds`, also where a translator or tunnel takes packets to an IPv4 address that a block holds (RFC 6052, 3056). */
  reaches(address: string): boolean {
    const bare = address.replace(/%.*$/, "");
    const inner = isIP(bare) === 6 ? translatedIpv4(bare) : undefined;
    return this.holds(address) || (inner !== undefined && this.holds(inner));
  }
}
