// The host sample: every metric of the catalogue's host part, from whichever reader fits this system.
import { performance } from "node:perf_hooks";
import type { HostDetail } from "#contract/host-detail";
import { metricsOf } from "#contract/metrics";
import type { HostSample } from "#contract/result";
import { markedDetail } from "../clock-marks.ts";
import { hostClock } from "../host-clock.ts";
import { round3 } from "../statistics.ts";
import { fitDetail } from "./detail-size.ts";
import { needsOf } from "./needs.ts";
import type { HostReader } from "./reading.ts";

export type HostMeasurement = Omit<HostSample, "seq" | "detail"> & { readonly detail: HostDetail };

/** Only the reader of this system is loaded. */
async function readerOfThisSystem(): Promise<HostReader> {
  if (process.platform === "linux") return new (await import("./linux.ts")).LinuxHost();
  return new (await import("./other.ts")).OtherHost();
}

export class HostSampler {
  #reader: HostReader | undefined;

  constructor(reader?: HostReader) {
    this.#reader = reader;
  }

  /** One sample. The first has no rates: they need a look before. */
  async sample(): Promise<HostMeasurement> {
    this.#reader ??= await readerOfThisSystem();
    const begun = hostClock.moment();
    const start = performance.now();
    const { sheet, detail } = await this.#reader.read();
    sheet.fill(metricsOf("host"), "unsupported");
    const told = fitDetail({ ...detail, needs: needsOf(sheet.metrics, sheet.reasons, detail.needs) });
    return {
      started_at: begun.started_at,
      duration_ms: round3(performance.now() - start),
      metrics: sheet.metrics,
      reasons: sheet.reasons,
      detail: markedDetail(told.detail, begun),
      flags: told.cut ? ["detail_cut"] : [],
    };
  }
}
