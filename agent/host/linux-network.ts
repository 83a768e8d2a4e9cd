// Interfaces: counters, rates and state, and which of them leads to the Internet.
import os from "node:os";
import type { HostDetail, Interface } from "#contract/host-detail";
import type { MetricName, Reason } from "#contract/metrics";
import type { MetricSheet } from "../probes/probe.ts";
import { round3 } from "../statistics.ts";
import type { HostFiles } from "./linux-files.ts";
import { InterfaceBook, type InterfaceFacts } from "./linux-interface-facts.ts";
import {
  type DefaultRoute,
  INTERFACE_COUNTERS,
  type InterfaceCounter,
  type InterfaceCounters,
  parseNetDev,
  parseRoute,
  parseRoute6,
} from "./parse-net.ts";
import { type Earlier, growths, LookBefore } from "./rates.ts";
import { rounded } from "./reading.ts";

interface Seen {
  readonly counters: InterfaceCounters;
  /** Differs when an interface was made again under its name. */
  readonly index: number | undefined;
}

type Looks = ReadonlyMap<string, Seen>;
type Rates = Readonly<Record<InterfaceCounter, number>>;

interface Port extends Seen {
  readonly name: string;
  readonly facts: InterfaceFacts;
  readonly state: string;
  readonly mtu: number | undefined;
  readonly carrierChanges: number | undefined;
  readonly rates: Rates | undefined;
}

/** Interfaces told of in a sample: a container host has hundreds. */
const MOST_INTERFACES = 32;
/** The kernel lists routes by prefix, so the default route stands at the beginning of however many there are. */
const ROUTES_READ = 64 * 1024;

export class Interfaces {
  readonly #files: HostFiles;
  readonly #before = new LookBefore<Looks>();
  readonly #book: InterfaceBook;

  constructor(files: HostFiles) {
    this.#files = files;
    this.#book = new InterfaceBook(files);
  }

