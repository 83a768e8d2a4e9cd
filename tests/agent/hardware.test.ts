// The hardware part of a host sample, on real trees of files as laptops, servers, boards and virtual machines have them.
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { hostDetailSchema } from "#contract/host-detail";
import { metricsOf } from "#contract/metrics";
import { Hardware } from "../../agent/host/hardware.ts";
import { BusReader, rootsAt } from "../../agent/host/hardware-files.ts";
import { MetricSheet } from "../../agent/probes/probe.ts";
import { fakeTools, run, scratch } from "./helpers/cli.ts";
import { plant } from "./helpers/tree.ts";

const fixture = (path: string) => readFileSync(new URL(`./fixtures/${path}`, import.meta.url), "utf8");
const useTools = (scripts: Record<string, string>) => vi.stubEnv("STREAMSWARM_TOOL_PATH", fakeTools(scripts));
const print = (path: string) => `/bin/cat <<'END'\n${fixture(path)}END`;

afterEach(() => vi.unstubAllEnvs());

async function sampleOf(top: string) {
  const host = new Hardware(rootsAt(top));
  const sheet = new MetricSheet();
  const detail = await host.read(sheet);
  expect(hostDetailSchema.safeParse(detail).error).toBeUndefined();
  return { host, sheet, detail };
}

describe("a laptop", () => {
  const iw = `case "$3" in link) ${print("iw/link-ht.txt")}\n;; station) ${print("iw/station.txt").replaceAll("d8:eb:97:ba:4d:b4", "68:7f:74:3b:b0:01")}\n;; esac`;

  test("temperatures, each sensor once, the processor's hottest first", async () => {
    useTools({});
    const { sheet, detail } = await sampleOf(plant("laptop").top);
    expect(sheet.metrics.cpu_temperature).toBe(54);
    expect(detail.temperatures?.[0]).toEqual({ chip: "coretemp", label: "Core 1", value: 54 });
    expect(detail.temperatures?.map(({ chip, label }) => `${chip} ${label}`).sort()).toEqual([
      "acpitz temp1",
      "coretemp Core 0",
      "coretemp Core 1",
      "coretemp Package id 0",
      "nvme Composite",
      "thinkpad CPU",
    ]);
    expect(sheet.metrics.disk_temperature).toBe(41.85);
  });

  test("battery and mains of the host, not of its mouse; discharge is no power drawn", async () => {
    useTools({});
    const { sheet, detail } = await sampleOf(plant("laptop").top);
    expect(sheet.metrics).toMatchObject({ battery_pct: 73, on_ac: false, power_watts: null });
    expect(sheet.reasons.power_watts).toBe("too_few_samples");
    expect(detail.power).toEqual([]);
  });

  test("a fan that never turned may be an empty connector; one that stopped is a figure", async () => {
    useTools({});
    const tree = plant("laptop");
    const { host, sheet, detail } = await sampleOf(tree.top);
    expect(sheet.metrics.fan_rpm_min).toBe(2731);
    expect(detail.fans?.map((fan) => fan.value)).toEqual([2731, 0]);
    tree.put("/sys/class/hwmon/hwmon4/fan1_input", "0\n");
    const later = new MetricSheet();
    await host.read(later);
    expect(later.metrics.fan_rpm_min).toBe(0);
  });

  test("Wi-Fi by iw", async () => {
    useTools({ iw });
    const { sheet, detail } = await sampleOf(plant("laptop").top);
    expect(sheet.metrics).toMatchObject({
      wifi_ssid: "tesla-5g-bcm",
      wifi_rssi_dbm: -42,
      wifi_freq_mhz: 5745,
      wifi_tx_mbps: 150,
      wifi_rx_mbps: 1,
      wifi_tx_retries_pct: null,
    });
    expect(sheet.reasons.wifi_tx_retries_pct).toBe("too_few_samples");
    expect(detail.wifi?.[0]).toMatchObject({ interface: "wlan0", bssid: "68:7f:74:3b:b0:01" });
  });

  test("Wi-Fi without iw: the signal from the kernel, the rest says what is missing", async () => {
    useTools({});
    const { sheet } = await sampleOf(plant("laptop").top);
    expect(sheet.metrics).toMatchObject({ wifi_rssi_dbm: -54, wifi_ssid: null });
    expect(sheet.reasons.wifi_ssid).toBe("tool_missing");
  });

  test("Wi-Fi that belongs to no network", async () => {
    useTools({ iw: print("iw/link-none.txt") });
    const { sheet } = await sampleOf(plant("laptop").top);
    expect(sheet.reasons).toMatchObject({ wifi_ssid: "not_applicable", wifi_rssi_dbm: "not_applicable" });
  });

  test("no restart is asked for where the system would say so; no containers are running", async () => {
    useTools({});
    const { sheet } = await sampleOf(plant("laptop").top);
    expect(sheet.metrics).toMatchObject({ reboot_required: false, containers_running: 0 });
  });
});

