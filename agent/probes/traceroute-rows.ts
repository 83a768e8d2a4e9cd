// What people see of a traceroute: the table of hops as it grows, and in the end what it means.
import type { Measurement } from "#contract/result";
import { sameAddress } from "../address.ts";
import type { AsnTable } from "../asn.ts";
import { type Cell, cell, figure, lossTone, milliseconds, percent, type Row } from "../rows.ts";
import { type Hop, hopTable } from "./path-hops.ts";
import { distanceOf, listedHops } from "./path-merge.ts";
import type { HopNames } from "./path-names.ts";
import type { Round } from "./path-round.ts";
import type { PathChange, RunWatch } from "./path-run.ts";
import type { FlowProbe } from "./path-sweep.ts";
import type { PathMethod } from "./path-tool.ts";
import type { RunContext } from "./probe.ts";
import { dscpWords } from "./qos-rows.ts";

interface Describe {
  name(address: string): string;
  asn(address: string): string;
}

const HEAD: Row = [
  figure("hop", 3, "dim"),
  cell("address", 15, "dim"),
  figure("loss", 7, "dim"),
  figure("min", 9, "dim"),
  figure("median", 9, "dim"),
  figure("max", 9, "dim"),
  cell("name", 0, "dim"),
];

/** The columns before the last. */
const BLANK: Row = HEAD.slice(0, -1).map(({ width }) => cell("", width));

/** A hop's line, and one for each further address at the same distance. */
function hopRows(hop: Hop, describe: Describe): Row[] {
  const [first, ...others] = hop.addrs;
  if (first === undefined) return [[figure(String(hop.ttl), 3, "dim"), cell("*", 15, "dim")]];
  const held = hop.flags.includes("rate_limited_likely") ? "limited" : hop.flags.includes("partly_silent") ? "partly" : "–";
  const loss = hop.loss_pct === null ? held : percent(hop.loss_pct);
  const said = (address: string): Cell =>
    cell(
      [hop.icmp?.join(" ") ?? "", describe.name(address), describe.asn(address)].filter((text) => text !== "").join("  "),
      0,
      "dim",
    );
  const rows: Row[] = [
    [
      figure(String(hop.ttl), 3),
      cell(first, 15),
      figure(loss, 7, hop.loss_pct === null ? "dim" : lossTone(hop.loss_pct)),
      figure(milliseconds(hop.rtt_min), 9),
      figure(milliseconds(hop.rtt_median), 9, "bold"),
      figure(milliseconds(hop.rtt_max), 9),
      said(first),
    ],
  ];
  const blank = figure("", 3);
  for (const other of others) rows.push([blank, cell(`└ ${other}`, 15), blank, blank, blank, blank, said(other)]);
  return rows;
}

interface Shown {
  readonly address: string;
  readonly names: HopNames | undefined;
  readonly table: AsnTable | undefined;
  readonly rounds: number;
}

/** Shows a run while it goes on, and asks for names as addresses appear. */
export class TracerouteRows implements RunWatch {
  readonly #context: RunContext;
  readonly #about: Shown;
  readonly #passed = new Map<number, number>();
  #probes: FlowProbe[] = [];
  #next = 1;
  #silent: number[] = [];
  #shownHead = false;
  #live = false;

  constructor(context: RunContext, about: Shown) {
    this.#context = context;
    this.#about = about;
  }

