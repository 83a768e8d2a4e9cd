// What this host knows before anything is sent: the outgoing interface's MTU, the route's, and the tool that may be used.
import { createSocket } from "node:dgram";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { findTool, runTool } from "../exec.ts";
import { parseRouteGet, type RouteFacts } from "../parsers/ip-route.ts";
import type { Discovery } from "./mtu-echo.ts";
import { pingLinux } from "./ping-linux.ts";
import { pingMacos } from "./ping-macos.ts";
import type { PingTool } from "./ping-tool.ts";

const ROUTE_MS = 1000;
/** A connected UDP socket has a source address before anything is sent; the port does not matter (RFC 863). */
const DISCARD_PORT = 9;
const CHECK_MS = 1000;
/** First iputils release whose -M may know `probe`. */
const PROBE_RELEASE = 20231222;

export interface RouteView {
  readonly route: RouteFacts | null;
  /** Outgoing interface. */
  readonly dev: string | null;
  /** MTU of the outgoing interface, bytes; null where it cannot be read. */
  readonly interfaceMtu: number | null;
}

async function interfaceMtu(dev: string): Promise<number | null> {
  const text = await readFile(`/sys/class/net/${dev}/mtu`, "utf8").catch(() => "");
  const mtu = /^\d{2,7}\n?$/.test(text) ? Number(text) : 0;
  return mtu > 0 ? mtu : null;
}

/** The interface a packet to this address leaves by, found without sending one; undefined when the system does not say. */
async function outgoingInterface(address: string): Promise<string | undefined> {
  const socket = createSocket(isIP(address) === 6 ? "udp6" : "udp4");
  try {
    const own = await new Promise<string>((resolve, reject) => {
      socket.once("error", reject);
      socket.connect(DISCARD_PORT, address, () => resolve(socket.address().address));
    });
    const interfaces = Object.entries(networkInterfaces());
    return interfaces.find(([, addresses]) => addresses?.some((each) => each.address === own))?.[0];
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

/** The route to an address, a literal for which net.isIP() is not 0. Never rejects. */
export async function routeTo(address: string, signal: AbortSignal): Promise<RouteView> {
  const [literal = address, zone] = address.split("%");
  const file = process.platform === "linux" ? findTool("ip") : undefined;
  // The address is a literal, which no option looks like; iproute2 knows no `--`.
  const args = ["-j", "route", "get", literal, ...(zone === undefined ? [] : ["oif", zone])];
  const run = file === undefined ? undefined : await runTool({ file, args, timeout_ms: ROUTE_MS, grace_ms: 100, signal });
  const route = parseRouteGet(run?.stdout ?? "") ?? null;
  // The ip of BusyBox speaks no JSON.
  const dev = route?.dev ?? zone ?? (await outgoingInterface(address));
  return { route, dev: dev ?? null, interfaceMtu: dev === undefined ? null : await interfaceMtu(dev) };
}

/** The ping that can forbid fragmentation, or why there is none. */
export type PingChoice = { readonly tool: PingTool } | { readonly missing: "tool_missing" | "unsupported"; readonly why: string };

export async function choosePing(): Promise<PingChoice> {
  if (process.platform === "win32") {
    return { missing: "unsupported", why: "the path MTU is not measured on Windows yet" };
  }
  const tool = await (process.platform === "linux" ? pingLinux : pingMacos).find();
  if (tool === undefined) return { missing: "tool_missing", why: "ping is not installed" };
  // fping stands in for a missing ping, but shows no single request while it runs.
  if (tool.dialect === "fping") return { missing: "tool_missing", why: "ping is not installed" };
  if (tool.dialect !== "iputils" && tool.dialect !== "macos") {
    return { missing: "unsupported", why: `the ping of ${tool.version} cannot forbid fragmentation` };
  }
  return { tool };
}

const knowsProbe = new Map<string, boolean>();

/** Whether this ping can send past what the kernel remembers of a path; asked once for each version. */
export async function discoveryOf(tool: PingTool, signal: AbortSignal): Promise<Discovery> {
  const release = Number(/\d{8}/.exec(tool.version)?.[0] ?? 0);
  if (tool.dialect !== "iputils" || release < PROBE_RELEASE) return "do";
  const key = `${tool.file} ${tool.version}`;
  const known = knowsProbe.get(key);
  if (known !== undefined) return known ? "probe" : "do";
  const args = ["-n", "-c", "1", "-w", "1", "-M", "probe", "--", "127.0.0.1"];
  const run = await runTool({ file: tool.file, args, timeout_ms: CHECK_MS, grace_ms: 100, signal });
  const able = !/invalid -M|unrecognized|invalid argument/i.test(run.stderr);
  if (!signal.aborted) knowsProbe.set(key, able);
  return able ? "probe" : "do";
}
