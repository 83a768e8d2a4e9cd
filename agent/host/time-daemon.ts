// Whether a time daemon keeps this host's clock: the mark of systemd-timesyncd, else what the daemons' tools say.
import { existsSync } from "node:fs";
import type { Reason } from "#contract/metrics";
import { findTool, runTool } from "../exec.ts";
import { CHRONYC, NTPQ, TIMEDATECTL } from "../parsers/clock-sync.ts";
import type { Roots } from "./hardware-files.ts";

export interface ClockKept {
  readonly kept: boolean | undefined;
  readonly why: Reason;
}

const TOOL_MS = 1500;

/** Systemd-timesyncd leaves this mark once it has set the clock. */
export const isMarked = ({ run }: Roots): boolean => existsSync(`${run}/systemd/timesync/synchronized`);

/** Asks the tools one after the other until one says that the clock is kept. */
export async function askDaemons(): Promise<ClockKept> {
  let installed = false;
  let answered = false;
  for (const { name, args, parse } of [CHRONYC, TIMEDATECTL, NTPQ]) {
    const file = findTool(name);
    if (file === undefined) continue;
    installed = true;
    const run = await runTool({ file, args, timeout_ms: TOOL_MS, grace_ms: 200 });
    if (run.code !== 0) continue;
    if (parse(run.stdout) !== null) return { kept: true, why: "unsupported" };
    answered = true;
  }
  return { kept: answered ? false : undefined, why: installed ? "unsupported" : "tool_missing" };
}
