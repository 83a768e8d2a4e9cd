// The tools people use today, run beside ours and read by small readers of their own: nothing here is shared with the agent.
import type { Family, Lab } from "./lab.ts";

/** Payload bytes of each tool's probes, all different: the trace tells them apart by length. Ours is 64. */
const PAYLOAD = { iputils: 56, fping: 72, mtr: 80, ours: 64 } as const;
export type Pinger = keyof typeof PAYLOAD;

const IP_HEADER = { 4: 20, 6: 40 } as const;
const ICMP_HEADER = 8;

export const packetLength = (tool: Pinger, family: Family): number => IP_HEADER[family] + ICMP_HEADER + PAYLOAD[tool];

export interface PingReading {
  tool: Pinger;
  received: number;
  median_ms: number | null;
}

export interface PingPlan {
  count: number;
  interval: number;
  timeout: number;
}

const flag = (family: Family): string => `-${family}`;

function middle(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const high = sorted[half];
  const low = sorted.length % 2 === 1 ? high : sorted[half - 1];
  return high === undefined || low === undefined ? null : (high + low) / 2;
}

async function iputils(lab: Lab, family: Family, target: string, plan: PingPlan): Promise<PingReading> {
  const times = ["-c", String(plan.count), "-i", String(plan.interval), "-W", String(plan.timeout)];
  const { stdout } = await lab.exec(["ping", flag(family), "-n", ...times, "-s", String(PAYLOAD.iputils), target]);
  const replies = stdout.split("\n").filter((line) => line.includes("time=") && !line.includes("DUP!"));
  const rtts = replies.map((line) => Number(/time=([\d.]+)/.exec(line)?.[1]));
  return { tool: "iputils", received: rtts.length, median_ms: middle(rtts) };
}

async function fping(lab: Lab, family: Family, target: string, plan: PingPlan): Promise<PingReading> {
  const times = ["-C", String(plan.count), "-p", String(plan.interval * 1000), "-t", String(plan.timeout * 1000)];
  const { stderr } = await lab.exec(["fping", flag(family), "-q", ...times, "-b", String(PAYLOAD.fping), target]);
  const cells = stderr.trim().split("\n").at(-1)?.split(" : ")[1]?.trim().split(/\s+/) ?? [];
  const rtts = cells.filter((cell) => cell !== "-").map(Number);
  return { tool: "fping", received: rtts.length, median_ms: middle(rtts) };
}

interface RawMtr {
  /** Addresses by TTL, the first that is the target last. */
  hops: Map<number, Set<string>>;
  /** Microseconds of each answer of the target at the end of the path. */
  rtts: number[];
}

/** `mtr --raw`: `h <ttl-1> <address>` and `p <ttl-1> <µs> <seq>`. Cut at the first TTL that shows the target. */
function readMtr(text: string, target: string): RawMtr {
  const rows = text.split("\n").map((line) => line.split(" "));
  const hosts = rows.filter(([kind]) => kind === "h");
  const end = Math.min(...hosts.filter((row) => row[2] === target).map((row) => Number(row[1])));
  const hops = new Map<number, Set<string>>();
  for (const [, index, address] of hosts) {
    const ttl = Number(index) + 1;
    if (address !== undefined && ttl <= end + 1) hops.set(ttl, (hops.get(ttl) ?? new Set()).add(address));
  }
  const rtts = rows.filter(([kind, index]) => kind === "p" && Number(index) === end).map((row) => Number(row[2]));
  return { hops, rtts };
}

async function mtr(lab: Lab, family: Family, target: string, plan: PingPlan): Promise<PingReading> {
  const size = packetLength("mtr", family);
  const args = ["-n", "--raw", "-c", String(plan.count), "-i", String(plan.interval), "-G", "1", "-s", String(size)];
  const { stdout } = await lab.exec(["mtr", flag(family), ...args, target]);
  const { rtts } = readMtr(stdout, target);
  return { tool: "mtr", received: rtts.length, median_ms: middle(rtts.map((us) => us / 1000)) };
}

/** Every ping-like tool at once, as the sides of one run. */
export function pingPeers(lab: Lab, family: Family, target: string, plan: PingPlan): Promise<PingReading[]> {
  return Promise.all([iputils, fping, mtr].map((tool) => tool(lab, family, target, plan)));
}

