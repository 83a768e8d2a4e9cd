// A /proc and /sys of the test's own, and a clock that runs when told to.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { scratch } from "./cli.ts";

export class FakeHost {
  readonly #top = scratch();
  #ms = 1000;

  /** For the reader's constructor. */
  readonly place = {
    proc: join(this.#top, "proc"),
    sys: join(this.#top, "sys"),
    etc: join(this.#top, "etc"),
    run: join(this.#top, "run"),
    now: () => this.#ms,
  };

  /** Writes `proc/…`, `sys/…`, `etc/…` or `run/…`. */
  write(path: string, text: string): void {
    const file = join(this.#top, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  remove(path: string): void {
    rmSync(join(this.#top, path), { recursive: true, force: true });
  }

  pass(seconds: number): void {
    this.#ms += seconds * 1000;
  }

  /** /proc/stat with one line of ticks by core: user, nice, system, idle, iowait, irq, softirq, steal. */
  stat(cores: Readonly<Record<string, readonly number[]>>, more = "intr 100 1 2\nctxt 200\nprocesses 300\n"): void {
    const sums = Object.values(cores).reduce<number[]>((all, ticks) => ticks.map((tick, i) => tick + (all[i] ?? 0)), []);
    const lines = Object.entries(cores).map(([name, ticks]) => `${name} ${ticks.join(" ")} 0 0`);
    this.write("proc/stat", `cpu  ${sums.join(" ")} 0 0\n${lines.join("\n")}\n${more}procs_running 2\nprocs_blocked 0\n`);
  }

  /** /proc/net/dev: received bytes, packets, errors, drops, then sent, by interface; and each one's index in /sys. */
  interfaces(rows: Readonly<Record<string, { index: number; counters: readonly number[] }>>): void {
    const lines = Object.entries(rows).map(([name, { counters }]) => {
      const [rx, tx] = [counters.slice(0, 4), counters.slice(4, 8)].map((four) => four.join(" "));
      return `  ${name}: ${rx} 0 0 0 0 ${tx} 0 0 0 0`;
    });
    this.write("proc/net/dev", `Inter-|   Receive\n face |bytes\n${lines.join("\n")}\n`);
    this.remove("sys/class/net");
    for (const [name, { index }] of Object.entries(rows)) {
      this.write(`sys/class/net/${name}/ifindex`, `${index}\n`);
      this.write(`sys/class/net/${name}/type`, "1\n");
      this.write(`sys/class/net/${name}/operstate`, "up\n");
      this.write(`sys/class/net/${name}/mtu`, "1500\n");
      this.write(`sys/class/net/${name}/carrier_changes`, "1\n");
      this.write(`sys/class/net/${name}/speed`, "1000\n");
      this.write(`sys/class/net/${name}/duplex`, "full\n");
      this.write(`sys/class/net/${name}/device/vendor`, "0x8086\n");
    }
  }

  /** The IPv4 default route through an interface. */
  route(name: string): void {
    const fields = [name, "00000000", "010200C0", "0003", "0", "0", "0", "00000000", "0", "0", "0"];
    this.write("proc/net/route", `Iface\tDestination\n${fields.join("\t")}\n`);
  }

  /** /proc/diskstats: the eleven classic figures by disk, and each one's sequence number in /sys. */
  disks(rows: Readonly<Record<string, { sequence: number; figures: readonly number[] }>>): void {
    const lines = Object.entries(rows).map(([name, { figures }]) => `   8       0 ${name} ${figures.join(" ")}`);
    this.write("proc/diskstats", `${lines.join("\n")}\n`);
    this.remove("sys/block");
    for (const [name, { sequence }] of Object.entries(rows)) {
      this.write(`sys/block/${name}/diskseq`, `${sequence}\n`);
      this.write(`sys/block/${name}/device/model`, "disk\n");
    }
  }
}