  begin(method: PathMethod, round: number, flows: readonly number[]): void {
    this.#passed.clear();
    for (const flow of flows) this.#passed.set(flow, 0);
    this.#probes = [];
    this.#next = 1;
    this.#silent = [];
    this.#live = this.#context.watched && round === 1;
    if (this.#live && this.#shownHead)
      this.#show([...BLANK, cell(`no answer from the target; trying ${method.toUpperCase()}`, 0, "warn")]);
  }

  probe(probe: FlowProbe): void {
    if (probe.addr !== null) this.#about.names?.ask(probe.addr);
    if (!this.#live) return;
    this.#probes.push(probe);
    this.#passed.set(probe.flow, sameAddress(probe.addr, this.#about.address) ? Number.POSITIVE_INFINITY : probe.ttl - 1);
    this.#showKnown();
  }

  flowEnd(flow: number): void {
    this.#passed.set(flow, Number.POSITIVE_INFINITY);
    if (this.#live) this.#showKnown();
  }

  /** Hops that every flow has passed; silent ones only once somebody behind them answered. */
  #showKnown(): void {
    const last = Math.max(0, ...this.#probes.map(({ ttl }) => ttl));
    const end = Math.min(
      last,
      ...this.#probes.filter(({ addr }) => sameAddress(addr, this.#about.address)).map(({ ttl }) => ttl),
    );
    const passed = Math.min(end, ...this.#passed.values());
    for (; this.#next <= passed; this.#next++) {
      const hop = hopTable(this.#probes, end, 0)[this.#next - 1];
      if (hop === undefined) continue;
      if (hop.addrs.length === 0) this.#silent.push(hop.ttl);
      else {
        for (const ttl of this.#silent.splice(0)) this.#show([figure(String(ttl), 3, "dim"), cell("*", 15, "dim")]);
        for (const row of hopRows(hop, this.#describe())) this.#show(row);
      }
    }
  }

  #show(row: Row): void {
    if (!this.#shownHead) this.#context.show(HEAD);
    this.#shownHead = true;
    this.#context.show(row);
  }

  #describe(): Describe {
    const { names, table } = this.#about;
    return { name: (address) => names?.of(address) ?? "", asn: (address) => asnText(table?.find(address)) };
  }

  end(round: Round, method: PathMethod, number: number): void {
    for (const { addr } of round.probes) if (addr !== null) this.#about.names?.ask(addr);
    if (!this.#context.watched || this.#about.rounds === 1) return;
    const probed = Math.max(0, ...round.probes.map(({ ttl }) => ttl));
    const target = hopTable(round.probes, listedHops(round.paths, probed), 0).at(-1);
    const distance = distanceOf(round.paths);
    const changed = round.changes.map(({ ttl, from, to }) => `hop ${ttl}: ${from ?? "the end"} → ${to}`).join(", ");
    this.#context.show([
      figure(`${number}.`, 3, "dim"),
      cell(distance === undefined ? "not reached" : `${distance} hops`, 15, distance === undefined ? "bad" : "good"),
      figure(percent(distance === undefined ? null : target?.loss_pct), 7, lossTone(target?.loss_pct)),
      figure(milliseconds(distance === undefined ? null : target?.rtt_min), 9),
      figure(milliseconds(distance === undefined ? null : target?.rtt_median), 9, "bold"),
      figure(milliseconds(distance === undefined ? null : target?.rtt_max), 9),
      changed === "" ? cell(method.toUpperCase(), 0, "dim") : cell(changed, 0, "warn"),
    ]);
  }
}

const asnText = (network: { asn: number; name: string } | null | undefined): string =>
  network ? `AS${network.asn}${network.name === "" ? "" : ` ${network.name}`}` : "";

interface Detail {
  readonly rounds?: number;
  readonly hops?: readonly (Hop & {
    names?: readonly (string | null)[];
    asns?: readonly ({ asn: number; name: string } | null)[];
  })[];
  readonly changes?: readonly PathChange[];
  readonly flows?: readonly unknown[];
  readonly dscp?: Record<string, unknown> & { readonly failure?: string };
}

/** Verdicts, and the table where it was not shown hop by hop. */
export function tracerouteView(result: Measurement): readonly Row[] {
  const { metrics } = result;
  const { hops = [], changes = [], rounds = 1 } = result.detail as Detail;
  if (hops.length === 0) return [];
  const rows: Row[] = [];
  const say = (what: string, text: string, tone: Cell["tone"] = "plain") =>
    rows.push([cell(what, 8, "dim"), cell(text, 0, tone)]);
  if (rounds > 1) {
    rows.push(HEAD);
    for (const hop of hops) rows.push(...hopRows(hop, described(hop)));
  }
  const method = String(metrics.path_method ?? "").toUpperCase();
  if (metrics.path_reached === true) {
    say("target", `reached in ${metrics.path_hop_count} hops by ${method}, ${milliseconds(metrics.path_rtt_median)}`, "good");
  } else say("target", "not reached", "bad");
  const wide = hops.filter(({ addrs }) => addrs.length > 1);
  if (wide.length === 0) say("paths", "one");
  else say("paths", `parallel: ${wide.map(({ ttl, addrs }) => `${addrs.length} next hops at hop ${ttl}`).join(", ")}`);
  for (const { ttl, from, to, round } of changes)
    say("change", `hop ${ttl}: ${from ?? "the end"} → ${to} (round ${round})`, "warn");
  if (metrics.path_changed === false) say("change", "none", "good");
  if (metrics.path_loop_detected === true) say("loop", "the path comes back to a router it has passed", "bad");
  const silent = hops.filter(({ addrs }) => addrs.length === 0).map(({ ttl }) => ttl);
  if (silent.length > 0) {
    const harmless = metrics.path_reached === true ? "; later hops answer, so this is no loss" : "";
    say("silent", `hop ${silent.join(", ")}${harmless}`, metrics.path_reached === true ? "dim" : "warn");
  }
  const { dscp } = result.detail as Detail;
  if (dscp?.failure !== undefined) say("dscp", `not followed: ${dscp.failure}`, "warn");
  else if (dscp !== undefined) say("dscp", ...dscpWords({ metrics, detail: dscp }));
  if (typeof metrics.path_asn === "string") say("networks", metrics.path_asn);
  return rows;
}

function described(hop: NonNullable<Detail["hops"]>[number]): Describe {
  const at = (address: string) => hop.addrs.indexOf(address);
  return { name: (address) => hop.names?.[at(address)] ?? "", asn: (address) => asnText(hop.asns?.[at(address)]) };
}
