// Counters that reset, wrap, vanish and come back, on a /proc of the test's own: a rate is right or it is null with its reason.
import { describe, expect, test, vi } from "vitest";
import type { MetricName } from "#contract/metrics";
import { LinuxHost } from "../../agent/host/linux.ts";
import { growth, growths, LookBefore, rate } from "../../agent/host/rates.ts";
import { FakeHost } from "./helpers/fake-host.ts";

const RATES = [
  "if_rx_bytes_sec",
  "if_tx_bytes_sec",
  "if_rx_packets_sec",
  "if_rx_errors_sec",
  "if_tx_drops_sec",
  "if_util_pct",
] as const;

const look = async (host: LinuxHost) => {
  const { sheet, detail } = await host.read();
  const of = (name: MetricName) => sheet.metrics[name] ?? sheet.reasons[name];
  return { of, metrics: sheet.metrics, reasons: sheet.reasons, detail };
};

describe("a rate", () => {
  test("is growth a second; nothing from a first look, no time, a counter that ran backwards or one below zero", () => {
    expect(rate(100, 150, 10)).toBe(5);
    expect(rate(undefined, 150, 10)).toBeUndefined();
    expect(rate(100, 150, 0)).toBeUndefined();
    expect(rate(100, 150, 0.09)).toBeUndefined();
    expect(rate(150, 100, 10)).toBeUndefined();
    expect(growth(2 ** 32 - 10, 90)).toBeUndefined();
    expect(growth(2 ** 53 - 100, 2 ** 53 + 100)).toBeUndefined();
    expect(growth(5, 2 ** 64 - 1)).toBeUndefined();
  });
  test("counters that begin together are reset together, also where one has passed its old value since", () => {
    expect(growths({ bytes: 10, packets: 9 }, { bytes: 400, packets: 3 }, ["bytes", "packets"])).toBeUndefined();
    expect(growths({ bytes: 10, packets: 1 }, { bytes: 400, packets: 3 }, ["bytes", "packets"])).toEqual({
      bytes: 390,
      packets: 2,
    });
  });
  test("a look that comes too soon neither tells nor takes the one before from the next", () => {
    const before = new LookBefore<string>();
    expect(before.replace("a", 0)).toBeUndefined();
    expect(before.replace("b", 50)).toBeUndefined();
    expect(before.replace("c", 1000)).toEqual({ look: "a", seconds: 1 });
    expect(before.replace("d", 1100)).toEqual({ look: "c", seconds: 0.1 });
  });
});

