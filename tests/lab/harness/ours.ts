// Our side of every row: the command line a user runs, inside the lab.
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../../worker/ops/paths.ts";
import { BUILDS, isFresh } from "../../../worker/ops/source-hash.mjs";
import type { ExecOptions, Lab } from "./lab.ts";

type Value = number | string | boolean | null;

export interface Result {
  status: "ok" | "partial" | "failed";
  address: string | null;
  started_at: string;
  duration_ms: number;
  error: { code: string; source: string; message: string } | null;
  metrics: Record<string, Value>;
  reasons: Record<string, string>;
  detail: Record<string, unknown>;
  flags: string[];
  exit: number | null;
}

/** The single file, since that is what offices run; LAB_AGENT names another build of it. */
const BUILT = process.env.LAB_AGENT || join(ROOT, BUILDS.agent.output);
const PROGRAM = process.env.LAB_AGENT || isFresh(ROOT, BUILDS.agent) ? BUILT : join(ROOT, "agent", "cli.ts");

export type Options = Readonly<Record<string, number | string>>;

/** `probe <type> <destination>` with options by name; throws when what it prints is no result. */
export async function probe(
  lab: Lab,
  type: string,
  destination: string,
  options: Options = {},
  how: ExecOptions = {},
): Promise<Result> {
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const command = how.unprivileged ? readableByAll(lab) : [process.execPath, PROGRAM];
  const env = { NODE_NO_WARNINGS: "1", ...how.env };
  const ended = await lab.exec([...command, "probe", type, destination, ...flags, "--json"], { ...how, env });
  try {
    return { ...(JSON.parse(ended.stdout) as Omit<Result, "exit">), exit: ended.code };
  } catch {
    const said = (ended.stderr || ended.stdout).trim().slice(0, 400);
    throw new Error(`probe ${type} ${destination} ${flags.join(" ")} ended with ${ended.code} and no result: ${said}`);
  }
}

/** Node and the agent's single file, where user nobody may read them: a clone or Node itself may lie in a private home. */
function readableByAll(lab: Lab): string[] {
  if (PROGRAM !== BUILT) return [process.execPath, PROGRAM];
  const node = join(lab.state, "node");
  const agent = join(lab.state, "streamswarm-agent.mjs");
  if (!existsSync(node)) copyFileSync(process.execPath, node);
  copyFileSync(BUILT, agent);
  return [node, agent];
}

export function number(result: Result, metric: string): number | null {
  const value = result.metrics[metric];
  return typeof value === "number" ? value : null;
}