describe("a server", () => {
  const smartctl = `for drive; do :; done
case "$drive" in */sda) ${print("smartctl/ata-reallocated.json")}\n;; *) ${print("smartctl/nvme.json")}\n;; esac`;

  test("memory errors of all controllers, the whole machine's power, a restart asked for", async () => {
    useTools({});
    const { sheet, detail } = await sampleOf(plant("server").top);
    expect(sheet.metrics).toMatchObject({ edac_ce: 7, edac_ue: 1, power_watts: 187, reboot_required: true });
    expect(detail.power?.map((each) => each.chip)).toEqual(["power_meter", "amdgpu"]);
    // Tctl is a figure for fan control.
    expect(sheet.metrics.cpu_temperature).toBe(68.25);
    // One fan says itself that it is broken, one never turned.
    expect(sheet.metrics.fan_rpm_min).toBe(1180);
  });

  test("drives: the worst of all, each controller once, neither virtual nor empty ones", async () => {
    useTools({ smartctl });
    const { sheet, detail } = await sampleOf(plant("server").top);
    expect(sheet.metrics).toMatchObject({
      smart_passed: true,
      smart_reallocated: 304,
      smart_pending: 0,
      nvme_percent_used: 0,
      drive_power_on_hours: 44668,
      disk_temperature: 44.85,
    });
    expect(detail.drives?.map((drive) => [drive.name, drive.model, drive.temperature_c])).toEqual([
      ["sda", "ST3500418AS", 33],
      ["nvme0n1", "INTEL SSDPEKNW010T8", 44.85],
    ]);
  });

  test("containers of every engine, without their keepers and without virtual machines", async () => {
    useTools({});
    const { sheet, detail } = await sampleOf(plant("server").top);
    expect(sheet.metrics.containers_running).toBe(4);
    expect(detail.containers?.map(({ id, name, memory_bytes }) => [id, name, memory_bytes])).toEqual([
      ["4f9c3b7d4f9c", null, 104857600],
      ["0a1b2c3d0a1b", null, 52428800],
      ["mail", "mail", null],
      ["77aa77aa77aa", null, null],
    ]);
  });
});

test("a Raspberry Pi: the zone and the chip made from it are one sensor; containers in the first version's groups", async () => {
  useTools({});
  const { sheet, detail } = await sampleOf(plant("raspberry-pi").top);
  expect(sheet.metrics).toMatchObject({ cpu_temperature: 47.236, containers_running: 1 });
  expect(detail.temperatures).toHaveLength(1);
  expect(detail.containers?.[0]?.memory_bytes).toBe(4194304);
  expect(sheet.reasons).toMatchObject({
    smart_passed: "not_applicable",
    battery_pct: "not_applicable",
    fan_rpm_min: "unsupported",
  });
});

test("a virtual machine with nothing: every figure is null with a reason that is true", async () => {
  useTools({});
  const { sheet } = await sampleOf(plant("vm").top);
  expect(sheet.reasons).toEqual({
    cpu_temperature: "not_applicable",
    disk_temperature: "not_applicable",
    fan_rpm_min: "not_applicable",
    power_watts: "unsupported",
    battery_pct: "not_applicable",
    on_ac: "not_applicable",
    smart_passed: "not_applicable",
    smart_reallocated: "not_applicable",
    smart_pending: "not_applicable",
    nvme_percent_used: "not_applicable",
    drive_power_on_hours: "not_applicable",
    edac_ce: "unsupported",
    edac_ue: "unsupported",
    wifi_ssid: "not_applicable",
    wifi_rssi_dbm: "not_applicable",
    wifi_freq_mhz: "not_applicable",
    wifi_tx_mbps: "not_applicable",
    wifi_rx_mbps: "not_applicable",
    wifi_tx_retries_pct: "not_applicable",
    reboot_required: "unsupported",
    ntp_synced: "tool_missing",
  });
  expect(sheet.metrics.containers_running).toBe(0);
});

