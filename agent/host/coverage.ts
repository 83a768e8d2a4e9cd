// How much of the host's part of the catalogue this host fills, and what the rest needs.
import { setTimeout as wait } from "node:timers/promises";
import { HostSampler } from "./index.ts";
import { groupedNeeds, needsOf } from "./needs.ts";

export interface HostCoverage {
  /** Metrics with a value, and all there are. */
  readonly measured: number;
  readonly total: number;
  /** Each lack once, the one that costs most figures first. */
  readonly missing: readonly { readonly need: string; readonly metrics: readonly string[] }[];
}

/** Between the two looks that rates need. */
const GAP_MS = 300;

/** Samples this host twice, as rates need, and counts. */
export async function hostCoverage(): Promise<HostCoverage> {
  const sampler = new HostSampler();
  await sampler.sample();
  await wait(GAP_MS);
  const { metrics, reasons, detail } = await sampler.sample();
  const values = Object.values(metrics);
  const told = (detail as { needs?: Record<string, string> }).needs;
  return {
    measured: values.filter((value) => value !== null).length,
    total: values.length,
    missing: groupedNeeds(needsOf(metrics, reasons, told)),
  };
}
