// The Linux host, from /proc and /sys directly: about a millisecond a look and no child processes.
import type { Disk, Drive } from "#contract/host-detail";
import { MetricSheet } from "../probes/probe.ts";
import { round3 } from "../statistics.ts";
import { FileSystems } from "./file-systems.ts";
import { hardware } from "./hardware.ts";
import { Processors } from "./linux-cpu.ts";
import { Disks } from "./linux-disks.ts";
import { HostFiles, type HostPlace } from "./linux-files.ts";
import { Memory } from "./linux-memory.ts";
import { Interfaces } from "./linux-network.ts";
import { Sockets } from "./linux-sockets.ts";
import { parseMountinfo, writableByFstab } from "./parse-disks.ts";
import { parseFileNr, parseUptime } from "./parse-proc.ts";
import type { HostReader, HostReading } from "./reading.ts";

export class LinuxHost implements HostReader {
  readonly #files: HostFiles;
  readonly #processors: Processors;
  readonly #memory: Memory;
  readonly #disks: Disks;
  readonly #interfaces: Interfaces;
  readonly #sockets: Sockets;
  readonly #fileSystems = new FileSystems();

  /** `place` says where /proc and the others are, if elsewhere. */
  constructor(place: Partial<HostPlace> = {}) {
    this.#files = new HostFiles(place);
    this.#processors = new Processors(this.#files);
    this.#memory = new Memory(this.#files);
    this.#disks = new Disks(this.#files);
    this.#interfaces = new Interfaces(this.#files);
    this.#sockets = new Sockets(this.#files);
  }

  async read(): Promise<HostReading> {
    const sheet = new MetricSheet();
    // Counters first and at once, so that their rates have the same interval.
    const cores = this.#processors.read(sheet);
    const disks = this.#disks.read(sheet);
    this.#memory.read(sheet);
    this.#sockets.read(sheet);
    this.#system(sheet);
    const mounts = parseMountinfo(this.#files.proc("self/mountinfo"));
    const [network, file_systems, apparatus] = await Promise.all([
      this.#interfaces.read(sheet),
      this.#fileSystems.read(sheet, mounts, writableByFstab(this.#files.etc("fstab"))),
      hardware(sheet),
      this.#processors.frequency(sheet),
    ]);
    this.#clock(sheet);
    return {
      sheet,
      detail: { ...cores, file_systems, ...network, ...apparatus, disks: withTemperatures(disks, apparatus.drives) },
    };
  }

  #system(sheet: MetricSheet): void {
    sheet.set("uptime_s", parseUptime(this.#files.proc("uptime")), "unsupported");
    const handles = parseFileNr(this.#files.proc("sys/fs/file-nr"));
    sheet.set("open_files", handles?.open, "unsupported");
    // Systemd lifts the limit to the largest number there is: then there is no share of it.
    const limited = handles !== undefined && handles.most > 0 && Number.isSafeInteger(handles.most);
    const share = limited ? round3((100 * handles.open) / handles.most) : undefined;
    sheet.set("open_files_pct", share, handles === undefined ? "unsupported" : "not_applicable");
    const names = this.#files.procNames("").filter((name) => /^\d+$/.test(name));
    // Where hidepid keeps other users' processes from view (proc(5)), the first one is not there.
    sheet.set("process_count", names.includes("1") ? names.length : undefined, "no_permission");
  }

  /** systemd-timesyncd marks a clock it has set; other daemons have to be asked, which the hardware's slow round does. */
  #clock(sheet: MetricSheet): void {
    if (sheet.metrics.ntp_synced !== undefined && sheet.metrics.ntp_synced !== null) return;
    if (this.#files.hasRun("systemd/timesync/synchronized")) sheet.set("ntp_synced", true, "unsupported");
  }
}

function withTemperatures(disks: readonly Disk[], drives: readonly Drive[] | undefined): Disk[] {
  const of = (name: string) => drives?.find((drive) => drive.name === name || drive.name === `/dev/${name}`)?.temperature_c;
  return disks.map((disk) => ({ ...disk, temperature_c: of(disk.name) ?? disk.temperature_c }));
}