describe("interfaces", () => {
  const eth = (index: number, ...counters: number[]) => ({ index, counters });
  const start = async () => {
    const fake = new FakeHost();
    fake.route("eth0");
    fake.interfaces({ eth0: eth(2, 1000, 10, 0, 0, 500, 5, 0, 0) });
    const host = new LinuxHost(fake.place);
    const first = await look(host);
    fake.pass(10);
    return { fake, host, first };
  };

  test("rates of the interface that leads out, after a first look without", async () => {
    const { fake, host, first } = await start();
    for (const name of RATES) expect(first.of(name), name).toBe("too_few_samples");
    fake.interfaces({ eth0: eth(2, 126_001_000, 100_010, 20, 0, 500, 5, 0, 10) });
    const { metrics, detail } = await look(host);
    expect(metrics).toMatchObject({
      if_rx_bytes: 126_001_000,
      if_rx_bytes_sec: 12_600_000,
      if_rx_packets_sec: 10_000,
      if_rx_errors_sec: 2,
      if_tx_bytes_sec: 0,
      if_tx_drops_sec: 1,
      if_util_pct: 10.08,
      if_speed_mbps: 1000,
      if_duplex: "full",
      if_kind: "ethernet",
    });
    expect(detail).toMatchObject({ primary_interface: "eth0", default_gateway: "192.0.2.1" });
  });

  test.each([
    ["made again under its name with more on its counters", eth(7, 90_000, 90, 0, 0, 90_000, 90, 0, 0)],
    ["reset by its driver", eth(2, 0, 0, 0, 0, 0, 0, 0, 0)],
    ["reset and past its old bytes since", eth(2, 5000, 4, 0, 0, 600, 6, 0, 0)],
    ["wrapped at 64 bits", eth(2, 20, 11, 0, 0, 600, 6, 0, 0)],
  ])("%s: no rate, and the next look has one again", async (_, changed) => {
    const { fake, host } = await start();
    fake.interfaces({ eth0: changed });
    const { of, metrics } = await look(host);
    for (const name of RATES) expect(of(name), name).toBe("too_few_samples");
    expect(metrics.if_rx_bytes).toBe(changed.counters[0]);
    fake.pass(10);
    fake.interfaces({ eth0: { ...changed, counters: changed.counters.map((count) => count + 100) } });
    expect((await look(host)).metrics).toMatchObject({ if_rx_bytes_sec: 10, if_tx_packets_sec: 10 });
  });

  test("gone and back: no default route meanwhile, no rate on return", async () => {
    const { fake, host } = await start();
    fake.interfaces({});
    fake.write("proc/net/route", "Iface\tDestination\n");
    const without = await look(host);
    expect(without.of("if_rx_bytes")).toBe("no_route");
    expect(without.of("if_rx_bytes_sec")).toBe("no_route");
    expect(without.detail).toMatchObject({ primary_interface: null, interfaces: [] });
    fake.pass(10);
    fake.route("eth0");
    fake.interfaces({ eth0: eth(2, 9000, 90, 0, 0, 900, 9, 0, 0) });
    expect((await look(host)).of("if_rx_bytes_sec")).toBe("too_few_samples");
  });

  test("the default route moves: the rate is of the new interface alone", async () => {
    const { fake, host } = await start();
    fake.interfaces({ eth0: eth(2, 2000, 20, 0, 0, 600, 6, 0, 0), wwan0: eth(3, 50_000_000, 9, 0, 0, 1, 1, 0, 0) });
    await look(host);
    fake.pass(10);
    fake.route("wwan0");
    fake.interfaces({ eth0: eth(2, 9000, 90, 0, 0, 900, 9, 0, 0), wwan0: eth(3, 50_000_700, 9, 0, 0, 1, 1, 0, 0) });
    const { metrics, detail } = await look(host);
    expect(metrics).toMatchObject({ if_rx_bytes: 50_000_700, if_rx_bytes_sec: 70 });
    expect(detail.primary_interface).toBe("wwan0");
  });

  test("a counter below zero is no figure", async () => {
    const { fake, host } = await start();
    fake.write("proc/net/dev", "x\ny\n  eth0: 2000 20 0 18446744073709551615 0 0 0 0 600 6 0 0 0 0 0 0\n");
    const { of } = await look(host);
    expect(of("if_rx_drops")).toBe("unsupported");
    expect(of("if_rx_drops_sec")).toBe("too_few_samples");
  });

  test("a hundred interfaces: the primary and the real ones stay in the sample", async () => {
    const fake = new FakeHost();
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`veth${i}`, eth(i + 10, 1e9, 1, 0, 0, 1, 1, 0, 0)]));
    fake.interfaces({ ...many, eth0: eth(2, 10, 1, 0, 0, 1, 1, 0, 0), eth1: eth(3, 0, 0, 0, 0, 0, 0, 0, 0) });
    for (const name of Object.keys(many)) fake.remove(`sys/class/net/${name}/device`);
    fake.route("eth0");
    const { detail } = await look(new LinuxHost(fake.place));
    expect(detail.interfaces).toHaveLength(32);
    expect(detail.interfaces?.slice(0, 3)).toMatchObject([
      { name: "eth0", kind: "ethernet" },
      { name: "eth1", kind: "ethernet" },
      { kind: "virtual", speed_mbps: null },
    ]);
  });
});

