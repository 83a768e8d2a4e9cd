// Whether other traffic filled this host's own line: bytes of its interfaces against what the line can carry.
import { readFileSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { performance } from "node:perf_hooks";
import { parseNetDev } from "./host/parse-net.ts";
import { ProcFile } from "./proc-file.ts";

/** Bytes an interface has carried. */
export interface Carried {
  readonly rx: number;
  readonly tx: number;
}
/** Rates each way, Mbit/s; null where nothing is known. */
export interface Rates {
  readonly rx: number | null;
  readonly tx: number | null;
}

export interface LineLook {
  /** Monotonic clock, ms. */
  readonly at: number;
  readonly carried: ReadonlyMap<string, Carried>;
}

export interface Route {
  readonly interface: string;
  readonly network: string;
  readonly bits: number;
  readonly metric: number;
}

/** Share of the capacity from which on a line is busy, and other traffic's packets wait. */
const BUSY = 0.8;
/** Speeds and routes are read this often at most, ms. */
const KEPT_MS = 60_000;
const FOUND_MAX = 1000;

const devices = new ProcFile("/proc/net/dev");

/** Received and sent bytes by interface. */
const carriedIn = (text: string): Map<string, Carried> =>
  new Map(parseNetDev(text).map(({ name, rxBytes, txBytes }) => [name, { rx: rxBytes, tx: txBytes }]));

const UP = 0x1;
const REJECT = 0x200;
/** IPv4 numbers are printed as the processor keeps them, least byte first on all that run Node on Linux but s390x. */
const dotted = (hex: string): string =>
  (hex.match(/../g) ?? [])
    .reverse()
    .map((byte) => Number.parseInt(byte, 16))
    .join(".");

/** /proc/net/route. */
export function parseRoutes4(text: string): Route[] {
  return text.split("\n").flatMap((line) => {
    const [name, network, , flags, , , metric, mask] = line.split("\t");
    if (name === undefined || network?.length !== 8 || mask?.length !== 8) return [];
    const set = Number.parseInt(flags ?? "0", 16);
    if ((set & UP) === 0 || (set & REJECT) !== 0) return [];
    const bits = Number.parseInt(mask, 16).toString(2).replaceAll("0", "").length;
    return [{ interface: name, network: dotted(network), bits, metric: Number(metric) }];
  });
}

/** /proc/net/ipv6_route. */
export function parseRoutes6(text: string): Route[] {
  return text.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const [network, bits, , , , metric, , , flags, name] = fields;
    if (name === undefined || network?.length !== 32) return [];
    const set = Number.parseInt(flags ?? "0", 16);
    if ((set & UP) === 0 || (set & REJECT) !== 0) return [];
    const address = (network.match(/.{4}/g) ?? []).join(":");
    return [
      { interface: name, network: address, bits: Number.parseInt(bits ?? "0", 16), metric: Number.parseInt(metric ?? "0", 16) },
    ];
  });
}

/** The interface an address is reached by: the longest prefix wins, then the lowest metric. Without an address, the default route's. */
export function interfaceTo(address: string | null, routes: readonly Route[]): string | undefined {
  const version = address === null ? 0 : isIP(address);
  const fits = ({ network, bits }: Route): boolean => {
    if (bits === 0 && version === 0) return true;
    if (address === null || isIP(network) !== version) return false;
    if (bits === 0) return true;
    const list = new BlockList();
    list.addSubnet(network, bits, version === 6 ? "ipv6" : "ipv4");
    return list.check(address, version === 6 ? "ipv6" : "ipv4");
  };
  const [best] = routes.filter(fits).sort((a, b) => b.bits - a.bits || a.metric - b.metric);
  return best?.interface;
}

/** A line that was full. */
export interface BusyLine {
  readonly interface: string;
  readonly direction: "rx" | "tx";
  readonly mbps: number;
  readonly capacity_mbps: number;
}

/** The direction that carried most of its capacity between two looks, where that is enough to be busy. */
export function busyBetween(before: LineLook, now: LineLook, name: string, capacity: Rates): BusyLine | undefined {
  const [old, new_] = [before.carried.get(name), now.carried.get(name)];
  const seconds = (now.at - before.at) / 1000;
  if (old === undefined || new_ === undefined || seconds <= 0) return undefined;
  const lines = (["rx", "tx"] as const).flatMap((direction): BusyLine[] => {
    const capacity_mbps = capacity[direction];
    const bytes = new_[direction] - old[direction];
    if (capacity_mbps === null || capacity_mbps <= 0 || bytes < 0) return [];
    const mbps = (bytes * 8) / 1e6 / seconds;
    return mbps >= BUSY * capacity_mbps ? [{ interface: name, direction, mbps, capacity_mbps }] : [];
  });
  return lines.sort((a, b) => b.mbps / b.capacity_mbps - a.mbps / a.capacity_mbps)[0];
}

const lesser = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : Math.min(a, b));

function text(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // Not on this system, or an interface that has no speed.
    return "";
  }
}

/** What is known of this host's lines. */
export class Lines {
  /** What bandwidth tests moved by interface, and there by destination, Mbit/s. */
  readonly #measured = new Map<string, Map<string, Rates>>();
  #speeds = new Map<string, number>();
  #routes: readonly Route[] = [];
  /** What addresses were asked for since the routes were read: the same few, run after run. */
  readonly #found = new Map<string | null, { readonly name: string | undefined }>();
  #readAt = Number.NEGATIVE_INFINITY;

  /** Bytes carried until now; undefined where no line's capacity is known, and nothing can be judged. */
  look(): LineLook | undefined {
    this.#refresh();
    if (this.#speeds.size === 0 && this.#measured.size === 0) return undefined;
    return { at: performance.now(), carried: carriedIn(devices.read() ?? "") };
  }

  /** A bandwidth test ended: the line carries at least what the best of them moved. */
  measured(destination: string, address: string | null, rates: Rates): void {
    this.#refresh();
    const name = this.interfaceTo(address);
    if (name === undefined) return;
    const known = this.#measured.get(name) ?? new Map<string, Rates>();
    this.#measured.set(name, known.set(destination, rates));
  }

  /** The interface an address is reached by; undefined for this host's own. */
  interfaceTo(address: string | null): string | undefined {
    if (address === "::1" || address?.startsWith("127.")) return undefined;
    const known = this.#found.get(address);
    if (known !== undefined) return known.name;
    const name = interfaceTo(address, this.#routes);
    if (this.#found.size >= FOUND_MAX) this.#found.clear();
    this.#found.set(address, { name });
    return name;
  }

  capacity(name: string): Rates {
    const tests = [...(this.#measured.get(name)?.values() ?? [])];
    const best = (direction: keyof Rates) => {
      const rates = tests.flatMap((rate) => rate[direction] ?? []);
      return rates.length === 0 ? null : Math.max(...rates);
    };
    const speed = this.#speeds.get(name) ?? null;
    return { rx: lesser(speed, best("rx")), tx: lesser(speed, best("tx")) };
  }

  #refresh(): void {
    const now = performance.now();
    if (now - this.#readAt < KEPT_MS) return;
    this.#readAt = now;
    this.#found.clear();
    this.#routes = [...parseRoutes4(text("/proc/net/route")), ...parseRoutes6(text("/proc/net/ipv6_route"))].filter(
      (route) => route.interface !== "lo",
    );
    this.#speeds = new Map();
    for (const name of new Set(this.#routes.map((route) => route.interface))) {
      const mbps = Number(text(`/sys/class/net/${name}/speed`));
      if (mbps > 0) this.#speeds.set(name, mbps);
    }
  }
}
