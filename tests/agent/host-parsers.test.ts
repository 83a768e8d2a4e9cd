// What is read out of recorded /proc files, and out of those a stranger host may show.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { MetricName } from "#contract/metrics";
import { LinuxHost } from "../../agent/host/linux.ts";
import { parseDiskstats, parseMountinfo, writableByFstab } from "../../agent/host/parse-disks.ts";
import * as net from "../../agent/host/parse-net.ts";
import * as proc from "../../agent/host/parse-proc.ts";
import { inTime } from "../../agent/host/patience.ts";
import { cpuShares } from "../../agent/host/rates.ts";
import { scratch } from "./helpers/cli.ts";
import { FakeHost } from "./helpers/fake-host.ts";

const recorded = (name: string) => readFileSync(fileURLToPath(new URL(`./fixtures/proc/${name}.txt`, import.meta.url)), "utf8");

describe("recorded /proc (Linux 6.18, two processors, one virtio disk)", () => {
  test("stat", () => {
    const stat = proc.parseStat(recorded("stat"));
    expect(stat?.cpu).toEqual({
      user: 37220,
      nice: 0,
      system: 16679,
      idle: 636122,
      iowait: 1274,
      irq: 0,
      softirq: 279,
      steal: 78,
    });
    expect([...(stat?.cores.keys() ?? [])]).toEqual(["cpu0", "cpu1"]);
    for (const figure of ["contextSwitches", "interrupts", "forks", "running"] as const)
      expect(stat?.[figure], figure).toBeGreaterThan(0);
  });
  test("loadavg, uptime, file handles", () => {
    expect(proc.parseLoadavg(recorded("loadavg"))).toMatchObject({ averages: [0.57, 0.6, 0.36] });
    expect(proc.parseUptime(recorded("uptime"))).toBe(3472.34);
    expect(proc.parseFileNr(recorded("file-nr"))?.open).toBe(870);
  });
  test("meminfo is in bytes", () => {
    const values = proc.parseMeminfo(recorded("meminfo"));
    expect(values.get("MemTotal")).toBe(24684084 * 1024);
    expect(values.get("MemAvailable")).toBe(23227524 * 1024);
  });
  test("disk counters: sectors of 512 bytes, milliseconds busy", () => {
    expect(parseDiskstats(recorded("diskstats")).find((disk) => disk.name === "vda")).toMatchObject({
      counters: { reads: 131357, readBytes: 11518762 * 512, writes: 38594, writtenBytes: 8729272 * 512 },
      times: { busyMs: 20904 },
    });
  });
  test("interface counters", () => {
    const eth0 = net.parseNetDev(recorded("net-dev")).find((each) => each.name === "eth0");
    expect(eth0).toMatchObject({
      rxBytes: 1590944511,
      rxPackets: 39130,
      txBytes: 2322961,
      txPackets: 22263,
      rxErrors: 0,
      txDrops: 0,
    });
  });
  test("default routes", () => {
    expect(net.parseRoute(recorded("net-route"))).toMatchObject({ name: "eth0", gateway: "192.0.2.1" });
    expect(net.parseRoute6(recorded("net-ipv6_route"))?.name).toBe("eth0");
    expect(net.parseRoute("Iface\tDestination\n")).toBeUndefined();
  });
  test("TCP counters, TIME-WAIT, backlog drops", () => {
    const tcp = net.parseSnmp(recorded("net-snmp"), "Tcp");
    expect(tcp.get("OutSegs")).toBeGreaterThan(tcp.get("RetransSegs") ?? Number.NaN);
    const sockets = net.parseSockstat(recorded("net-sockstat"));
    expect(sockets.timeWait).toBeGreaterThanOrEqual(0);
    expect(sockets.used).toBeGreaterThan(0);
    expect(net.parseSoftnetDropped("0000001a 00000003 00000000\n0000001a 0000000f 00000000\n")).toBe(18);
    expect(net.parseSoftnetDropped(recorded("net-softnet"))).toBe(0);
  });
  test("pressure", () => {
    expect(proc.parsePressure(recorded("pressure-cpu")).some).toBeGreaterThanOrEqual(0);
    const both =
      "some avg10=3.08 avg60=1.18 avg300=0.41 total=300249787\nfull avg10=2.60 avg60=1.01 avg300=0.37 total=197112470\n";
    expect(proc.parsePressure(both)).toEqual({ some: 3.08, full: 2.6 });
  });
  test("mounts: one local disk, no pseudo file systems", () => {
    expect(parseMountinfo(recorded("mountinfo"))).toEqual([
      { device: "/dev/vda", path: "/", type: "ext4", readOnly: false, failed: false },
    ]);
  });
});

