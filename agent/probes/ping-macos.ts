// ping on macOS and the BSDs, after Apple's ping(8) and ping6(8) manual pages; not tried on a Mac.
import { isIP } from "node:net";
import { findTool } from "../exec.ts";
import { parsePing } from "../parsers/ping.ts";
import { type PingAdapter, type PingCommand, type PingRequest, type PingTool, seconds } from "./ping-tool.ts";

async function find(): Promise<PingTool | undefined> {
  // Apple keeps ping in /sbin; it has no version option.
  const file = findTool("ping");
  return file === undefined ? undefined : { dialect: "macos", file, version: "macOS ping" };
}

/**
 * Arguments for one run. On macOS -W is milliseconds, -D forbids fragmentation, -z is the TOS byte; -t is a time-out and -m the
 * TTL, unlike on Linux. ping6 is a program of its own, without a reply time-out.
 */
export function macosPingCommand(tool: PingTool, request: PingRequest): PingCommand {
  const args = ["-n", "-c", String(request.count), "-i", seconds(request.interval), "-s", String(request.packet_size)];
  if (isIP(request.address) === 6) {
    if (request.dscp !== undefined) return { unsupported: "the ping6 of macOS takes no DSCP" };
    if (request.df === true) args.push("-m");
    return { file: tool.file.replace(/ping$/, "ping6"), args: [...args, "--", request.address] };
  }
  args.push("-W", String(Math.round(request.timeout * 1000)));
  if (request.dscp !== undefined) args.push("-z", String(request.dscp << 2));
  if (request.df === true) args.push("-D");
  return { file: tool.file, args: [...args, "--", request.address] };
}

export const pingMacos: PingAdapter = {
  find,
  command: macosPingCommand,
  parse: (run) => parsePing(run.stdout, run.stderr),
};
