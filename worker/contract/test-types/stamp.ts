// What test types that send a STAMP stream have in common (udp, voip).
import type { Traffic } from "./define.ts";
import { fragments, inOneSecond, ipBytes } from "./traffic.ts";

/** The smallest STAMP packets: RFC 8762 section 4.2.1, and section 4.2.2 with authentication. UDP payload, bytes. */
export const STAMP_BYTES_MIN = { open: 44, authenticated: 112 } as const;

/** Port of STAMP reflectors (RFC 8762 section 4.1). */
export const STAMP_PORT = 862;

/** Longest time a run takes around its stream to learn where the reflector's count stands, seconds. */
export const STAMP_AROUND_S = { opening: 3, closing: 2.5 } as const;

/** Packets around a stream that ask for the reflector's count, and how close they follow each other at the start, seconds. */
const ASKING = { packets: 13, spacing: 0.05 } as const;
const UDP_HEADER = 8;

/** A stream and its answers, which are as long (RFC 8762 section 4.2). */
export function streamTraffic(count: number, interval: number, payload: number): Traffic {
  const datagram = Math.max(payload, STAMP_BYTES_MIN.authenticated) + UDP_HEADER;
  const asking = inOneSecond(ASKING.packets, ASKING.spacing);
  return {
    packets_per_s: Math.max(inOneSecond(count, interval), asking) * fragments(datagram),
    bytes: 2 * (count + ASKING.packets) * ipBytes(datagram),
  };
}