describe("mounts", () => {
  test("of a busier host: bind mounts, images, network and escaped names", () => {
    const text = [
      "27 1 0:40 / / rw,relatime - overlay overlay rw,lowerdir=/a",
      "28 27 8:1 /containers/x/hosts /etc/hosts rw - ext4 /dev/sda1 rw",
      "29 27 8:1 /sub /var/bind rw master:1 - ext4 /dev/sda1 rw",
      "30 27 8:1 / /data rw,relatime shared:3 - ext4 /dev/sda1 rw",
      "31 27 8:17 / /mnt/my\\040disk rw - xfs /dev/sdb1 rw",
      "32 27 7:3 / /snap/x ro - squashfs /dev/loop3 ro",
      "33 27 7:4 / /img rw - ext4 /dev/loop4 rw",
      "34 27 11:0 / /media/cd ro - iso9660 /dev/sr0 ro",
      "35 27 0:41 / /var/lib/docker/overlay2/x rw - overlay overlay rw",
      "36 27 0:42 / /home rw - nfs4 server:/home rw",
      "37 27 0:43 / /run rw - tmpfs tmpfs rw",
      "38 27 nonsense",
    ].join("\n");
    const mounts = parseMountinfo(text);
    expect(mounts.map((mount) => mount.path)).toEqual(["/", "/data", "/mnt/my disk"]);
    expect(mounts.every((mount) => mount.readOnly === false)).toBe(true);
  });

  // As Linux 6.18 shows a file system of /sys/fs/ext4/*/trigger_fs_error, and one mounted with -o ro.
  test.each([
    ["the kernel stopped it", "rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro,emergency_ro", "", true, true],
    ["its superblock alone is read-only", "rw,relatime - ext4 /dev/sda1 ro,errors=remount-ro", "", true, true],
    ["somebody mounted it so", "ro,relatime - ext4 /dev/sda1 ro", "", false, true],
    ["fstab wants it so", "ro,relatime - ext4 /dev/sda1 ro", "/dev/sda1 PLACE ext4 defaults,ro 0 2\n", false, true],
    ["fstab wants it otherwise", "ro,relatime - ext4 /dev/sda1 ro", "# x\nUUID=1 PLACE ext4 defaults 0 2\n", true, true],
    ["it may be written to", "rw,relatime - ext4 /dev/sda1 rw", "UUID=1 PLACE ext4 defaults 0 2\n", false, false],
  ])("became read-only: %s", async (_, state, fstab, became, readOnly) => {
    const fake = new FakeHost();
    const place = scratch();
    fake.write("proc/self/mountinfo", `30 27 8:1 / ${place} ${state}\n31 27 7:3 / /snap/x rw - squashfs /dev/loop3 ro\n`);
    fake.write("etc/fstab", fstab.replace("PLACE", place));
    const { sheet, detail } = await new LinuxHost(fake.place).read();
    expect(sheet.metrics.fs_readonly).toBe(became);
    expect(detail.file_systems).toMatchObject([{ mount: place, type: "ext4", read_only: readOnly }]);
  });

  test("fstab: comments, escapes, and what is not mounted by itself", () => {
    const text = "# /dev/a /a ext4 defaults\n\n/dev/b /b\\040b ext4 defaults 0 1\n/dev/c /c ext4 noauto 0 0\n/dev/d none swap\n";
    expect([...writableByFstab(text)]).toEqual(["/b b"]);
  });
});

test("CPU shares: 30 busy of 100 ticks, idle and waiting are not busy", () => {
  const zero = { user: 0, nice: 0, system: 0, idle: 0, iowait: 0, irq: 0, softirq: 0, steal: 0 };
  const now = { user: 15, nice: 5, system: 6, idle: 60, iowait: 10, irq: 1, softirq: 1, steal: 2 };
  expect(cpuShares(zero, now)).toEqual({ busy: 30, user: 20, system: 8, interrupts: 2, iowait: 10, steal: 2 });
  expect(cpuShares(undefined, now)).toBeUndefined();
  expect(cpuShares(now, now)).toBeUndefined();
  expect(cpuShares({ ...now, user: 900 }, now)).toBeUndefined();
});

test("an IPv6 host: the gateway's address in short, a link-local one with its interface", () => {
  const route = (gateway: string, flags: string) =>
    `${"0".repeat(32)} 00 ${"0".repeat(32)} 00 ${gateway} 00000400 00000001 00000000 ${flags}     eth7\n`;
  expect(net.parseRoute6(route("fe800000000000000000000000000001", "00000003"))?.gateway).toBe("fe80::1%eth7");
  expect(net.parseRoute6(route("20010db8000000000000000000000001", "00000003"))?.gateway).toBe("2001:db8::1");
  expect(net.parseRoute6(route("20010db8000000000000000000000001", "00000203"))).toBeUndefined();
});

