// The hops of the newest traceroute run, read from its detail.
import { z } from "zod";
import type { Result } from "#contract/result";
import { listOf, numberOrNull, textOrNull, texts, wordOf } from "./read.ts";

const LONGEST_PATH = 255;
const ADDRESSES_SHOWN = 16;

const networkSchema = z.object({ asn: z.number().int(), name: textOrNull });

const hopSchema = z.object({
  ttl: z.number().int().min(1).max(LONGEST_PATH),
  addrs: z
    .unknown()
    .optional()
    .transform((value) => texts(value, ADDRESSES_SHOWN)),
  /** One for each address. */
  names: z.array(textOrNull).catch([]),
  asns: z.array(networkSchema.nullable().catch(null)).catch([]),
  sent: numberOrNull,
  received: numberOrNull,
  rtt_min: numberOrNull,
  rtt_median: numberOrNull,
  rtt_max: numberOrNull,
  loss_pct: numberOrNull,
  flags: z
    .unknown()
    .optional()
    .transform((value) => texts(value, 8)),
  icmp: z
    .unknown()
    .optional()
    .transform((value) => texts(value, 4)),
  mpls: z
    .unknown()
    .optional()
    .transform((value) => texts(value, 4)),
});

export interface HopAddress {
  readonly address: string;
  readonly name: string | null;
  /** "AS3215 Orange" */
  readonly network: string | null;
}

export interface Hop {
  readonly ttl: number;
  readonly addresses: readonly HopAddress[];
  readonly sent: number | null;
  readonly received: number | null;
  readonly rttMin: number | null;
  readonly rttMedian: number | null;
  readonly rttMax: number | null;
  /** Null where loss says nothing of the path, as at a router that limits its own replies. */
  readonly lossPct: number | null;
  readonly silent: boolean;
  readonly notes: readonly string[];
}

const NOTE: Readonly<Record<string, string>> = {
  rate_limited_likely: "holds its answers back",
  silent: "",
};

/** As traceroute marks them: ICMP errors other than the usual ones. */
const ICMP: Readonly<Record<string, string>> = {
  "!H": "host unreachable",
  "!N": "network unreachable",
  "!P": "protocol unreachable",
  "!X": "forbidden by a filter",
  "!F": "packet too large",
  "!S": "source route failed",
};

const networkText = ({ asn, name }: z.output<typeof networkSchema>) =>
  name === null || name === "" ? `AS${asn}` : `AS${asn} ${name}`;

function hopOf(raw: z.output<typeof hopSchema>): Hop {
  const addresses = raw.addrs.map((address, index) => {
    const network = raw.asns[index] ?? null;
    return { address, name: raw.names[index] || null, network: network === null ? null : networkText(network) };
  });
  return {
    ttl: raw.ttl,
    addresses,
    sent: raw.sent,
    received: raw.received,
    rttMin: raw.rtt_min,
    rttMedian: raw.rtt_median,
    rttMax: raw.rtt_max,
    lossPct: raw.loss_pct,
    silent: addresses.length === 0,
    notes: [
      ...raw.flags.map((flag) => wordOf(NOTE, flag) ?? flag.replaceAll("_", " ")).filter((note) => note !== ""),
      ...raw.icmp.map((mark) => wordOf(ICMP, mark) ?? mark),
      ...raw.mpls.map((label) => `MPLS ${label.replace(/^MPLS:?\s*/i, "")}`),
    ],
  };
}

/** By distance, each TTL once; null when the run brought no table that can be read. */
export function hopsOf({ detail }: Pick<Result, "detail">): Hop[] | null {
  const byTtl = new Map(listOf(detail.hops, hopSchema, LONGEST_PATH).map((raw) => [raw.ttl, hopOf(raw)]));
  return byTtl.size === 0 ? null : [...byTtl.values()].sort((a, b) => a.ttl - b.ttl);
}

const changeSchema = z.object({
  ttl: z.number().int().min(1).max(LONGEST_PATH),
  /** Null where the path ended before. */
  from: textOrNull,
  to: textOrNull,
});
export type HopChange = z.output<typeof changeSchema>;

/** Where the path differs from the run before, by TTL. */
export function changesOf({ detail }: Pick<Result, "detail">): ReadonlyMap<number, readonly HopChange[]> {
  return Map.groupBy(listOf(detail.changes, changeSchema, LONGEST_PATH), ({ ttl }) => ttl);
}

/** "now 192.0.2.9 instead of 192.0.2.1" */
export function changeText({ from, to }: HopChange): string {
  const now = `now ${to ?? "no answer"}`;
  return from === null ? `${now}, where the path ended before` : `${now} instead of ${from}`;
}

const flowSchema = z.object({
  path: z
    .unknown()
    .optional()
    .transform((value) => texts(value, LONGEST_PATH)),
});

/** "3 flows take 2 paths"; null when flows were not told apart. */
export function flowsText({ detail, metrics }: Pick<Result, "detail" | "metrics">): string | null {
  const flows = listOf(detail.flows, flowSchema).length;
  const paths = metrics.path_flows;
  if (flows < 2 || typeof paths !== "number") return null;
  return paths === 1 ? `${flows} flows take the same path` : `${flows} flows take ${paths} paths`;
}
