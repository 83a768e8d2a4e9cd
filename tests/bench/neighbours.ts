// Two well-known agents beside ours, run as they are used: started here, in the foreground, never as services.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { freePort } from "../support/instance.ts";
import { Output } from "../support/output.ts";
import { until } from "../support/wait.ts";

/** How often Prometheus asks in most set-ups, and how often collectd reads by default, seconds. */
const SCRAPE_S = 15;
const COLLECTD_INTERVAL_S = 10;
const START_MS = 10_000;

export interface Neighbour {
  readonly name: "node_exporter" | "collectd";
  /** Undefined where it does not run here. */
  readonly pid: number | undefined;
  readonly reason: string | undefined;
  stop(): Promise<void>;
}

const find = (name: string): string | undefined =>
  [process.env.PATH ?? "", "/usr/sbin", "/usr/bin"]
    .join(delimiter)
    .split(delimiter)
    .map((dir) => join(dir, name))
    .find((file) => existsSync(file));

const absent = (name: Neighbour["name"], reason: string): Neighbour => ({
  name,
  pid: undefined,
  reason,
  stop: () => Promise.resolve(),
});

function started(name: Neighbour["name"], child: ChildProcess, clean: () => void): Neighbour {
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  return {
    name,
    pid: child.pid,
    reason: undefined,
    async stop() {
      child.kill("SIGTERM");
      await ended;
      clean();
    },
  };
}

/** Debian's node exporter with its defaults, scraped as Prometheus does. */
async function nodeExporter(): Promise<Neighbour> {
  const file = find("prometheus-node-exporter");
  if (file === undefined) return absent("node_exporter", "prometheus-node-exporter is not installed");
  const port = await freePort();
  const child = spawn(file, [`--web.listen-address=127.0.0.1:${port}`], { stdio: "ignore" });
  const scrape = async () => {
    const reply = await fetch(`http://127.0.0.1:${port}/metrics`);
    return (await reply.text()).includes("node_cpu_seconds_total");
  };
  const quiet = () => scrape().catch(() => false);
  await until("the node exporter's first answer", START_MS, quiet, (good) => good);
  const timer = setInterval(() => void quiet(), SCRAPE_S * 1000);
  return started("node_exporter", child, () => clearInterval(timer));
}

const COLLECTD_PLUGINS = ["cpu", "memory", "disk", "df", "interface", "load", "processes"];

/** collectd with what most hosts read, written to files of its own. */
async function collectd(): Promise<Neighbour> {
  const file = find("collectd");
  if (file === undefined) return absent("collectd", "collectd-core is not installed");
  const dir = mkdtempSync(join(tmpdir(), "streamswarm-collectd-"));
  const config = join(dir, "collectd.conf");
  const plugins = [...COLLECTD_PLUGINS, "csv"].map((name) => `LoadPlugin ${name}`);
  const files = `<Plugin csv>\n  DataDir "${dir}/csv"\n</Plugin>`;
  writeFileSync(config, [`BaseDir "${dir}"`, `Interval ${COLLECTD_INTERVAL_S}`, ...plugins, files, ""].join("\n"));
  const child = spawn(file, ["-f", "-C", config], { stdio: ["ignore", "pipe", "pipe"] });
  await new Output(child).line(/entering read-loop/, START_MS);
  return started("collectd", child, () => rmSync(dir, { recursive: true, force: true }));
}

export async function startNeighbours(): Promise<Neighbour[]> {
  const exporter = await nodeExporter();
  return [exporter, await collectd()];
}