export interface PathReading {
  tool: string;
  /** Addresses by TTL, none for a silent hop. */
  hops: string[][];
}

/** Whole hop lists, from the first TTL to the one where the target answered, or the last that anybody answered. */
function listed(hops: ReadonlyMap<number, ReadonlySet<string>>): string[][] {
  const last = Math.max(0, ...hops.keys());
  return Array.from({ length: last }, (_, index) => [...(hops.get(index + 1) ?? [])]);
}

function untilTarget(hops: Map<number, Set<string>>, target: string): string[][] {
  const ends = [...hops].filter(([, addresses]) => addresses.has(target)).map(([ttl]) => ttl);
  const end = Math.min(...ends);
  return listed(new Map([...hops].filter(([ttl]) => ttl <= end)));
}

async function traceroute(lab: Lab, family: Family, target: string): Promise<PathReading> {
  const { stdout } = await lab.exec(["traceroute", flag(family), "-n", "-q", "3", "-w", "1", target]);
  const hops = new Map<number, Set<string>>();
  for (const line of stdout.split("\n")) {
    const [, ttl, rest] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? [];
    if (ttl === undefined || rest === undefined) continue;
    // Addresses are the words with a dot or colon that are not a time.
    const addresses = rest.split(/\s+/).filter((word) => /^[0-9a-f]+(:|\.\d+\.)/.test(word));
    hops.set(Number(ttl), new Set(addresses));
  }
  return { tool: "traceroute", hops: untilTarget(hops, target) };
}

async function mtrPath(lab: Lab, family: Family, target: string): Promise<PathReading> {
  const { stdout } = await lab.exec(["mtr", flag(family), "-n", "--raw", "-c", "3", "-i", "0.3", "-G", "1", target]);
  return { tool: "mtr", hops: listed(readMtr(stdout, target).hops) };
}

export interface TracepathReading extends PathReading {
  pmtu: number | null;
}

export async function tracepath(lab: Lab, family: Family, target: string): Promise<TracepathReading> {
  // It buffers its output and waits ever longer in a black hole, so it gets its lines out one by one and a limit.
  const command = ["stdbuf", "-oL", "tracepath", flag(family), "-n", target];
  const { stdout } = await lab.exec(command, { timeout: 6000 });
  const hops = new Map<number, Set<string>>();
  for (const [, ttl, address] of stdout.matchAll(/^\s*(\d+):\s+(\S+)\s/gm)) {
    const known = hops.get(Number(ttl)) ?? new Set<string>();
    if (address !== undefined && address !== "no") known.add(address);
    hops.set(Number(ttl), known);
  }
  const pmtu = /Resume: pmtu (\d+)/.exec(stdout)?.[1];
  return { tool: "tracepath", hops: untilTarget(hops, target), pmtu: pmtu === undefined ? null : Number(pmtu) };
}

export function pathPeers(lab: Lab, family: Family, target: string): Promise<PathReading[]> {
  return Promise.all([traceroute, mtrPath].map((tool) => tool(lab, family, target)));
}

export interface SocketReading {
  min_rtt_ms: number | null;
  retransmitted: number | null;
}

/** What the kernel says of the agent's connections to a port while `work` runs: `ss` every 50 ms, the last word on each. */
export async function watchSockets(lab: Lab, port: number, family: Family, work: Promise<unknown>): Promise<SocketReading> {
  const watch = `while :; do ss -${family} -HtinO state connected dport = :${port}; sleep 0.05; done`;
  const stop = new AbortController();
  const watching = lab.exec(["sh", "-c", watch], { signal: stop.signal });
  await work.finally(() => stop.abort());
  const { stdout } = await watching;
  const numbers = (pattern: RegExp) => [...stdout.matchAll(pattern)].map((match) => Number(match[1]));
  const rtts = numbers(/ minrtt:([\d.]+)/g);
  const totals = numbers(/ retrans:\d+\/(\d+)/g);
  const lowest = rtts.length === 0 ? null : Math.min(...rtts);
  return { min_rtt_ms: lowest, retransmitted: totals.length === 0 ? null : Math.max(...totals) };
}
