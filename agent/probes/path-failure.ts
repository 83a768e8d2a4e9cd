// What a path tool's failure means for a run: whose fault it is, and what helps.
import type { Reason } from "#contract/metrics";
import type { ErrorCode, ErrorSource, ResultError } from "#contract/result";
import { installHint } from "../install-hint.ts";
import type { SweepFailure } from "./path-sweep.ts";

export const pathToolMissing = (): ResultError => ({
  code: "tool_missing",
  source: "tool",
  message: `no traceroute, mtr or tracepath is installed; ${installHint("traceroute")}`,
});

/** What a failure of the tool itself means for the run. */
export function failureError({ kind, says }: SweepFailure, method: string): { error: ResultError; reason: Reason } {
  const told = says === "" ? "" : ` (${says})`;
  const of = (code: ErrorCode, source: ErrorSource, message: string, reason: Reason) => ({
    error: { code, source, message },
    reason,
  });
  switch (kind) {
    case "no_permission":
      return of(
        "no_permission",
        "agent",
        `${method.toUpperCase()} probes need a right this process lacks${told}; use --method udp, run as root, or let the agent have CAP_NET_RAW`,
        "no_permission",
      );
    case "no_start":
      return of("no_permission", "agent", `the tool may not start here${told}; let the agent have CAP_NET_RAW`, "no_permission");
    case "missing":
      return { error: pathToolMissing(), reason: "tool_missing" };
    case "unsupported":
      return of("unsupported", "tool", `${says}; ${installHint("traceroute")}`, "unsupported");
    case "bad_option":
      return of("unsupported", "tool", `the installed tool does not know an option this needs${told}`, "unsupported");
    case "no_route":
      return of("no_route", "agent", `this host has no route to the destination${told}`, "no_route");
    case "port_taken":
      return of("tool_failed", "agent", `the source ports of the flows are taken by another program${told}`, "unsupported");
    case "timeout":
      return of("deadline", "tool", "the tool printed nothing in its time", "timeout");
    case "unreadable":
      return of("unreadable_output", "tool", `the tool printed nothing that can be read${told}`, "unsupported");
    case "failed":
      return of("tool_failed", "tool", `the tool failed${told}`, "unsupported");
  }
}
