// `npm run bench`: counts and ratios as a table, or with --json as one JSON object. Nothing here passes or fails on time.
import { spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { ensureBuilt } from "../../worker/ops/builds.ts";
import { measureAgent } from "./agent.ts";
import { type AgentDay, dollarsAMonth, freePlanAgents } from "./prices.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export type Report = { [name: string]: number | string | null | Report };

/** Runs the counting suite in workerd and takes the line of JSON it prints. */
async function countEdge(): Promise<Report & AgentDay> {
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  const child = spawn(process.execPath, [vitest, "run", "-c", "tests/bench/vitest.config.ts", "--reporter=default"], {
    cwd: ROOT,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  const line = /BENCH (\{.*\})/.exec(output)?.[1];
  if (code !== 0 || line === undefined) throw new Error(`The counting suite ended with ${code}:\n${output.slice(-4000)}`);
  return JSON.parse(line) as Report & AgentDay;
}

/** What a first visit transfers: the page and what it loads at once, gzipped as the edge does. */
async function countWeb(): Promise<Report> {
  const dist = join(ROOT, "dist/web");
  const page = await readFile(join(dist, "index.html"), "utf8").catch(() => null);
  if (page === null) return { transferred_kib: null, reason: "dist/web/index.html cannot be read" };
  const first = [...page.matchAll(/(?:src|href)="\/([^"]+\.(?:js|css))"/g)].map((match) => match[1] ?? "");
  const all = (await readdir(join(dist, "assets"))).filter((name) => /\.(js|css)$/.test(name)).map((name) => `assets/${name}`);
  const kib = async (names: string[]) => {
    const sizes = await Promise.all(names.map(async (name) => gzipSync(await readFile(join(dist, name))).byteLength));
    return Number((sizes.reduce((sum, size) => sum + size, 0) / 1024).toFixed(1));
  };
  return { first_page_kib: await kib(["index.html", ...first]), whole_app_kib: await kib(["index.html", ...all]) };
}

function flatten(report: Report, prefix = ""): [string, string][] {
  return Object.entries(report).flatMap(([name, value]): [string, string][] =>
    typeof value === "object" && value !== null ? flatten(value, `${prefix}${name}.`) : [[prefix + name, format(value)]],
  );
}

const format = (value: number | string | null) => (typeof value === "number" ? String(Number(value.toFixed(3))) : String(value));

async function edgeAndWeb(): Promise<Report> {
  const edge = await countEdge();
  return {
    ...edge,
    free_plan_agents: freePlanAgents(edge),
    usd_per_1000_agents_month: Number(dollarsAMonth(edge, 1000).toFixed(2)),
    web: await countWeb(),
  };
}

const options = {
  json: { type: "boolean" },
  /** `agent` leaves the edge and the dashboard out. */
  only: { type: "string" },
  /** How long the agent is watched. */
  minutes: { type: "string" },
} as const;
const { json, only, minutes } = parseArgs({ options }).values;
if (only !== undefined && only !== "agent") throw new Error(`--only ${only}: there is --only agent`);
if (minutes !== undefined && !(Number(minutes) > 0)) throw new Error(`--minutes ${minutes} is no number of minutes`);

// Standard output is the JSON object's alone.
if (json === true) console.log = console.error;
await ensureBuilt("agent");
if (only === undefined) await ensureBuilt("web");

const report: Report = {
  ...(only === "agent" ? {} : await edgeAndWeb()),
  agent: await measureAgent(minutes === undefined ? undefined : Number(minutes)),
};

if (json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
else {
  const rows = flatten(report);
  const width = Math.max(...rows.map(([name]) => name.length));
  if (only === undefined) {
    console.log("Per agent and day at 6 results a minute, default cadence, nobody watching; times are of this machine.\n");
  }
  for (const [name, value] of rows) console.log(`${name.padEnd(width)}  ${value}`);
}
