// Which network an address belongs to, from a table on this host. Nobody is asked over the network.
import { readFile, stat } from "node:fs/promises";
import { isIP } from "node:net";

export interface Network {
  readonly asn: number;
  /** As the table has it; may be empty. */
  readonly name: string;
}

/** IPv6 addresses are told apart by their first 64 bits, the network's half (RFC 4291 2.5.4); longer prefixes are not routed. */
const BITS = { 4: 32n, 6: 64n } as const;

function ipv4Value(address: string): bigint {
  return address.split(".").reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

/** The first 64 bits. */
function ipv6Value(address: string): bigint {
  const plain = address.replace(/%.*$/, "");
  const [head = "", tail] = plain.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const left = groups(head);
  // A dotted end (RFC 4291 2.2) lies in the last 32 bits and only counts as two groups.
  const right = groups(tail ?? "").flatMap((group) => (group.includes(".") ? ["0", "0"] : [group]));
  const middle = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const all = [...left, ...Array.from({ length: middle }, () => "0"), ...right];
  return all.slice(0, 4).reduce((value, group) => (value << 16n) | BigInt(`0x${group === "" ? "0" : group}`), 0n);
}

const numberOf = (address: string, family: 4 | 6): bigint => (family === 4 ? ipv4Value(address) : ipv6Value(address));

interface Range {
  readonly first: bigint;
  readonly last: bigint;
  readonly asn: number;
}

/** Ranges without overlaps, in order; of those that contain an address the narrowest wins. */
class RangeList {
  readonly #first: BigUint64Array;
  readonly #asn: Uint32Array;

  /** Each border begins a stretch that reaches to the next one; AS 0 is nobody (RFC 7607). */
  constructor(ranges: readonly Range[]) {
    const sorted = [...ranges].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : a.last > b.last ? -1 : 1));
    const borders: { at: bigint; asn: number }[] = [];
    const open: Range[] = [];
    const put = (at: bigint, asn: number) => {
      if (borders.at(-1)?.at === at) borders.pop();
      borders.push({ at, asn });
    };
    const closeBefore = (at: bigint) => {
      for (let top = open.at(-1); top !== undefined && top.last < at; top = open.at(-1)) {
        open.pop();
        while ((open.at(-1)?.last ?? top.last + 1n) <= top.last) open.pop();
        put(top.last + 1n, open.at(-1)?.asn ?? 0);
      }
    };
    for (const range of sorted) {
      closeBefore(range.first);
      put(range.first, range.asn);
      open.push(range);
    }
    closeBefore(1n << 65n);
    // The end of the last address does not fit 64 bits and is nobody's anyway.
    const kept = borders.filter(({ at }) => at < 1n << 64n);
    this.#first = BigUint64Array.from(kept, ({ at }) => at);
    this.#asn = Uint32Array.from(kept, ({ asn }) => asn);
  }

  find(value: bigint): number {
    let low = 0;
    let high = this.#first.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#first[middle] ?? 0n) <= value) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : (this.#asn[low - 1] ?? 0);
  }
}

export class AsnTable {
  readonly #lists: Readonly<Record<4 | 6, RangeList>>;
  readonly #names: ReadonlyMap<number, string>;

  constructor(ranges: Readonly<Record<4 | 6, readonly Range[]>>, names: ReadonlyMap<number, string>) {
    this.#lists = { 4: new RangeList(ranges[4]), 6: new RangeList(ranges[6]) };
    this.#names = names;
  }

  /** The network an address belongs to, or undefined when the table does not know. */
  find(address: string): Network | undefined {
    const family = isIP(address);
    if (family !== 4 && family !== 6) return undefined;
    const asn = this.#lists[family].find(numberOf(address, family));
    return asn === 0 ? undefined : { asn, name: this.#names.get(asn) ?? "" };
  }
}

const asnOf = (text: string | undefined): number | undefined => {
  const digits = /^(?:AS)?(\d{1,10})$/i.exec(text ?? "")?.[1];
  const asn = Number(digits);
  return digits !== undefined && asn <= 0xffff_ffff ? asn : undefined;
};

/** `first last asn country name` as iptoasn.com gives it, separated by tabs. */
function readRange([from = "", to = "", number, , ...words]: readonly string[]):
  | (Range & { family: 4 | 6; name: string })
  | undefined {
  const family = isIP(from);
  const asn = asnOf(number);
  if ((family !== 4 && family !== 6) || isIP(to) !== family || asn === undefined) return undefined;
  return { family, first: numberOf(from, family), last: numberOf(to, family), asn, name: words.join(" ") };
}

/** `prefix asn name…`. */
function readPrefix([prefix = "", number, ...words]: readonly string[]): (Range & { family: 4 | 6; name: string }) | undefined {
  const [base = "", length = ""] = prefix.split("/");
  const family = isIP(base);
  const asn = asnOf(number);
  if ((family !== 4 && family !== 6) || !/^\d{1,3}$/.test(length) || asn === undefined) return undefined;
  const bits = BigInt(length);
  if (bits > BITS[family]) return undefined;
  const size = 1n << (BITS[family] - bits);
  const first = (numberOf(base, family) / size) * size;
  return { family, first, last: first + size - 1n, asn, name: words.join(" ") };
}

/** Reads a table; lines that are neither form are left out. Several prefixes may hold each other. */
export function parseAsnTable(text: string): AsnTable {
  const ranges: Record<4 | 6, Range[]> = { 4: [], 6: [] };
  const names = new Map<number, string>();
  for (const line of text.split("\n")) {
    const fields = line.trim().split(line.includes("\t") ? "\t" : /\s+/);
    const read = fields[0]?.includes("/") ? readPrefix(fields) : readRange(fields);
    if (read === undefined || read.asn === 0 || read.last < read.first) continue;
    ranges[read.family].push({ first: read.first, last: read.last, asn: read.asn });
    if (!names.has(read.asn)) names.set(read.asn, read.name.slice(0, 80));
  }
  return new AsnTable(ranges, names);
}

export type AsnLookup = { readonly table: AsnTable } | { readonly missing: string | null };

let loaded: { path: string; changed: number; table: AsnTable } | undefined;

/** The table STREAMSWARM_ASN_TABLE names, read when first asked for and again when it changes; `missing` says why there is none. */
export async function asnTable(path = process.env.STREAMSWARM_ASN_TABLE ?? ""): Promise<AsnLookup> {
  if (path === "") return { missing: null };
  try {
    const { mtimeMs } = await stat(path);
    if (loaded?.path !== path || loaded.changed !== mtimeMs) {
      loaded = { path, changed: mtimeMs, table: parseAsnTable(await readFile(path, "utf8")) };
    }
    return { table: loaded.table };
  } catch (error) {
    return { missing: `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})` };
  }
}
