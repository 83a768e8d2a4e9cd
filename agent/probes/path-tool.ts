// The programs that show paths, what each can do, and its arguments. The first that is installed is used.
import { statSync } from "node:fs";
import { findTool, runTool } from "../exec.ts";
import { mtrReader, parseMtrRaw } from "../parsers/mtr.ts";
import { parseTracepath, parseTracepathLine } from "../parsers/tracepath.ts";
import { type HopAnswer, type HopReader, parseTraceroute, tracerouteReader } from "../parsers/traceroute.ts";
import { windowsTraceTool } from "./path-windows.ts";
import { seconds } from "./ping-tool.ts";

export type PathMethod = "udp" | "icmp" | "tcp";

/** Probes of one flow to a range of hops, in validated numbers. Times in seconds, size in payload bytes. */
export interface SweepRequest {
  /** A literal for which net.isIP() is not 0. */
  readonly address: string;
  readonly family: 4 | 6;
  readonly method: PathMethod;
  readonly port: number;
  /**
   * Source port, and with IPv6 the flow label too: what routers tell flows apart by (RFC 2992, RFC 6438). 0 where every probe is to be a
   * flow of its own.
   */
  readonly flow: number;
  readonly first: number;
  readonly last: number;
  readonly queries: number;
  readonly timeout: number;
  readonly packet_size?: number | undefined;
  readonly dscp?: number | undefined;
  /** Whether probes say that they may be marked instead of dropped: ECT(0) (RFC 3168). Only traceroute of Linux can. */
  readonly ect?: boolean | undefined;
}

export type SweepCommand = { readonly file: string; readonly args: readonly string[] } | { readonly unsupported: string };

export interface PathTool {
  /** As people know it, e.g. `traceroute 2.1.2`. */
  readonly version: string;
  /** Whether all probes of a sweep share one flow, so that they take one path. */
  steady(method: PathMethod): boolean;
  /** Whether it can send all probes of a sweep from one port, with any traffic class. */
  readonly marks?: boolean;
  /** Protocols in the order `auto` tries them. */
  readonly methods: readonly PathMethod[];
  /** Most flows it can hold apart. */
  flows(method: PathMethod): number;
  command(request: SweepRequest): SweepCommand;
  /** Everything a run printed. */
  parse(stdout: string): HopAnswer[];
  /** Reads the lines of one run as they come. */
  reader(): HopReader;
  /** Milliseconds from starting to the first probe, beyond what any program needs. */
  readonly startup_ms: number;
}

/** The DS field is the upper six bits of the old TOS byte (RFC 2474), ECN the lower two (RFC 3168). */
const tos = (dscp: number, ecn = 0): string => String((dscp << 2) | ecn);
const ECT0 = 2;

/** Headers below the payload: IPv4 or IPv6, and UDP or ICMP (RFC 791, 8200, 768, 792). */
const packetLength = ({ family, packet_size }: SweepRequest): string[] =>
  packet_size === undefined ? [] : [String(packet_size + (family === 4 ? 28 : 48))];

/** Linux traceroute. A fixed source port and destination port keep the flow the same at every hop ("Paris" traceroute). */
function linuxTool(file: string, major: number, minor: number, version: string): PathTool {
  // Since 2.1 a wait takes two factors that would give up early where the delay varies; 0 switches them off.
  const wait = (timeout: number) => (major > 2 || minor >= 1 ? `${seconds(timeout)},0,0` : seconds(timeout));
  return {
    version: `traceroute ${version}`,
    methods: ["udp", "icmp", "tcp"],
    steady: () => true,
    marks: true,
    flows: (method) => (method === "icmp" ? 1 : Number.POSITIVE_INFINITY),
    command(request) {
      const { method, flow, family } = request;
      const args = ["-n", "-q", String(request.queries), "-w", wait(request.timeout)];
      args.push("-f", String(request.first), "-m", String(request.last));
      // Echo requests of all hops are one flow to begin with and need not wait for each other, but ping sockets, all there is without
      // privilege, lose answers when several are awaited.
      if (method === "icmp") args.push("-I", "-N", process.getuid?.() === 0 ? "6" : "1");
      else {
        args.push(method === "udp" ? "-U" : "-T", "-p", String(request.port));
        args.push(...(flow === 0 ? ["-N", "16"] : ["-N", "1", `--sport=${flow}`]));
        if (family === 6 && flow !== 0) args.push("-l", String(flow));
      }
      if (request.dscp !== undefined) args.push("-t", tos(request.dscp, request.ect === true ? ECT0 : 0));
      return { file, args: [...args, "--", request.address, ...packetLength(request)] };
    },
    parse: parseTraceroute,
    reader: tracerouteReader,
    startup_ms: 0,
  };
}

