// What this host can measure with: found once at start, told to the server, shown by `doctor`.
import os from "node:os";
import type { Capabilities } from "#contract/wire";
import { runTool } from "./exec.ts";
import { pingComplaint } from "./parsers/ping.ts";
import { pingAdapter } from "./probes/ping.ts";
import type { PingTool } from "./probes/ping-tool.ts";
import { knownTools, lookAt, mayTraceRaw } from "./tools.ts";

export type PingState =
  | { readonly works: true; readonly tool: PingTool; readonly mode: "raw" | "dgram" | "unknown" }
  | {
      readonly works: false;
      readonly tool: PingTool | undefined;
      readonly why: "tool_missing" | "no_permission" | "no_start" | "failed";
      readonly says: string;
    };

/** Tries the installed ping on the loopback address. */
export async function checkPing(): Promise<PingState> {
  const adapter = pingAdapter();
  const tool = await adapter.find();
  if (tool === undefined) return { works: false, tool, why: "tool_missing", says: "" };
  const request = { address: "127.0.0.1", count: 1, interval: 0.2, timeout: 1, packet_size: 56 };
  const command = adapter.command(tool, request);
  if ("unsupported" in command) return { works: false, tool, why: "failed", says: command.unsupported };
  // iputils says with -v which kind of socket it got.
  const args = tool.dialect === "iputils" ? ["-v", ...command.args] : command.args;
  const run = await runTool({ file: command.file, args, timeout_ms: 6000 });
  const output = adapter.parse(run, tool);
  if ((output.summary?.received ?? 0) > 0) {
    const mode = /SOCK_DGRAM/.test(run.stdout + run.stderr)
      ? "dgram"
      : /SOCK_RAW/.test(run.stdout + run.stderr)
        ? "raw"
        : "unknown";
    return { works: true, tool, mode };
  }
  if (run.startError === "EPERM" || run.startError === "EACCES")
    return { works: false, tool, why: "no_start", says: run.startError };
  const denied = pingComplaint(run.stderr) === "no_permission";
  const says = (run.stderr.trim().split("\n")[0] ?? "").slice(0, 200);
  return { works: false, tool, why: denied ? "no_permission" : "failed", says };
}

/** Whether this host has an address of the family that is not only its own (RFC 4291 link-local left out). */
export function hasFamily(family: "IPv4" | "IPv6"): boolean {
  const addresses = Object.values(os.networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.some((each) => each.family === family && !each.internal && !/^(fe80:|169\.254\.)/i.test(each.address));
}

/** Tool to version or mode, family to presence; null when missing, unusable or not allowed by the host's owner. */
export async function capabilities(allowed: { reflector: boolean }): Promise<Capabilities> {
  const [ping, raw, ...tools] = await Promise.all([checkPing(), mayTraceRaw(), ...knownTools().map(lookAt)]);
  const found = knownTools().map(({ name }, i): [string, string | boolean | null] => {
    const tool = tools[i];
    return [name, tool === undefined ? null : (tool.version ?? true)];
  });
  return {
    ping: ping.works ? `${ping.tool.version} ${ping.mode === "unknown" ? "" : ping.mode}`.trim() : null,
    ...Object.fromEntries(found),
    traceroute_raw: raw,
    ipv4: hasFamily("IPv4"),
    ipv6: hasFamily("IPv6"),
    reflector: allowed.reflector ? "STAMP, HTTP" : null,
  };
}
