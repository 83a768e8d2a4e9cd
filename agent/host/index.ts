// The host sample: every metric of the catalogue's host part, from whichever reader fits this system.
import { performance } from "node:perf_hooks";
import { metricsOf } from "#contract/metrics";
import type { HostSample } from "#contract/result";
import { round3 } from "../statistics.ts";
import { LinuxHost } from "./linux.ts";
import { OtherHost } from "./other.ts";
import type { HostReader } from "./reading.ts";

export type HostMeasurement = Omit<HostSample, "seq">;

export class HostSampler {
  readonly #reader: HostReader;

  constructor(reader: HostReader = process.platform === "linux" ? new LinuxHost() : new OtherHost()) {
    this.#reader = reader;
  }

  /** One sample. The first has no rates: they need a look before. */
  async sample(): Promise<HostMeasurement> {
    const started_at = Date.now();
    const start = performance.now();
    const { sheet, detail } = await this.#reader.read();
    sheet.fill(metricsOf("host"), "unsupported");
    return {
      started_at,
      duration_ms: round3(performance.now() - start),
      metrics: sheet.metrics,
      reasons: sheet.reasons,
      detail,
      flags: [],
    };
  }
}
