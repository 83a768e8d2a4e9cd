// Reads `mtr --raw`: x pos seq (sent), h pos address (host), p pos microseconds seq (answer). Positions count from 0.
import { isIP } from "node:net";
import type { HopAnswer } from "./traceroute.ts";

/** Every probe sent, in order, with its answer where one came. */
export function parseMtrRaw(stdout: string): HopAnswer[] {
  const hosts = new Map<number, string>();
  const sent: { position: number; sequence: number; addr: string | null; rtt: number | null }[] = [];
  for (const line of stdout.split("\n").slice(0, -1)) {
    const [kind, position = "", word = "", sequence = ""] = line.replace(/\r$/, "").split(" ");
    if (!/^\d{1,3}$/.test(position) || Number(position) > 254) continue;
    const at = Number(position);
    if (kind === "x" && /^\d{1,6}$/.test(word)) sent.push({ position: at, sequence: Number(word), addr: null, rtt: null });
    if (kind === "h" && isIP(word) !== 0) hosts.set(at, word);
    if (kind === "p" && /^\d{1,9}$/.test(word) && /^\d{1,6}$/.test(sequence)) {
      const probe = sent.findLast((each) => each.position === at && each.sequence === Number(sequence));
      const addr = hosts.get(at);
      // A host is named once, before its first answer; without it the answer belongs to nobody.
      if (probe !== undefined && probe.addr === null && addr !== undefined)
        Object.assign(probe, { addr, rtt: Number(word) / 1000 });
    }
  }
  return sent.map(({ position, addr, rtt }) => ({ ttl: position + 1, addr, rtt, icmp: null, mpls: null }));
}
