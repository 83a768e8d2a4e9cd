// `host`: one sample of this host.
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { HostDetail } from "#contract/host-detail";
import type { MetricName } from "#contract/metrics";
import type { Measurement } from "#contract/result";
import { cliResult } from "./cli-probe.ts";
import { HostSampler } from "./host/index.ts";
import { inventory } from "./host/inventory.ts";
import { hostSections, span } from "./host/view.ts";
import { harmless, type Paint, paintFor, RowPrinter } from "./print.ts";

/** Between the two looks that rates need: 40 ticks of a processor's clock. */
const GAP_MS = 400;

/** Names of what could not be measured, by reason. */
function missing(result: Measurement): string[] {
  const byReason = new Map<string, string[]>();
  for (const name of Object.keys(result.metrics) as MetricName[]) {
    if (result.metrics[name] !== null) continue;
    const reason = result.reasons[name] ?? "unknown";
    byReason.set(reason, [...(byReason.get(reason) ?? []), name]);
  }
  return [...byReason].map(([reason, names]) => `${reason}: ${names.join(", ")}`);
}

/** The sample as text, group by group. */
function show(result: Measurement, detail: HostDetail, paint: Paint): string {
  const { hostname, os, kernel, arch, hardware } = detail.inventory ?? {};
  const told = [os, kernel, arch, hardware].filter((each) => typeof each === "string").join(" · ");
  const up = `up ${span(result.metrics.uptime_s ?? null)}`;
  const lines = [`${paint.bold(harmless(`host ${String(hostname)}`))}  ${harmless(told)} · ${up}`];
  for (const section of hostSections(result, detail)) {
    const printer = new RowPrinter(paint);
    // The first pass learns how wide each column has to be.
    for (const row of section.rows) printer.line(row);
    lines.push("", paint.bold(section.title), ...section.rows.map((row) => printer.line(row)));
  }
  const count = Object.values(result.metrics).filter((value) => value !== null).length;
  const absent = missing(result).map((text) => paint.dim(`  ${text}`));
  lines.push(
    "",
    `${paint.bold("measured")}  ${count} metrics; --json prints them all, doctor says what the others need`,
    ...absent,
  );
  return lines.join("\n");
}

async function host(given: { json?: boolean }): Promise<void> {
  const sampler = new HostSampler();
  const first = await sampler.sample();
  const [known] = await Promise.all([inventory(), sleep(GAP_MS)]);
  const sample = await sampler.sample();
  const detail: HostDetail = { ...sample.detail, inventory: known };
  const result: Measurement = {
    type: "host",
    destination: "localhost",
    address: null,
    ...sample,
    detail,
    started_at: first.started_at,
    duration_ms: sample.started_at - first.started_at + sample.duration_ms,
    status: "ok",
    error: null,
  };
  const text = given.json === true ? JSON.stringify(cliResult(result)) : show(result, detail, paintFor(process.stdout));
  process.stdout.write(`${text}\n`);
}

/** Adds `host`. */
export function addHostCommand(program: Command): void {
  program
    .command("host")
    .description("sample this host: processor, memory, disks, network, hardware")
    .option("--json", "print one result object and nothing else")
    .action(host);
}
