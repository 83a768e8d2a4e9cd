// Disks: what they do, from the kernel's counters.
import type { Disk } from "#contract/host-detail";
import type { MetricSheet } from "../probes/probe.ts";
import { round3 } from "../statistics.ts";
import type { HostFiles } from "./linux-files.ts";
import { type DiskLook, type DiskTimes, parseDiskstats } from "./parse-disks.ts";
import { type Earlier, growth, growths, LookBefore } from "./rates.ts";
import { rounded } from "./reading.ts";

/** A disk's counters and what tells it from another one that later has its name. */
interface Seen extends DiskLook {
  readonly identity: string;
}

type Looks = ReadonlyMap<string, Seen>;

/** What a disk did between two looks. */
interface Work {
  readonly name: string;
  readonly seconds: number;
  readonly reads: number;
  readonly writes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly times: Readonly<Record<keyof DiskTimes, number | undefined>>;
}

/** Partitions, and devices on top of others, would count the same work twice. */
const NOT_PHYSICAL = /^(loop|ram|zram|dm-|md|nbd|sr|fd)\d|^nvme\d+c\d+n\d+/;
/** As many as a sample's detail holds. */
const MOST_DISKS = 64;
/** Busy time above this share of the interval is a counter's fault. */
const MOST_BUSY = 1.2;

export class Disks {
  readonly #files: HostFiles;
  readonly #before = new LookBefore<Looks>();

  constructor(files: HostFiles) {
    this.#files = files;
  }

  read(sheet: MetricSheet): Disk[] {
    const at = this.#files.now();
    const looks = parseDiskstats(this.#files.proc("diskstats")).filter((disk) => this.#physical(disk.name));
    const now = new Map(looks.map((disk) => [disk.name, { ...disk, identity: this.#identity(disk.name) }]));
    const before = this.#before.replace(now, at);
    const done = [...now.values()].flatMap((disk) => workOf(disk, before) ?? []);
    totals(sheet, done, now.size === 0 ? "unsupported" : "too_few_samples");
    return [...now.keys()].slice(0, MOST_DISKS).map((name) =>
      row(
        name,
        done.find((work) => work.name === name),
      ),
    );
  }

  /** A whole disk with a device behind it. */
  #physical(name: string): boolean {
    return !NOT_PHYSICAL.test(name) && this.#files.hasSys(`block/${name}/device`);
  }

  /** The kernel numbers disks as they come (since 5.15); before that a re-plugged disk shows by counters that ran backwards. */
  #identity(name: string): string {
    return this.#files.sys(`block/${name}/diskseq`);
  }
}

function workOf(now: Seen, before: Earlier<Looks> | undefined): Work | undefined {
  const old = before?.look.get(now.name);
  if (old === undefined || before === undefined || old.identity !== now.identity) return undefined;
  const grown = growths(old.counters, now.counters, ["reads", "readBytes", "writes", "writtenBytes"]);
  if (grown === undefined) return undefined;
  const time = (name: keyof DiskTimes) => growth(old.times[name], now.times[name]);
  const times = { readMs: time("readMs"), writeMs: time("writeMs"), busyMs: time("busyMs"), queuedMs: time("queuedMs") };
  return { name: now.name, seconds: before.seconds, ...grown, times };
}

function busyPct(work: Work): number | undefined {
  const share = work.times.busyMs === undefined ? undefined : work.times.busyMs / (work.seconds * 1000);
  return share === undefined || share > MOST_BUSY ? undefined : Math.min(100, 100 * share);
}

/** Mean time of a request; undefined where there was none. */
const mean = (ms: number | undefined, requests: number): number | undefined =>
  ms === undefined || requests === 0 ? undefined : ms / requests;

function row(name: string, work: Work | undefined): Disk {
  const perSecond = (count: number | undefined) =>
    work === undefined || count === undefined ? null : round3(count / work.seconds);
  return {
    name,
    read_iops: perSecond(work?.reads),
    write_iops: perSecond(work?.writes),
    read_bytes_sec: perSecond(work?.readBytes),
    write_bytes_sec: perSecond(work?.writtenBytes),
    read_await_ms: rounded(work && mean(work.times.readMs, work.reads)) ?? null,
    write_await_ms: rounded(work && mean(work.times.writeMs, work.writes)) ?? null,
    util_pct: rounded(work && busyPct(work)) ?? null,
    temperature_c: null,
  };
}

/** All disks together; the busiest one for the share of time. */
function totals(sheet: MetricSheet, done: readonly Work[], reason: "unsupported" | "too_few_samples"): void {
  const sum = (figure: (work: Work) => number | undefined): number | undefined => {
    const known = done.map(figure);
    return known.length === 0 || known.includes(undefined)
      ? undefined
      : known.reduce<number>((all, each) => all + (each ?? 0), 0);
  };
  const perSecond = (figure: (work: Work) => number) => rounded(sum((work) => figure(work) / work.seconds));
  sheet.set(
    "disk_read_iops",
    perSecond((work) => work.reads),
    reason,
  );
  sheet.set(
    "disk_write_iops",
    perSecond((work) => work.writes),
    reason,
  );
  sheet.set(
    "disk_read_bytes_sec",
    perSecond((work) => work.readBytes),
    reason,
  );
  sheet.set(
    "disk_write_bytes_sec",
    perSecond((work) => work.writtenBytes),
    reason,
  );
  const readMs = mean(
    sum((work) => work.times.readMs),
    sum((work) => work.reads) ?? 0,
  );
  const writeMs = mean(
    sum((work) => work.times.writeMs),
    sum((work) => work.writes) ?? 0,
  );
  sheet.set("disk_read_await_ms", rounded(readMs), reason);
  sheet.set("disk_write_await_ms", rounded(writeMs), reason);
  const queued = sum((work) => (work.times.queuedMs === undefined ? undefined : work.times.queuedMs / (work.seconds * 1000)));
  sheet.set("disk_queue", rounded(queued), reason);
  const busy = done.map(busyPct).filter((share) => share !== undefined);
  sheet.set("disk_io_util", busy.length === 0 ? undefined : round3(Math.max(...busy)), reason);
}