/** BusyBox, and after their manual pages macOS and the BSDs (not tried there): one flow by ICMP, mixed ones by UDP. */
function plainTool(file: string, version: string, applet: readonly string[]): PathTool {
  return {
    version,
    methods: ["icmp", "udp"],
    steady: (method) => method === "icmp",
    flows: () => 1,
    command(request) {
      const { method, family } = request;
      if (method === "tcp") return { unsupported: `${version} cannot probe with TCP` };
      const six = family === 6;
      const beside = six && applet.length === 0 ? findTool("traceroute6") : undefined;
      if (six && applet.length === 0 && beside === undefined) return { unsupported: "traceroute6 is not installed" };
      const args = ["-n", "-q", String(request.queries), "-w", String(Math.ceil(request.timeout))];
      args.push("-f", String(request.first), "-m", String(request.last));
      if (method === "icmp") args.push("-I");
      else args.push("-p", String(request.port));
      if (request.dscp !== undefined) args.push("-t", tos(request.dscp));
      const name = six && applet.length > 0 ? ["traceroute6"] : applet;
      return { file: beside ?? file, args: [...name, ...args, "--", request.address, ...packetLength(request)] };
    },
    parse: parseTraceroute,
    reader: tracerouteReader,
    startup_ms: 0,
  };
}

/** mtr in its raw mode: ICMP is one flow, its UDP and TCP probes differ in their source port. */
function mtrTool(file: string): PathTool {
  return {
    version: "mtr --raw",
    methods: ["icmp", "udp", "tcp"],
    steady: (method) => method === "icmp",
    flows: () => 1,
    command(request) {
      const args = ["-n", "--raw", request.family === 4 ? "-4" : "-6", "-c", String(request.queries)];
      // Only the administrator may send more than one round a second.
      args.push("-i", process.getuid?.() === 0 ? "0.2" : "1", "-G", seconds(request.timeout));
      args.push("-f", String(request.first), "-m", String(request.last));
      if (request.method === "udp") args.push("-u");
      if (request.method === "tcp") args.push("-T", "-P", String(request.port));
      if (request.dscp !== undefined) args.push("-Q", tos(request.dscp));
      if (request.packet_size !== undefined) args.push("-s", ...packetLength(request));
      return { file, args: [...args, "--", request.address] };
    },
    parse: parseMtrRaw,
    reader: mtrReader,
    startup_ms: 0,
  };
}

function tracepathTool(file: string): PathTool {
  return {
    version: "tracepath",
    methods: ["udp"],
    steady: () => false,
    flows: () => 1,
    command(request) {
      if (request.method !== "udp") return { unsupported: `tracepath cannot probe with ${request.method.toUpperCase()}` };
      if (request.dscp !== undefined) return { unsupported: "tracepath cannot set a DSCP" };
      if (request.first > 1) return { unsupported: "tracepath always begins at the first hop" };
      return { file, args: ["-n", request.family === 4 ? "-4" : "-6", "-m", String(request.last), "--", request.address] };
    },
    parse: parseTracepath,
    reader: () => parseTracepathLine,
    startup_ms: 0,
  };
}

/** The traceroute by what it says of itself; an unknown one is taken as a plain one. */
export function readTracerouteVersion(file: string, text: string): PathTool {
  const linux = /Modern traceroute for Linux, version (\d+)\.(\d+)(?:\.\d+)?/.exec(text);
  if (linux !== null) return linuxTool(file, Number(linux[1]), Number(linux[2]), linux[0].split(" ").at(-1) ?? "");
  const busybox = /BusyBox v?([\d.]+)/i.exec(text);
  return plainTool(file, busybox === null ? `${process.platform} traceroute` : `BusyBox ${busybox[1]} traceroute`, []);
}

let known: { file: string; changed: number; tool: PathTool } | undefined;

/** `traceroute -V`, asked once for as long as the file stays the same. */
async function knownTraceroute(file: string): Promise<PathTool> {
  const changed = statSync(file).mtimeMs;
  if (known?.file === file && known.changed === changed) return known.tool;
  const run = await runTool({ file, args: ["-V"], timeout_ms: 2000 });
  const tool = readTracerouteVersion(file, run.stdout + run.stderr);
  known = { file, changed, tool };
  return tool;
}

/** The best path tool installed here, or undefined. */
export async function findPathTool(): Promise<PathTool | undefined> {
  if (process.platform === "win32") return windowsTraceTool();
  const file = findTool("traceroute");
  if (file !== undefined) return knownTraceroute(file);
  const mtr = findTool("mtr");
  if (mtr !== undefined) return mtrTool(mtr);
  const tracepath = findTool("tracepath");
  if (tracepath !== undefined) return tracepathTool(tracepath);
  const busybox = findTool("busybox");
  return busybox === undefined ? undefined : plainTool(busybox, "BusyBox traceroute", ["traceroute"]);
}