  async read(sheet: MetricSheet): Promise<Pick<HostDetail, "interfaces" | "primary_interface" | "default_gateway">> {
    const at = this.#files.now();
    const all = parseNetDev(this.#files.proc("net/dev")).filter((each) => each.name !== "lo");
    const index = (name: string) => this.#files.sysNumber(`class/net/${name}/ifindex`);
    const now = new Map(all.map((counters) => [counters.name, { counters, index: index(counters.name) }]));
    const before = this.#before.replace(now, at);
    const route = this.#defaultRoute();
    this.#book.keep(new Set(now.keys()));
    const told = this.#chosen(now, route?.name);
    const ports = await Promise.all(told.map((seen) => this.#port(seen, before)));
    const main = ports.find((port) => port.name === route?.name);
    primary(sheet, main, route === undefined ? "no_route" : "unsupported");
    return {
      interfaces: ports.map(row),
      primary_interface: main?.name ?? null,
      default_gateway: route?.gateway ?? null,
    };
  }

  #defaultRoute(): DefaultRoute | undefined {
    return (
      parseRoute(this.#files.proc("net/route", ROUTES_READ), os.endianness()) ?? parseRoute6(this.#files.proc("net/ipv6_route"))
    );
  }

  /** The primary interface, then real ones, then the busiest since they were made. */
  #chosen(now: Looks, main: string | undefined): Seen[] {
    const moved = (seen: Seen) => seen.counters.rxBytes + seen.counters.txBytes;
    const rank = ({ counters: { name }, index }: Seen) => {
      if (name === main) return 0;
      const kind = this.#book.kind(name, index);
      return kind === "virtual" || kind === null ? 2 : 1;
    };
    const ranked = [...now.values()].map((seen) => ({ seen, rank: rank(seen) }));
    ranked.sort((a, b) => a.rank - b.rank || moved(b.seen) - moved(a.seen));
    return ranked.slice(0, MOST_INTERFACES).map((each) => each.seen);
  }

  async #port(seen: Seen, before: Earlier<Looks> | undefined): Promise<Port> {
    const { name } = seen.counters;
    const dir = `class/net/${name}`;
    const state = this.#files.sys(`${dir}/operstate`);
    const carrierChanges = this.#files.sysNumber(`${dir}/carrier_changes`);
    const mtu = this.#files.sysNumber(`${dir}/mtu`);
    const facts = await this.#book.facts(name, seen.index, `${state} ${carrierChanges}`);
    return { ...seen, name, facts, state, mtu, carrierChanges, rates: ratesOf(seen, before) };
  }
}

/** Per second; undefined when the interface is new, was made again, or its driver began to count anew. */
function ratesOf(now: Seen, before: Earlier<Looks> | undefined): Rates | undefined {
  const old = before?.look.get(now.counters.name);
  if (before === undefined || old === undefined || old.index !== now.index) return undefined;
  const grown = growths(old.counters, now.counters, INTERFACE_COUNTERS);
  if (grown === undefined) return undefined;
  const rates: Partial<Record<InterfaceCounter, number>> = {};
  for (const name of INTERFACE_COUNTERS) rates[name] = round3(grown[name] / before.seconds);
  return rates as Rates;
}

/** A counter; undefined beyond 2^53, where it is no count but one that ran below zero. */
const count = (value: number): number | undefined => (Number.isSafeInteger(value) ? value : undefined);

/** Share of the link's speed, percent. Both directions share a half-duplex link. */
function utilisation({ rates, facts }: Port): number | undefined {
  if (rates === undefined || facts.speed_mbps === null) return undefined;
  const bytes = facts.duplex === "half" ? rates.rxBytes + rates.txBytes : Math.max(rates.rxBytes, rates.txBytes);
  return Math.min(100, (100 * bytes * 8) / (facts.speed_mbps * 1e6));
}

const METRICS_OF: Readonly<Record<InterfaceCounter, readonly [total: MetricName, rate: MetricName]>> = {
  rxBytes: ["if_rx_bytes", "if_rx_bytes_sec"],
  txBytes: ["if_tx_bytes", "if_tx_bytes_sec"],
  rxPackets: ["if_rx_packets", "if_rx_packets_sec"],
  txPackets: ["if_tx_packets", "if_tx_packets_sec"],
  rxErrors: ["if_rx_errors", "if_rx_errors_sec"],
  txErrors: ["if_tx_errors", "if_tx_errors_sec"],
  rxDrops: ["if_rx_drops", "if_rx_drops_sec"],
  txDrops: ["if_tx_drops", "if_tx_drops_sec"],
};

function primary(sheet: MetricSheet, main: Port | undefined, absent: Reason): void {
  const early = main === undefined ? absent : "too_few_samples";
  for (const name of INTERFACE_COUNTERS) {
    const [total, rate] = METRICS_OF[name];
    sheet.set(total, main && count(main.counters[name]), absent);
    sheet.set(rate, main?.rates?.[name], early);
  }
  sheet.set("if_util_pct", rounded(main && utilisation(main)), main?.facts.speed_mbps == null ? absent : early);
  sheet.set("if_carrier_changes", main?.carrierChanges, absent);
  sheet.set("if_speed_mbps", main?.facts.speed_mbps, absent);
  sheet.set("if_duplex", main?.facts.duplex, absent);
  sheet.set("if_kind", main?.facts.kind, absent);
  sheet.set("if_mtu", main?.mtu, absent);
}

function row({ name, facts, state, mtu, counters, rates }: Port): Interface {
  return {
    name,
    kind: facts.kind,
    state,
    mtu: mtu ?? null,
    speed_mbps: facts.speed_mbps,
    duplex: facts.duplex,
    rx_bytes: count(counters.rxBytes) ?? null,
    tx_bytes: count(counters.txBytes) ?? null,
    rx_bytes_sec: rates?.rxBytes ?? null,
    tx_bytes_sec: rates?.txBytes ?? null,
    rx_packets_sec: rates?.rxPackets ?? null,
    tx_packets_sec: rates?.txPackets ?? null,
    rx_errors_sec: rates?.rxErrors ?? null,
    tx_errors_sec: rates?.txErrors ?? null,
    rx_drops_sec: rates?.rxDrops ?? null,
    tx_drops_sec: rates?.txDrops ?? null,
  };
}
