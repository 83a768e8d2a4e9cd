// `doctor`: what this host can measure, what is missing, and the command that fixes it.
import { accessSync, constants, existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Command } from "commander";
import { checkPing, hasFamily } from "./capabilities.ts";
import { readConfig } from "./cli-run.ts";
import { EdgeHttp } from "./edge-http.ts";
import { EXIT } from "./exit.ts";
import { type HostCoverage, hostCoverage } from "./host/coverage.ts";
import { type Identity, StateDir } from "./identity.ts";
import { installHint } from "./install-hint.ts";
import { trustCa, useProxyFromEnvironment } from "./network.ts";
import { columns, paintFor } from "./print.ts";
import { knownTools, lookAt, mayTraceRaw } from "./tools.ts";
import { VERSION } from "./version.ts";

export interface Check {
  readonly name: string;
  readonly status: "ok" | "missing" | "problem" | "skipped";
  readonly message: string;
  /** What to do about it, where something has to be done. */
  readonly fix: string | null;
  /** Whether the agent cannot do its work without it. */
  readonly needed: boolean;
}

const check = (name: string, status: Check["status"], message: string, fix: string | null = null, needed = false): Check => ({
  name,
  status,
  message,
  fix,
  needed,
});

async function pingCheck(): Promise<Check> {
  const ping = await checkPing();
  if (ping.works) return check("ping", "ok", `${ping.tool.version}, ${ping.mode} socket, ${ping.tool.file}`, null, true);
  if (ping.why === "tool_missing") return check("ping", "missing", "ping is not installed", installHint("ping"), true);
  if (ping.why === "no_start")
    return check("ping", "problem", `ping may not start: ${ping.says}`, installHint("ping-start"), true);
  if (ping.why === "no_permission")
    return check("ping", "problem", `ping may not open a socket: ${ping.says}`, installHint("ping-permission"), true);
  return check(
    "ping",
    "problem",
    `127.0.0.1 does not answer ping ${ping.says}`.trim(),
    "look for a firewall that drops ICMP on lo",
    true,
  );
}

/** The tools that are not ping: none is needed, each widens what can be measured. */
async function toolChecks(): Promise<Check[]> {
  return Promise.all(
    knownTools().map(async (known) => {
      const tool = await lookAt(known);
      if (tool !== undefined) return check(known.name, "ok", `${tool.version ?? "version unknown"}, ${tool.file}`);
      return check(known.name, "missing", `not installed; serves ${known.serves}`, installHint(known.name));
    }),
  );
}

async function rawCheck(): Promise<Check[]> {
  const raw = await mayTraceRaw();
  if (raw === null) return [];
  return raw
    ? [check("raw sockets", "ok", "paths can be probed with ICMP and TCP, not only UDP")]
    : [check("raw sockets", "missing", "paths can be probed with UDP only", installHint("raw"))];
}

function stateCheck(path: string): Check {
  // The nearest directory that exists decides whether the rest can be made.
  let nearest = path;
  while (!existsSync(nearest) && dirname(nearest) !== nearest) nearest = dirname(nearest);
  try {
    accessSync(nearest, constants.W_OK);
    return check("state directory", "ok", nearest === path ? path : `${path} can be made`, null, true);
  } catch {
    return check("state directory", "problem", `${path} cannot be written`, "start as another user or give --state DIR", true);
  }
}

async function serverCheck(server: string | undefined, identity: Identity | undefined): Promise<Check> {
  if (server === undefined) return check("server", "skipped", "no server is known", "give --server URL");
  const answer = await new EdgeHttp(server, VERSION).instruction(identity?.token ?? "none", undefined);
  if (answer.ok) return check("server", "ok", `${server} answers and knows this agent`);
  if ("unreachable" in answer) {
    const fix = /certificate/i.test(answer.unreachable)
      ? "if the server's certificate is your own, give its authority with --ca FILE"
      : "check address, DNS, firewall and proxy (HTTPS_PROXY)";
    return check("server", "problem", `${server} cannot be reached: ${answer.unreachable}`, fix);
  }
  const { status, detail } = answer.refused;
  if (status !== 401)
    return check("server", "problem", `${server} answered ${status} ${detail}`, "is --server the right address?");
  const registered = identity?.token !== undefined && identity.token !== null && identity.server === server;
  if (registered)
    return check(
      "server",
      "problem",
      `${server} does not accept this agent's token: ${detail}`,
      "register anew: run --token TOKEN",
    );
  return check("server", "ok", `${server} answers; this host is not registered there yet`);
}