describe("processors", () => {
  const shares = [
    "cpu_percent",
    "cpu_user_pct",
    "cpu_system_pct",
    "cpu_iowait_pct",
    "cpu_steal_pct",
    "cpu_core_max_pct",
  ] as const;
  const start = async (cores: Readonly<Record<string, readonly number[]>>) => {
    const fake = new FakeHost();
    fake.stat(cores);
    const host = new LinuxHost(fake.place);
    const first = await look(host);
    for (const name of shares) expect(first.of(name), name).toBe("too_few_samples");
    fake.pass(10);
    return { fake, host };
  };
  // Ten seconds are a thousand ticks a core.
  const zero = [1000, 0, 1000, 50_000, 100, 0, 0, 0];

  test("shares of all and of each, and events a second", async () => {
    const { fake, host } = await start({ cpu0: zero, cpu1: zero });
    fake.stat(
      { cpu0: [1500, 0, 1200, 50_200, 150, 20, 30, 0], cpu1: [1000, 0, 1000, 51_000, 100, 0, 0, 0] },
      "intr 1100 1 2\nctxt 20200\nprocesses 350\n",
    );
    const { metrics, detail } = await look(host);
    expect(metrics).toMatchObject({
      cpu_percent: 37.5,
      cpu_user_pct: 25,
      cpu_system_pct: 12.5,
      cpu_softirq_pct: 2.5,
      cpu_iowait_pct: 2.5,
      cpu_steal_pct: 0,
      cpu_core_max_pct: 75,
      cpu_cores: 2,
      cpu_interrupts: 100,
      cpu_context_switches: 2000,
      cpu_forks: 5,
      cpu_procs_running: 2,
    });
    expect(detail.cores).toEqual([
      { name: "cpu0", busy_pct: 75 },
      { name: "cpu1", busy_pct: 0 },
    ]);
  });

  test("one switched off, then on: the others tell, and its jump is in no figure", async () => {
    const { fake, host } = await start({ cpu0: zero, cpu1: zero });
    const half = [1500, 0, 1000, 50_500, 100, 0, 0, 0];
    fake.stat({ cpu0: half });
    const off = await look(host);
    expect(off.metrics).toMatchObject({ cpu_percent: 50, cpu_core_max_pct: 50, cpu_cores: 1 });
    fake.pass(10);
    fake.stat({ cpu0: [1500, 0, 1000, 51_500, 100, 0, 0, 0], cpu1: [90_000, 0, 1000, 3, 100, 0, 0, 0] });
    const on = await look(host);
    expect(on.metrics).toMatchObject({ cpu_percent: 0, cpu_core_max_pct: 0, cpu_cores: 2 });
    expect(on.detail.cores).toEqual([
      { name: "cpu0", busy_pct: 0 },
      { name: "cpu1", busy_pct: null },
    ]);
  });

  test("switched off and on between two looks: its times jump, forwards or backwards, and it is left out", async () => {
    for (const jumped of [
      [1000, 0, 1000, 9000, 100, 0, 0, 0],
      [1000, 0, 1000, 900_000, 100, 0, 0, 0],
    ]) {
      const { fake, host } = await start({ cpu0: zero, cpu1: zero });
      fake.stat({ cpu0: [1250, 0, 1000, 50_750, 100, 0, 0, 0], cpu1: jumped });
      const { metrics, detail } = await look(host);
      expect(metrics).toMatchObject({ cpu_percent: 25, cpu_core_max_pct: 25 });
      expect(detail.cores?.[1]).toEqual({ name: "cpu1", busy_pct: null });
    }
  });

  test("a field that shrinks by a tick is a correction, a clock that stands still is no time", async () => {
    const { fake, host } = await start({ cpu0: zero });
    fake.stat({ cpu0: [1000, 0, 999, 51_000, 90, 0, 0, 0] });
    expect((await look(host)).metrics.cpu_percent).toBe(0);
    fake.stat({ cpu0: [1010, 0, 999, 51_000, 90, 0, 0, 0] });
    const again = await look(host);
    for (const name of [...shares, "cpu_forks", "cpu_interrupts"] as const) expect(again.of(name), name).toBe("too_few_samples");
  });
});

describe("disks", () => {
  const RATE_NAMES = ["disk_read_iops", "disk_write_iops", "disk_read_bytes_sec", "disk_write_bytes_sec"] as const;
  // reads, merged, sectors, ms, writes, merged, sectors, ms, in flight, busy ms, queued ms
  const before = [100, 0, 1000, 200, 50, 0, 500, 100, 0, 300, 400];
  const start = async (figures: readonly number[] = before) => {
    const fake = new FakeHost();
    fake.disks({ sda: { sequence: 1, figures } });
    const host = new LinuxHost(fake.place);
    await look(host);
    fake.pass(10);
    return { fake, host };
  };

  test("rates, waiting times, queue and busy time; a partition, a loop device and a hidden path count nothing", async () => {
    const { fake, host } = await start();
    const row = (name: string) => `   8 1 ${name} 900000 0 900000 9 900000 0 900000 9 0 9000 9000`;
    const figures = [300, 0, 21_000, 700, 150, 0, 2500, 1100, 1, 2800, 5400];
    fake.disks({ sda: { sequence: 1, figures } });
    fake.write(
      "proc/diskstats",
      `   8 0 sda ${figures.join(" ")} 0 0 0 0 0 0\n${["sda1", "loop0", "nvme0c0n1", "dm-0"].map(row).join("\n")}\n`,
    );
    fake.write("sys/block/nvme0c0n1/device/model", "x");
    const { metrics, detail } = await look(host);
    expect(metrics).toMatchObject({
      disk_read_iops: 20,
      disk_write_iops: 10,
      disk_read_bytes_sec: 1_024_000,
      disk_write_bytes_sec: 102_400,
      disk_read_await_ms: 2.5,
      disk_write_await_ms: 10,
      disk_queue: 0.5,
      disk_io_util: 25,
    });
    expect(detail.disks).toMatchObject([{ name: "sda", read_iops: 20, util_pct: 25, temperature_c: null }]);
  });

  test.each([
    ["another disk under the same name", 2, [9000, 0, 9000, 900, 900, 0, 900, 900, 0, 900, 900]],
    ["counters that began anew", 1, [150, 0, 1500, 210, 3, 0, 600, 110, 0, 310, 410]],
  ])("%s: no rate, then rates again", async (_, sequence, figures) => {
    const { fake, host } = await start();
    fake.disks({ sda: { sequence, figures } });
    const changed = await look(host);
    for (const name of [...RATE_NAMES, "disk_io_util", "disk_queue"] as const)
      expect(changed.of(name), name).toBe("too_few_samples");
    fake.pass(10);
    fake.disks({ sda: { sequence, figures: figures.map((figure) => figure + 10) } });
    expect((await look(host)).metrics.disk_read_iops).toBe(1);
  });

  test("times wrap at 32 bits after 50 busy days: they are null once, the rest holds", async () => {
    const { fake, host } = await start([100, 0, 1000, 200, 50, 0, 500, 100, 0, 2 ** 32 - 100, 400]);
    fake.disks({ sda: { sequence: 1, figures: [200, 0, 1000, 400, 50, 0, 500, 100, 0, 5000, 600] } });
    const { of } = await look(host);
    expect(of("disk_io_util")).toBe("too_few_samples");
    expect(of("disk_read_iops")).toBe(10);
    expect(of("disk_read_await_ms")).toBe(2);
    expect(of("disk_write_await_ms")).toBe("too_few_samples");
  });

  test("busier than time allows is a counter's fault, gone is gone, and none is unsupported", async () => {
    const { fake, host } = await start();
    fake.disks({ sda: { sequence: 1, figures: [200, 0, 1000, 400, 50, 0, 500, 100, 0, 90_000, 600] } });
    expect((await look(host)).of("disk_io_util")).toBe("too_few_samples");
    fake.pass(10);
    fake.disks({});
    const gone = await look(host);
    for (const name of RATE_NAMES) expect(gone.of(name), name).toBe("unsupported");
    expect(gone.detail.disks).toEqual([]);
  });
});