test("IPv4 default routes: the lowest metric, no refusing one, one without a gateway", () => {
  const row = (name: string, gateway: string, flags: string, metric: number) =>
    [name, "00000000", gateway, flags, 0, 0, metric, "00000000", 0, 0, 0].join("\t");
  const text = [row("wlan0", "0101A8C0", "0003", 600), row("eth0", "010200C0", "0003", 100), row("*", "00000000", "0201", 5)];
  expect(net.parseRoute(text.join("\n"))).toMatchObject({ name: "eth0", gateway: "192.0.2.1" });
  expect(net.parseRoute(row("eth0", "C0000201", "0003", 0), "BE")?.gateway).toBe("192.0.2.1");
  expect(net.parseRoute(row("ppp0", "00000000", "0001", 0))).toMatchObject({ name: "ppp0", gateway: undefined });
});

test("a disk or a driver that never answers: the sample goes on after a second", async () => {
  const start = performance.now();
  expect(await inTime(new Promise(() => undefined))).toBeUndefined();
  expect(performance.now() - start).toBeGreaterThan(900);
  expect(await inTime(Promise.resolve(7))).toBe(7);
  await expect(inTime(Promise.reject(new Error("broken")))).rejects.toThrow("broken");
});

describe("a host that tells less", () => {
  const reasonsOf = async (fake: FakeHost) => (await new LinuxHost(fake.place).read()).sheet;

  test("nothing in /proc and /sys: nothing is invented, and nothing throws", async () => {
    const { metrics, reasons } = await reasonsOf(new FakeHost());
    const own = (Object.keys(metrics) as MetricName[]).filter((name) =>
      /^(cpu_(?!temp)|psi|memory|swap|disk_(?!temp)|if_|tcp|host_|open)/.test(name),
    );
    expect(own.length).toBeGreaterThan(60);
    for (const name of own)
      expect([metrics[name], reasons[name]], name).toEqual([null, name.startsWith("if_") ? "no_route" : "unsupported"]);
  });

  test("garbage in every file is the same as none", async () => {
    const fake = new FakeHost();
    const files = ["stat", "loadavg", "meminfo", "vmstat", "diskstats", "uptime", "cpuinfo", "sys/fs/file-nr", "self/mountinfo"];
    const more = [
      "net/dev",
      "net/route",
      "net/ipv6_route",
      "net/snmp",
      "net/netstat",
      "net/snmp6",
      "net/sockstat",
      "net/softnet_stat",
    ];
    for (const file of [...files, ...more])
      fake.write(`proc/${file}`, "cpu  x y z\n\u0000 - :::: \ufffd\nTcp: a b\nTcp: ? ?\n".repeat(50));
    const { metrics } = await reasonsOf(fake);
    expect(Object.values(metrics).filter((value) => typeof value === "number")).toEqual([]);
  });

  test("processes of other users are hidden: no count instead of a wrong one", async () => {
    const fake = new FakeHost();
    for (const pid of [400, 401]) fake.write(`proc/${pid}/stat`, "");
    expect((await reasonsOf(fake)).reasons.process_count).toBe("no_permission");
    fake.write("proc/1/stat", "");
    expect((await reasonsOf(fake)).metrics.process_count).toBe(3);
  });

  test("no limit of open files: no share of it", async () => {
    const fake = new FakeHost();
    fake.write("proc/sys/fs/file-nr", "1010\t0\t9223372036854775807\n");
    const { metrics, reasons } = await reasonsOf(fake);
    expect([metrics.open_files, reasons.open_files_pct]).toEqual([1010, "not_applicable"]);
  });

  test("a processor that is only said to run at its frequency is not believed; a governed or measured one is", async () => {
    const fake = new FakeHost();
    fake.write("proc/cpuinfo", "processor\t: 0\ncpu MHz\t\t: 2596.132\nflags\t\t: fpu vme\n");
    expect((await reasonsOf(fake)).reasons.cpu_freq_current).toBe("unsupported");
    fake.write("proc/cpuinfo", "processor\t: 0\ncpu MHz\t\t: 2596.132\nflags\t\t: fpu aperfmperf vme\n");
    expect((await reasonsOf(fake)).metrics.cpu_freq_current).toBe(2596.132);
    fake.write("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "1000000\n");
    fake.write("sys/devices/system/cpu/cpufreq/policy0/affected_cpus", "0 1 2\n");
    fake.write("sys/devices/system/cpu/cpufreq/policy3/scaling_cur_freq", "2000000\n");
    fake.write("sys/devices/system/cpu/cpufreq/policy3/affected_cpus", "3\n");
    expect((await reasonsOf(fake)).metrics.cpu_freq_current).toBe(1250);
  });

  test("throttling of two threads of one core and of their package counts once each", async () => {
    const fake = new FakeHost();
    fake.stat({ cpu0: [1, 1, 1, 1, 1, 1, 1, 1], cpu1: [1, 1, 1, 1, 1, 1, 1, 1] });
    for (const name of ["cpu0", "cpu1"]) {
      const dir = `sys/devices/system/cpu/${name}`;
      fake.write(`${dir}/topology/physical_package_id`, "0\n");
      fake.write(`${dir}/topology/core_id`, "0\n");
      fake.write(`${dir}/thermal_throttle/core_throttle_count`, "3\n");
      fake.write(`${dir}/thermal_throttle/package_throttle_count`, "4\n");
    }
    expect((await reasonsOf(fake)).metrics.cpu_throttled).toBe(7);
  });

  test("kinds of interfaces, and no speed where the driver makes one up", async () => {
    const fake = new FakeHost();
    const counters = [0, 0, 0, 0, 0, 0, 0, 0];
    const names = ["eth0", "wlan0", "br0", "veth1", "wg0", "tun0", "ppp0", "bond0", "eth0.7", "ib0"];
    fake.interfaces(Object.fromEntries(names.map((name, i) => [name, { index: i + 2, counters }])));
    for (const name of names) if (name !== "eth0" && name !== "wlan0") fake.remove(`sys/class/net/${name}/device`);
    fake.write("sys/class/net/wlan0/phy80211/name", "phy0");
    fake.write("sys/class/net/br0/uevent", "DEVTYPE=bridge\nINTERFACE=br0\n");
    fake.write("sys/class/net/wg0/uevent", "DEVTYPE=wireguard\n");
    fake.write("sys/class/net/tun0/type", "65534\n");
    fake.write("sys/class/net/ppp0/type", "512\n");
    fake.write("sys/class/net/bond0/bonding/mode", "x");
    fake.write("sys/class/net/eth0.7/uevent", "DEVTYPE=vlan\n");
    fake.write("sys/class/net/ib0/type", "32\n");
    const { detail } = await new LinuxHost(fake.place).read();
    const told = Object.fromEntries((detail.interfaces ?? []).map(({ name, kind, speed_mbps }) => [name, [kind, speed_mbps]]));
    expect(told).toEqual({
      eth0: ["ethernet", 1000],
      wlan0: ["wifi", 1000],
      br0: ["bridge", 1000],
      veth1: ["virtual", null],
      wg0: ["tunnel", null],
      tun0: ["tunnel", null],
      ppp0: ["ppp", null],
      bond0: ["bond", 1000],
      "eth0.7": ["vlan", 1000],
      ib0: [null, 1000],
    });
  });

  test("a link that comes up at another speed is asked again, one that stays is not", async () => {
    const fake = new FakeHost();
    const counters = [0, 0, 0, 0, 0, 0, 0, 0];
    fake.interfaces({ eth0: { index: 2, counters } });
    fake.route("eth0");
    const host = new LinuxHost(fake.place);
    const speed = async () => (await host.read()).sheet.metrics.if_speed_mbps;
    expect(await speed()).toBe(1000);
    fake.write("sys/class/net/eth0/speed", "100\n");
    expect(await speed()).toBe(1000);
    fake.write("sys/class/net/eth0/carrier_changes", "3\n");
    expect(await speed()).toBe(100);
  });

  test("a clock that systemd-timesyncd has set", async () => {
    const fake = new FakeHost();
    fake.write("run/systemd/timesync/synchronized", "");
    expect((await reasonsOf(fake)).metrics.ntp_synced).toBe(true);
  });
});

test("nothing is read out of nothing", () => {
  expect(proc.parseStat("")).toBeUndefined();
  expect(proc.parseLoadavg("x")).toBeUndefined();
  expect(proc.parsePressure("")).toEqual({ some: undefined, full: undefined });
  expect(proc.parseUptime("")).toBeUndefined();
  expect(net.parseSoftnetDropped("")).toBeUndefined();
  expect(parseDiskstats("7 0 loop0\n")).toEqual([]);
  expect(net.parseNetDev("garbage: x y\n")).toEqual([]);
});
