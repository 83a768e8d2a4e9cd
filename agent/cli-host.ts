// `host`: one sample of this host.
import type { Command } from "commander";
import type { Measurement } from "#contract/result";
import { cliResult } from "./cli-probe.ts";
import { HostSampler } from "./host/index.ts";
import { paintFor, showResult } from "./print.ts";

/** Between the two looks that rates need. */
const GAP_MS = 300;

async function host(given: { json?: boolean }): Promise<void> {
  const sampler = new HostSampler();
  const first = await sampler.sample();
  await new Promise((resolve) => setTimeout(resolve, GAP_MS));
  const sample = await sampler.sample();
  const result: Measurement = {
    type: "host",
    destination: "localhost",
    address: null,
    ...sample,
    started_at: first.started_at,
    duration_ms: sample.started_at - first.started_at + sample.duration_ms,
    status: "ok",
    error: null,
  };
  process.stdout.write(
    `${given.json === true ? JSON.stringify(cliResult(result)) : showResult(result, paintFor(process.stdout))}\n`,
  );
}

/** Adds `host`. */
export function addHostCommand(program: Command): void {
  program
    .command("host")
    .description("sample this host: processor, memory, disks, network")
    .option("--json", "print one result object and nothing else")
    .action(host);
}
