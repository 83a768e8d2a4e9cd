// Reads the JSON lines that our PowerShell script prints. ping.exe itself is never read: every language prints other words.
import type { IcmpError, PingIcmpError, PingOutput, PingReply } from "./ping.ts";

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
  rtt: number;
  ttl: number;
  from: string;
  bytes: number;
}

function readLine(text: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    const { index, status, rtt, ttl, from, bytes } = value as Record<string, unknown>;
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || typeof status !== "string") return undefined;
    const count = (part: unknown) => (typeof part === "number" && part >= 0 ? part : 0);
    return {
      index,
      status,
      rtt: typeof rtt === "number" && rtt >= 0 ? rtt : Number.NaN,
      ttl: count(ttl),
      from: String(from ?? ""),
      bytes: count(bytes),
    };
  } catch {
    return undefined;
  }
}

/** One object a line `{index, status, rtt, ttl, from, bytes}`, then `{"sent": n}`. RTT in whole milliseconds. */
export function parsePingWindows(stdout: string): PingOutput {
  const texts = stdout.split("\n").slice(0, -1);
  const lines = texts.map(readLine).filter((line) => line !== undefined);
  const replies: PingReply[] = lines
    .filter((line) => line.status === "Success" && Number.isFinite(line.rtt))
    .map((line) => ({
      index: line.index,
      bytes: line.bytes + 8,
      from: line.from,
      ttl: line.ttl > 0 ? line.ttl : null,
      rtt: line.rtt,
      duplicate: false,
      truncated: false,
      damaged: false,
    }));
  const errors: PingIcmpError[] = lines.flatMap(({ index, status, from }) => {
    const kind = STATUS[status];
    return kind === undefined ? [] : [{ index, from: from === "" ? null : from, kind, mtu: null }];
  });
  const sent = texts.map((text) => /^\{"sent": ?(\d{1,6})\}\r?$/.exec(text)?.[1]).find((count) => count !== undefined);
  const summary = sent === undefined ? null : { sent: Number(sent), received: replies.length, duplicates: 0, rtt: null };
  return { replies, errors, summary };
}
