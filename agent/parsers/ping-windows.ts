// Reads the JSON lines that our PowerShell script prints. ping.exe itself is never read: every language prints other words.
import { isIP } from "node:net";
import type { PingOutput } from "./ping.ts";
import type { IcmpError, PingIcmpError, PingReply } from "./ping-line.ts";

/** System.Net.NetworkInformation.IPStatus, as Microsoft documents it; names are the same in every language. */
const STATUS: Readonly<Record<string, IcmpError>> = {
  DestinationNetworkUnreachable: "net_unreachable",
  DestinationHostUnreachable: "host_unreachable",
  DestinationProtocolUnreachable: "protocol_unreachable",
  DestinationProhibited: "filtered",
  DestinationPortUnreachable: "port_unreachable",
  PacketTooBig: "frag_needed",
  TtlExpired: "ttl_exceeded",
  TimeExceeded: "ttl_exceeded",
  TtlReassemblyTimeExceeded: "ttl_exceeded",
  BadRoute: "source_route_failed",
  DestinationUnreachable: "other",
  DestinationScopeMismatch: "other",
  BadDestination: "other",
};

interface Line {
  index: number;
  status: string;
  rtt: number | undefined;
  ttl: number;
  from: string;
  bytes: number;
}

/** A whole number from 0 to `most`; anything else is no number of ours. */
const whole = (part: unknown, most: number): number | undefined =>
  typeof part === "number" && Number.isInteger(part) && part >= 0 && part <= most ? part : undefined;

function readLine(text: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    const { index, status, rtt, ttl, from, bytes } = value as Record<string, unknown>;
    const place = whole(index, 65_535);
    if (place === undefined || typeof status !== "string") return undefined;
    return {
      index: place,
      status,
      rtt: whole(rtt, 3_600_000),
      ttl: whole(ttl, 255) ?? 0,
      from: typeof from === "string" && isIP(from) !== 0 ? from : "",
      bytes: whole(bytes, 65_535) ?? 0,
    };
  } catch {
    return undefined;
  }
}

/** One object a line `{index, status, rtt, ttl, from, bytes}`, then `{"sent": n}`. RTT in whole milliseconds. */
export function parsePingWindows(stdout: string): PingOutput {
  const texts = stdout.split("\n").slice(0, -1);
  const lines = texts.map(readLine).filter((line) => line !== undefined);
  const replies = lines.flatMap((line): PingReply[] => {
    if (line.status !== "Success" || line.rtt === undefined) return [];
    const { index, from } = line;
    // The class counts whole milliseconds: 0 is less than one, not none.
    const time = line.rtt === 0 ? { rtt: null, step: null, under: 1 } : { rtt: line.rtt, step: 1 };
    const ttl = line.ttl > 0 ? line.ttl : null;
    return [{ index, bytes: line.bytes + 8, from, ttl, ...time, duplicate: false, truncated: false, damaged: false }];
  });
  const errors: PingIcmpError[] = lines.flatMap(({ index, status, from }) => {
    const kind = STATUS[status];
    return kind === undefined ? [] : [{ index, from: from === "" ? null : from, kind, mtu: null }];
  });
  const sent = texts.map((text) => /^\{"sent": ?(\d{1,6})\}\r?$/.exec(text)?.[1]).find((count) => count !== undefined);
  const summary = sent === undefined ? null : { sent: Number(sent), received: replies.length, duplicates: 0, rtt: null };
  return { replies, errors, altered: 0, summary };
}
