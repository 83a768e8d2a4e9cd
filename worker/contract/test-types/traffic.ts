// What runs cost the network at most, for the limits of consent files. Bytes are those of IP packets, both directions.

/** What the smallest IPv6 link carries of a packet behind its header and the fragment header (RFC 8200 4.5, 5). */
const FRAGMENT_BYTES = 1232;
const IPV6_HEADER = 40;
const FRAGMENT_HEADER = 8;

/** Fragments of a packet with so much behind its IP header, on links of 1280 bytes or more. */
export const fragments = (payload: number): number => Math.max(1, Math.ceil(payload / FRAGMENT_BYTES));

/** Bytes of IP that carry so much behind the IP header, its fragments' headers included; IPv6, whose headers are the longer ones. */
export function ipBytes(payload: number): number {
  const pieces = fragments(payload);
  return payload + pieces * (IPV6_HEADER + (pieces > 1 ? FRAGMENT_HEADER : 0));
}

/** A TCP connection made and closed, its segments sent anew as often as a minute lets them (RFC 6298). */
export const CONNECTION_BYTES = 14 * 80;

/** A TLS handshake with a long chain of certificates. */
export const TLS_BYTES = 64 * 1024;

/** With the headers of full segments and their acknowledgements: 1280 bytes carry 1220 at least. */
export const tcpBytes = (payload: number): number => Math.ceil(payload * 1.1);

/** How many of things that begin `interval` seconds apart begin within one second. */
export const inOneSecond = (count: number, interval: number): number => Math.min(count, 1 / interval);

/** An ICMP error with what it quotes and the extensions routers add (RFC 4443 2.4 c, RFC 4884), behind its IP header. */
const quoteBytes = (probe: number): number => Math.min(FRAGMENT_BYTES, probe + IPV6_HEADER + 8 + 140);

/** Bytes of probes that carry so much behind their IP header, each answered by an error that quotes it. */
export const probeBytes = (count: number, payload: number): number => count * (ipBytes(payload) + ipBytes(quoteBytes(payload)));

/** Sweeps that follow marks along a path: over all its hops so often, at most so many of them within a second, and single questions. */
const MARKS = { sweeps: 12, at_once: 4, questions: 40, payload: 64 } as const;

/** Of probes that follow a DSCP along a path of up to so many hops. */
export const markTraffic = (max_hops: number) => ({
  packets_per_s: MARKS.at_once * max_hops,
  bytes: probeBytes(MARKS.sweeps * max_hops + MARKS.questions, MARKS.payload),
});
