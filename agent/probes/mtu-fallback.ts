// Where echo requests find no answer or no ping is there: tracepath, which asks by UDP and needs no privilege.
import { findTool, runTool } from "../exec.ts";
import { parseTracepathMtu, type TracepathMtu } from "../parsers/tracepath-mtu.ts";

/** One run of tracepath within `ms`; undefined when it is not installed. The address is a literal. */
export async function tracepathMtu(
  address: string,
  family: 4 | 6,
  top: number,
  ms: number,
  signal: AbortSignal,
): Promise<TracepathMtu | undefined> {
  const file = process.platform === "linux" ? findTool("tracepath") : undefined;
  if (file === undefined) return undefined;
  const args = [family === 6 ? "-6" : "-4", "-n", "-m", "30", "-l", String(top), "--", address];
  const run = await runTool({ file, args, timeout_ms: ms, grace_ms: 100, signal });
  return parseTracepathMtu(run.stdout);
}
