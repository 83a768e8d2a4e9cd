// ping on Linux: iputils everywhere, BusyBox on small systems, GNU inetutils on some; fping where there is no ping.
import { existsSync, realpathSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { findTool, runTool } from "../exec.ts";
import { parseFping } from "../parsers/fping.ts";
import { parsePing } from "../parsers/ping.ts";
import { type PingAdapter, type PingCommand, type PingRequest, type PingTool, seconds } from "./ping-tool.ts";

/** First release whose -W takes fractions of a second. */
const FRACTIONAL_WAIT = 20200821;
/** First release that prints whole microseconds, with -3. */
const PRECISE = 20240905;

/** Release of iputils as a date, or undefined where it does not say. */
function releaseOf(tool: PingTool): number | undefined {
  const digits = /\d{8}/.exec(tool.version)?.[0];
  return digits === undefined ? undefined : Number(digits);
}

/** Names the tool by what `ping -V` prints, on whichever stream. */
export function readPingVersion(file: string, text: string): PingTool | undefined {
  const iputils = /iputils[- ]s*(\d{8})/.exec(text);
  if (iputils !== null) return { dialect: "iputils", file, version: `iputils ${iputils[1]}` };
  if (/iputils/.test(text)) return { dialect: "iputils", file, version: text.trim().split("\n")[0]?.slice(0, 60) ?? "iputils" };
  const busybox = /BusyBox v?([\d.]+)/i.exec(text);
  if (busybox !== null) return { dialect: "busybox", file, version: `BusyBox ${busybox[1]}` };
  const fping = /fping: Version (\d+\.\d+)/.exec(text);
  if (fping !== null) return { dialect: "fping", file, version: `fping ${fping[1]}` };
  const inetutils = /inetutils\)? ([\d.]+)/i.exec(text);
  if (inetutils !== null) return { dialect: "inetutils", file, version: `inetutils ${inetutils[1]}` };
  return undefined;
}

/** The tool found last, so that a run costs one child and not two. */
let known: { tool: PingTool; file: string; changed: number } | undefined;

/** Whether only root or this user may put a program there. */
function isGuarded(path: string): boolean {
  try {
    const { uid, mode } = statSync(path);
    return (uid === 0 || uid === process.getuid?.()) && (mode & 0o022) === 0;
  } catch {
    return false;
  }
}

/**
 * Further pings by the PATH. The system's own may not even start where its file asks for a capability this process may not
 * have; a copy without that needs none, where the kernel lets everybody ping (net.ipv4.ping_group_range).
 */
function otherPings(first: string): string[] {
  const dirs = (process.env.PATH ?? "").split(delimiter).filter((dir) => isAbsolute(dir) && isGuarded(dir));
  const real = realpathSync(first);
  return dirs.map((dir) => join(dir, "ping")).filter((file) => isGuarded(file) && realpathSync(file) !== real);
}

/** The tool, or undefined when it may not start. */
async function identify(file: string, args: readonly string[] = ["-V"]): Promise<PingTool | undefined> {
  const run = await runTool({ file, args, timeout_ms: 2000 });
  if (run.startError !== null) return undefined;
  // An unknown ping is tried as the commonest one; its output decides whether it was understood.
  return readPingVersion(file, run.stdout + run.stderr) ?? { dialect: "iputils", file, version: "unknown" };
}

/** fping, where it can be believed: before 5.2 it reports total loss when it has no right to a raw socket (schweikert/fping #248). */
async function findFping(): Promise<PingTool | undefined> {
  const file = findTool("fping");
  const tool = file === undefined ? undefined : await identify(file, ["-v"]);
  const [major = 0, minor = 0] = (tool?.version.replace("fping ", "") ?? "").split(".").map(Number);
  return tool?.dialect === "fping" && (major > 5 || (major === 5 && minor >= 2)) ? tool : undefined;
}