interface Flags {
  server?: string;
  state?: string;
  ca?: string;
  config?: string;
  json?: boolean;
}

async function doctor({ json, ...flags }: Flags): Promise<void> {
  const config = readConfig(flags);
  if (config.ca !== undefined) trustCa(config.ca);
  useProxyFromEnvironment();
  const identity = existsSync(config.state) ? readIdentity(config.state) : undefined;
  const server = config.server ?? identity?.server ?? undefined;
  const covering = hostCoverage();
  const checks = [
    await pingCheck(),
    ...(await toolChecks()),
    ...(await rawCheck()),
    hasFamily("IPv4")
      ? check("IPv4", "ok", "has an address")
      : check("IPv4", "missing", "no address besides loopback and link-local"),
    hasFamily("IPv6")
      ? check("IPv6", "ok", "has an address")
      : check("IPv6", "missing", "no address besides loopback and link-local"),
    stateCheck(config.state),
    await serverCheck(server, identity),
  ];
  const fit = checks.every((each) => !each.needed || each.status === "ok");
  const host = { platform: process.platform, arch: process.arch, node: process.version };
  const host_metrics = await covering;
  if (json === true) process.stdout.write(`${JSON.stringify({ version: VERSION, host, fit, checks, host_metrics })}\n`);
  else process.stdout.write(`${readable(checks)}\n\n${readableCoverage(host_metrics)}\n`);
  process.exitCode = fit ? (checks.some((each) => each.status === "problem") ? EXIT.failed : EXIT.ok) : EXIT.cannotMeasure;
}

/** A state directory of somebody else is no reason to stop looking. */
function readIdentity(path: string): Identity | undefined {
  try {
    return new StateDir(path).peekIdentity();
  } catch {
    return undefined;
  }
}

function readable(checks: readonly Check[]): string {
  const paint = paintFor(process.stdout);
  const marks = { ok: "ok", missing: "missing", problem: "PROBLEM", skipped: "–" };
  const colours = { ok: paint.good, missing: paint.warn, problem: paint.bad, skipped: paint.dim };
  const table = columns(checks.map((each) => [marks[each.status], each.name, each.message])).split("\n");
  return checks
    .flatMap((each, i) => {
      const line = (table[i] ?? "").replace(marks[each.status], colours[each.status](marks[each.status]));
      return each.fix === null ? [line] : [line, paint.dim(`         → ${each.fix}`)];
    })
    .join("\n");
}

/** Names shown beside a need; the JSON has all of them. */
const NAMES_SHOWN = 4;

function readableCoverage({ measured, total, missing }: HostCoverage): string {
  const paint = paintFor(process.stdout);
  const names = (metrics: readonly string[]) => {
    const more = metrics.length - NAMES_SHOWN;
    return more > 1 ? `${metrics.slice(0, NAMES_SHOWN).join(", ")} and ${more} more` : metrics.join(", ");
  };
  return [
    `host: ${measured} of ${total} host metrics measured`,
    ...missing.map(({ need, metrics }) => `  ${need}${paint.dim(`  (${names(metrics)})`)}`),
  ].join("\n");
}

/** Adds `doctor`. */
export function addDoctorCommand(program: Command): void {
  program
    .command("doctor")
    .description("say what this host can measure, what is missing, and how to fix it")
    .option("--server <url>", "server to try to reach")
    .option("--state <dir>", "state directory to look at")
    .option("--ca <file>", "PEM file with further certificate authorities")
    .option("--config <file>", "JSON settings file")
    .option("--json", "print one JSON object and nothing else")
    .action(doctor);
}