test("an empty tree, and one of garbage, are read without a complaint", async () => {
  useTools({});
  const { sheet } = await sampleOf(scratch());
  expect(Object.values(sheet.metrics).every((value) => value === null)).toBe(true);
  const tree = plant("laptop");
  for (const path of ["hwmon5/temp1_input", "hwmon5/temp2_input", "hwmon5/temp3_input", "hwmon4/fan1_input"])
    tree.put(`/sys/class/hwmon/${path}`, "garbage\n");
  tree.put("/sys/class/power_supply/BAT0/uevent", "\0\0");
  tree.put("/sys/class/power_supply/AC/uevent", "POWER_SUPPLY_ONLINE=yes");
  const spoiled = await sampleOf(tree.top);
  expect(spoiled.sheet.metrics).toMatchObject({ cpu_temperature: null, fan_rpm_min: null, battery_pct: null, on_ac: null });
});

test("a sensor that hangs does not hold up the sample, and is left alone until it answers", async () => {
  useTools({});
  const tree = plant("laptop");
  const sensor = join(tree.top, "sys/class/hwmon/hwmon4/fan1_input");
  rmSync(sensor);
  execFileSync("mkfifo", [sensor]);
  // A reader left hanging would keep this process from ending.
  onTestFinished(() => {
    if (statSync(sensor).isFIFO()) closeSync(openSync(sensor, constants.O_RDWR));
  });
  const bus = new BusReader(60);
  const host = new Hardware(rootsAt(tree.top), bus);
  const first = new MetricSheet();
  const start = performance.now();
  await host.read(first);
  expect(performance.now() - start).toBeLessThan(2000);
  expect(first.metrics.fan_rpm_min).toBeNull();
  expect(first.reasons.fan_rpm_min).toBe("timeout");
  expect(first.metrics).toMatchObject({ cpu_temperature: 54, battery_pct: 73, disk_temperature: 41.85 });
  // Answers at last: what hung takes its figure as late, and the next sample has it again.
  const writer = openSync(sensor, "w");
  closeSync(writer);
  rmSync(sensor);
  writeFileSync(sensor, "2800\n");
  await vi.waitFor(async () => expect(await bus.read(sensor)).toEqual({ text: "2800" }));
  const second = new MetricSheet();
  await host.read(second);
  expect(second.metrics.fan_rpm_min).toBe(2800);
});

describe("on this host", () => {
  test("the names it sets are the catalogue's, and each null has a reason", async () => {
    const { sheet } = await sampleOf("");
    expect(metricsOf("host")).toEqual(expect.arrayContaining(Object.keys(sheet.metrics)));
    for (const [name, value] of Object.entries(sheet.metrics))
      expect(value === null ? sheet.reasons[name as keyof typeof sheet.reasons] : "measured", name).toBeTypeOf("string");
  });

  test("a sample after the first costs little, and never loads systeminformation", async () => {
    const script = `
      import { createRequire } from "node:module";
      import { Hardware } from "./agent/host/hardware.ts";
      import { MetricSheet } from "./agent/probes/probe.ts";
      const host = new Hardware();
      const costs = [];
      for (let i = 0; i < 9; i++) {
        const before = process.cpuUsage();
        await host.read(new MetricSheet());
        const { user, system } = process.cpuUsage(before);
        costs.push((user + system) / 1000);
      }
      const loaded = Object.keys(createRequire(import.meta.url).cache).filter((name) => /systeminformation/.test(name));
      console.log(JSON.stringify({ median: costs.slice(1).sort((a, b) => a - b)[4], loaded }));`;
    const top = new URL("../..", import.meta.url).pathname;
    const ended = await run("/bin/sh", ["-c", `cd "${top}" && exec "${process.execPath}" --input-type=module -e '${script}'`]);
    expect(ended.stderr).toBe("");
    const { median, loaded } = JSON.parse(ended.stdout) as { median: number; loaded: string[] };
    expect(loaded).toEqual([]);
    expect(median).toBeLessThan(10);
  });
});
