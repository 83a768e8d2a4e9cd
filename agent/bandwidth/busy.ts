// What the outgoing interface carries already, from the kernel's counters (RFC 2863 ifHCInOctets and ifHCOutOctets).
import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { performance } from "node:perf_hooks";

interface Reading {
  readonly rx: number;
  readonly tx: number;
  readonly at: number;
}

/** Name of the interface that has this address; undefined when none has. */
export function interfaceOf(address: string): string | undefined {
  const bare = address.replace(/%.*$/, "").replace(/^::ffff:(?=\d+\.)/, "");
  return Object.entries(networkInterfaces()).find(([, entries]) =>
    entries?.some((entry) => entry.address.replace(/%.*$/, "") === bare),
  )?.[0];
}

async function read(name: string): Promise<Reading | undefined> {
  if (process.platform !== "linux" || !/^[^/\s.][^/\s]{0,14}$/.test(name)) return undefined;
  const counter = async (which: string) => Number(await readFile(`/sys/class/net/${name}/statistics/${which}`, "utf8"));
  try {
    const [rx, tx] = await Promise.all([counter("rx_bytes"), counter("tx_bytes")]);
    return { rx, tx, at: performance.now() };
  } catch {
    // The interface went away, or this kernel does not show it: it is not known how busy it is.
    return undefined;
  }
}

export interface Traffic {
  readonly interface: string;
  readonly down_mbps: number;
  readonly up_mbps: number;
}

/** Watches an interface from now on; the answer is what it has carried until asked. */
export class TrafficWatch {
  readonly #name: string;
  readonly #begun: Promise<Reading | undefined>;

  constructor(name: string) {
    this.#name = name;
    this.#begun = read(name);
  }

  /** Bytes that have come in since the start; undefined where the counters cannot be read. */
  async received(): Promise<number | undefined> {
    const [before, now] = [await this.#begun, await read(this.#name)];
    return before === undefined || now === undefined ? undefined : now.rx - before.rx;
  }

  /** Rates since the start; undefined where the counters cannot be read. */
  async rates(): Promise<Traffic | undefined> {
    const [before, now] = [await this.#begun, await read(this.#name)];
    if (before === undefined || now === undefined || now.at <= before.at) return undefined;
    const mbps = (bytes: number) => (Math.max(0, bytes) * 8) / (now.at - before.at) / 1000;
    return { interface: this.#name, down_mbps: mbps(now.rx - before.rx), up_mbps: mbps(now.tx - before.tx) };
  }
}
