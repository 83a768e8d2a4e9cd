// Memory and swap.
import { readFileSync } from "node:fs";
import type { MetricSheet } from "../probes/probe.ts";
import { round3 } from "../statistics.ts";
import type { HostFiles } from "./linux-files.ts";
import { parseMeminfo, parseVmstat } from "./parse-proc.ts";
import { pageSize } from "./processes.ts";
import { LookBefore, rate } from "./rates.ts";
import { rounded } from "./reading.ts";

const COUNTERS = ["pgmajfault", "pswpin", "pswpout", "oom_kill"] as const;
type Counters = ReturnType<typeof parseVmstat<(typeof COUNTERS)[number]>>;

export class Memory {
  readonly #files: HostFiles;
  readonly #before = new LookBefore<Counters>();
  readonly #pageSize = ownPageSize();

  constructor(files: HostFiles) {
    this.#files = files;
  }

  read(sheet: MetricSheet): void {
    this.#now(sheet);
    const at = this.#files.now();
    const counters = parseVmstat(this.#files.proc("vmstat"), COUNTERS);
    const before = this.#before.replace(counters, at);
    const perSecond = (name: keyof Counters, times: number | undefined) => {
      const each = rate(before?.look[name], counters[name], before?.seconds ?? 0);
      const value = each === undefined || times === undefined ? undefined : round3(each * times);
      return [value, counters[name] === undefined || times === undefined ? "unsupported" : "too_few_samples"] as const;
    };
    sheet.set("memory_major_faults", ...perSecond("pgmajfault", 1));
    sheet.set("swap_in_bytes_sec", ...perSecond("pswpin", this.#pageSize));
    sheet.set("swap_out_bytes_sec", ...perSecond("pswpout", this.#pageSize));
    sheet.set("oom_kills", counters.oom_kill, "unsupported");
  }

  #now(sheet: MetricSheet): void {
    const values = parseMeminfo(this.#files.proc("meminfo"));
    const total = values.get("MemTotal");
    const available = values.get("MemAvailable");
    const used = total !== undefined && available !== undefined ? total - available : undefined;
    const cached = values.get("Cached");
    const swapTotal = values.get("SwapTotal");
    const swapFree = values.get("SwapFree");
    sheet.set("memory_total", total, "unsupported");
    sheet.set("memory_available", available, "unsupported");
    sheet.set("memory_used", used, "unsupported");
    sheet.set("memory_percent", rounded(used !== undefined && total ? (100 * used) / total : undefined), "unsupported");
    sheet.set("memory_cached", cached === undefined ? undefined : cached + (values.get("SReclaimable") ?? 0), "unsupported");
    sheet.set("memory_buffers", values.get("Buffers"), "unsupported");
    sheet.set("memory_dirty", values.get("Dirty"), "unsupported");
    sheet.set("swap_total", swapTotal, "unsupported");
    sheet.set("swap_used", swapTotal === undefined || swapFree === undefined ? undefined : swapTotal - swapFree, "unsupported");
  }
}

/** Bytes; vmstat counts in pages, which have 4, 16 or 64 KiB. */
function ownPageSize(): number | undefined {
  try {
    return pageSize(readFileSync("/proc/self/auxv"));
  } catch {
    return undefined;
  }
}