test("TCP and paging: rates from counters, null after a reset", async () => {
  const fake = new FakeHost();
  const tcp = (...figures: number[]) =>
    fake.write(
      "proc/net/snmp",
      `Tcp: ActiveOpens PassiveOpens AttemptFails OutSegs RetransSegs CurrEstab\nTcp: ${figures.join(" ")}\n`,
    );
  const vmstat = (...figures: number[]) =>
    fake.write(
      "proc/vmstat",
      ["pgmajfault", "pswpin", "pswpout", "oom_kill"].map((name, i) => `${name} ${figures[i]}\n`).join(""),
    );
  tcp(100, 50, 5, 1000, 10, 3);
  vmstat(100, 0, 0, 1);
  const host = new LinuxHost(fake.place);
  await look(host);
  fake.pass(10);
  tcp(120, 60, 6, 2000, 30, 4);
  vmstat(150, 10, 20, 2);
  const { metrics } = await look(host);
  const page = Number(metrics.swap_in_bytes_sec);
  expect([4096, 16_384, 65_536]).toContain(page);
  expect(metrics).toMatchObject({
    tcp_opens_sec: 2,
    tcp_accepts_sec: 1,
    tcp_failed_sec: 0.1,
    host_tcp_retrans_pct: 2,
    tcp_established: 4,
    memory_major_faults: 5,
    swap_out_bytes_sec: 2 * page,
    oom_kills: 2,
  });
  fake.pass(10);
  tcp(1, 1, 0, 10, 0, 1);
  vmstat(3, 0, 0, 0);
  const after = await look(host);
  for (const name of ["tcp_opens_sec", "host_tcp_retrans_pct", "memory_major_faults", "swap_in_bytes_sec"] as const)
    expect(after.of(name), name).toBe("too_few_samples");
});

test("this host: two looks at once and a clock set by a day between two give nothing negative or absurd", async () => {
  const host = new LinuxHost();
  await look(host);
  const atOnce = await look(host);
  for (const name of ["cpu_percent", "cpu_forks", "memory_major_faults"] as const)
    expect(atOnce.of(name), name).toBe("too_few_samples");
  await new Promise((resolve) => setTimeout(resolve, 150));
  vi.useFakeTimers({ toFake: ["Date"] });
  try {
    for (const step of [1, -1]) {
      vi.setSystemTime(Date.now() + step * 86_400_000);
      const { metrics, reasons } = await look(host);
      for (const [name, value] of Object.entries(metrics)) {
        if (typeof value === "number" && !/dbm|temperature/.test(name)) expect(value, name).toBeGreaterThanOrEqual(0);
        if (typeof value === "number" && name.endsWith("_pct")) expect(value, name).toBeLessThanOrEqual(100);
        expect(value !== null || reasons[name as MetricName] !== undefined, name).toBe(true);
      }
      expect(metrics.cpu_percent).toBeTypeOf("number");
      vi.useRealTimers();
      await new Promise((resolve) => setTimeout(resolve, 150));
      vi.useFakeTimers({ toFake: ["Date"] });
    }
  } finally {
    vi.useRealTimers();
  }
});