async function find(): Promise<PingTool | undefined> {
  const file = findTool("ping");
  if (file === undefined) return findFping();
  const changed = statSync(file).mtimeMs;
  if (known?.file === file && known.changed === changed) return known.tool;
  let tool = await identify(file);
  for (const other of tool === undefined ? otherPings(file) : []) tool ??= await identify(other);
  // Without one that starts, the run with the system's own says why.
  if (tool === undefined) return { dialect: "iputils", file, version: "unknown" };
  known = { tool, file, changed };
  return tool;
}

function iputils(tool: PingTool, request: PingRequest): PingCommand {
  const release = releaseOf(tool) ?? FRACTIONAL_WAIT;
  const wait = release >= FRACTIONAL_WAIT ? request.timeout : Math.ceil(request.timeout);
  const args = ["-n", "-c", String(request.count), "-i", seconds(request.interval), "-W", seconds(wait)];
  args.push("-s", String(request.packet_size));
  // The DS field is the upper six bits of the old TOS byte (RFC 2474).
  if (request.dscp !== undefined) args.push("-Q", String(request.dscp << 2));
  if (request.df === true) args.push("-M", "do");
  if (release >= PRECISE) args.push("-3");
  // A line for each request that is still unanswered, which also ends a ping whose agent is gone: nobody reads what it writes.
  args.push("-O");
  return { file: tool.file, args: [...args, "--", request.address] };
}

function busybox(tool: PingTool, request: PingRequest): PingCommand {
  if (request.dscp !== undefined) return { unsupported: "the ping of BusyBox cannot set a DSCP; install iputils-ping" };
  if (request.df === true) return { unsupported: "the ping of BusyBox cannot forbid fragmentation; install iputils-ping" };
  const args = ["-c", String(request.count), "-i", seconds(request.interval), "-W", String(Math.ceil(request.timeout))];
  return { file: tool.file, args: [...args, "-s", String(request.packet_size), "--", request.address] };
}

function inetutils(tool: PingTool, request: PingRequest): PingCommand {
  if (request.df === true) return { unsupported: "the ping of inetutils cannot forbid fragmentation; install iputils-ping" };
  const six = isIP(request.address) === 6;
  const file = six ? join(dirname(tool.file), "ping6") : tool.file;
  if (six && !existsSync(file)) return { unsupported: "ping6 is not installed beside the ping of inetutils" };
  if (six && request.dscp !== undefined) return { unsupported: "the ping6 of inetutils cannot set a DSCP; install iputils-ping" };
  const args = ["-n", "-c", String(request.count), "-i", seconds(request.interval), "-W", String(Math.ceil(request.timeout))];
  args.push("-s", String(request.packet_size));
  if (request.dscp !== undefined) args.push("-T", String(request.dscp << 2));
  return { file, args: [...args, "--", request.address] };
}

function fping(tool: PingTool, request: PingRequest): PingCommand {
  const ms = (value: number) => String(Math.round(value * 1000));
  const args = [
    "-C",
    String(request.count),
    "-p",
    ms(request.interval),
    "-t",
    ms(request.timeout),
    "-b",
    String(request.packet_size),
  ];
  if (request.dscp !== undefined) args.push("-O", String(request.dscp << 2));
  if (request.df === true) args.push("-M");
  return { file: tool.file, args: [...args, "--", request.address] };
}

/** Arguments for one run; every number is ours, the address is a literal behind `--`. */
export function linuxPingCommand(tool: PingTool, request: PingRequest): PingCommand {
  if (tool.dialect === "busybox") return busybox(tool, request);
  if (tool.dialect === "inetutils") return inetutils(tool, request);
  if (tool.dialect === "fping") return fping(tool, request);
  return iputils(tool, request);
}

export const pingLinux: PingAdapter = {
  find,
  command: linuxPingCommand,
  parse: ({ stdout, stderr }, tool) => (tool.dialect === "fping" ? parseFping(stdout, stderr) : parsePing(stdout, stderr)),
  // ping(8) of iputils: SIGQUIT prints the statistics so far and the run goes on. To a ping of unknown make it may be the end.
  snapshotSignal: (tool) => {
    const release = tool.dialect === "iputils" ? releaseOf(tool) : undefined;
    return release !== undefined && release < PRECISE ? "SIGQUIT" : undefined;
  },
};
