// Drives by smartctl, Wi-Fi by iw, and time daemons: recorded outputs, and how often and how the tools are started.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { rootsAt } from "../../agent/host/hardware-files.ts";
import { SmartDrives } from "../../agent/host/smart.ts";
import { askDaemons } from "../../agent/host/time-daemon.ts";
import { retriesShare, WifiWatch } from "../../agent/host/wifi.ts";
import { parseIwLink, parseIwStations, parseProcWireless, ssidOf } from "../../agent/parsers/iw.ts";
import { parseSmartctl } from "../../agent/parsers/smartctl.ts";
import { fakeTools, scratch } from "./helpers/cli.ts";
import { plant, type Tree } from "./helpers/tree.ts";

const fixture = (path: string) => readFileSync(new URL(`./fixtures/${path}`, import.meta.url), "utf8");
const print = (text: string) => `/bin/cat <<'END'\n${text}\nEND\n`;
const use = (scripts: Record<string, string>) => vi.stubEnv("STREAMSWARM_TOOL_PATH", fakeTools(scripts));

afterEach(() => vi.unstubAllEnvs());

describe("recorded smartctl", () => {
  const recorded = (name: string) => parseSmartctl(fixture(`smartctl/${name}.json`));

  test("an ATA drive that has replaced sectors and still passes", () => {
    expect(recorded("ata-reallocated")).toEqual({
      model: "ST3500418AS",
      passed: true,
      temperature_c: 33,
      power_on_hours: 44668,
      reallocated: 304,
      pending: 0,
      percent_used: null,
    });
  });
  test("exit status 216 and 8 tell of failing drives, 4 of a command the drive does not know: all were read", () => {
    expect(recorded("ata-failing")).toMatchObject({ passed: false, reallocated: 1975, pending: 8 });
    expect(recorded("nvme-failing")).toMatchObject({ passed: false, temperature_c: 40, percent_used: 0, reallocated: null });
    expect(recorded("ata-command-failed")).toMatchObject({ passed: true, temperature_c: 38, reallocated: null });
  });
  test("NVMe and SCSI", () => {
    expect(recorded("nvme")).toMatchObject({ passed: true, temperature_c: 36, power_on_hours: 2401, percent_used: 0 });
    expect(recorded("scsi")).toMatchObject({ model: "SEAGATE ST373453LC", reallocated: 260, power_on_hours: 102880 });
  });
  test("why there is nothing", () => {
    expect(recorded("standby")).toBe("standby");
    expect(recorded("standby-7.5")).toBe("standby");
    expect(recorded("no-permission")).toBe("no_permission");
    expect(recorded("virtual-disk")).toBe("unsupported");
    expect(parseSmartctl('{"smartctl":{"exit_status":4},"smart_support":{"available":false}}')).toBe("unsupported");
  });
  test("garbage is no drive's state", () => {
    for (const text of ["", "smartctl 6.6", "null", "[]", "{}", '{"smartctl":7}', '{"smartctl":null,"smart_status":1}'])
      expect(parseSmartctl(text), text).toSatisfy((answer) => answer === "failed" || typeof answer === "object");
    const hostile = parseSmartctl(
      '{"smartctl":{"exit_status":"0"},"temperature":{"current":1e9},"power_on_time":{"hours":-4},"smart_status":{"passed":"yes"},"ata_smart_attributes":{"table":[null,{"id":5,"raw":{"value":4294967301}}]}}',
    );
    expect(hostile).toMatchObject({ temperature_c: null, power_on_hours: null, passed: null, reallocated: 5 });
  });
});

describe("drives", () => {
  /** A tool that writes down how it was started. */
  function logging(name: string, then: string): () => string[] {
    const log = join(scratch(), "log");
    use({ [name]: `echo "$@" >> ${log}\n${then}` });
    return () => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []);
  }
  const touch = (tree: Tree, done: number) => tree.put("/sys/block/sda/stat", `${done} 0 8 1 200 0 16 1 0 1 2\n`);

  test("are asked without being woken, and not at all while nothing uses them", async () => {
    const tree = plant("server");
    const asked = logging("smartctl", print(fixture("smartctl/ata-reallocated.json")));
    const drives = new SmartDrives(rootsAt(tree.top));
    await drives.round();
    expect(asked().toSorted((a, b) => a.localeCompare(b))).toEqual([
      `-j -H -A -i -n standby ${tree.top}/dev/nvme0`,
      `-j -H -A -i -n standby ${tree.top}/dev/sda`,
    ]);
    await drives.round();
    expect(asked()).toHaveLength(3);
    const { drives: rows, asleep } = drives.state();
    expect(asleep).toEqual(["sda"]);
    // Its health holds, its temperature does not.
    expect(rows[0]).toMatchObject({ name: "sda", reallocated: 304, passed: true, temperature_c: null });
    touch(tree, 101);
    await drives.round();
    expect(asked()).toHaveLength(5);
    expect(drives.state()).toMatchObject({ asleep: [], drives: [{ temperature_c: 33 }, {}] });
  });

  test("that sleep keep what they said before", async () => {
    const tree = plant("server");
    logging("smartctl", print(fixture("smartctl/ata-reallocated.json")));
    const drives = new SmartDrives(rootsAt(tree.top));
    await drives.round();
    touch(tree, 101);
    logging("smartctl", `${print(fixture("smartctl/standby.json"))}exit 2`);
    await drives.round();
    expect(drives.state().drives[0]).toMatchObject({ passed: true, reallocated: 304, temperature_c: null });
  });

  test("that may not be opened start no tool", async () => {
    const tree = plant("server");
    rmSync(join(tree.top, "dev"), { recursive: true });
    const asked = logging("smartctl", print(fixture("smartctl/ata-reallocated.json")));
    const drives = new SmartDrives(rootsAt(tree.top));
    await drives.round();
    expect(asked()).toEqual([]);
    expect(drives.state()).toMatchObject({ why: "no_permission", drives: [{ model: "ST3500418AS", passed: null }, {}] });
  });

  test("whose tool is missing, prints garbage or hangs", async () => {
    const tree = plant("server");
    use({});
    const drives = new SmartDrives(rootsAt(tree.top));
    await drives.round();
    expect(drives.state().why).toBe("tool_missing");
    touch(tree, 102);
    logging("smartctl", "echo garbage; kill -9 $$");
    await drives.round();
    expect(drives.state()).toMatchObject({ why: "unsupported", drives: [{ passed: null }, { passed: null }] });
    touch(tree, 103);
    logging("smartctl", "exec /bin/sleep 30");
    const start = performance.now();
    await drives.round();
    expect(performance.now() - start).toBeLessThan(3500);
    expect(drives.state().drives[0]).toMatchObject({ passed: null });
  });
});

describe("recorded iw", () => {
  test("links", () => {
    expect(parseIwLink(fixture("iw/link-ht.txt"))).toEqual({ bssid: "68:7f:74:3b:b0:01", ssid: "tesla-5g-bcm", freq_mhz: 5745 });
    expect(parseIwLink(fixture("iw/link-he.txt"))).toMatchObject({ ssid: "café \\ ", freq_mhz: 5600 });
    expect(parseIwLink(fixture("iw/link-none.txt"))).toBeNull();
    expect(parseIwLink("command failed: No such device (-19)")).toBeUndefined();
  });
  test("stations", () => {
    expect(parseIwStations(fixture("iw/station.txt"))).toEqual([
      { bssid: "d8:eb:97:ba:4d:b4", rssi_dbm: -42, tx_mbps: 150, rx_mbps: 1, tx_packets: 2781, tx_retries: 0 },
    ]);
    const both = parseIwStations(fixture("iw/station-chains.txt") + fixture("iw/station.txt"));
    expect(both.map((each) => [each.rssi_dbm, each.tx_retries])).toEqual([
      [-29, 298],
      [-42, 0],
    ]);
    expect(parseIwStations("")).toEqual([]);
  });
  test("a driver's signal of +75 dBm is none", () => {
    expect(parseIwStations(fixture("iw/station-wrong-signal.txt"))[0]).toMatchObject({ rssi_dbm: null, tx_retries: 4589 });
  });
  test("names: escapes, hidden networks, what is no text", () => {
    expect(ssidOf("caf\\xc3\\xa9")).toBe("café");
    expect(ssidOf("\\x00\\x00")).toBeNull();
    expect(ssidOf("")).toBeNull();
    expect(ssidOf("a\\x1b[31mb\\x0a")).toBe("a[31mb");
    expect(ssidOf("\\xff")).toBe("\ufffd");
  });
  test("/proc/net/wireless, with a driver that tells a share instead of dBm", () => {
    const text = " wlan0: 0000   56.  -54.  -256        0\n wlan1: 0000   70.   46.  0 0\n";
    expect([...parseProcWireless(text)]).toEqual([["wlan0", -54]]);
  });
});

describe("Wi-Fi", () => {
  const station = (packets: number, retries: number, bssid = "d8:eb:97:ba:4d:b4") => ({
    ...{ bssid, rssi_dbm: -42, tx_mbps: 1, rx_mbps: 1 },
    tx_packets: packets,
    tx_retries: retries,
  });

  test("the share of repeated frames is one of the time between two looks", () => {
    expect(retriesShare(station(1000, 500), station(1080, 520))).toBe(20);
    expect(retriesShare(undefined, station(1080, 520))).toBeUndefined();
    expect(retriesShare(station(1000, 500), station(1010, 520))).toBeUndefined();
    expect(retriesShare(station(1000, 500), station(200, 5))).toBeUndefined();
    expect(retriesShare(station(1000, 500), station(2000, 501, "00:00:00:00:00:01"))).toBeUndefined();
  });

  test("the network's name is asked once an association, the signal in every sample", async () => {
    const tree = plant("laptop");
    const dir = scratch();
    const link = fixture("iw/link-ht.txt");
    const dump = (bssid: string) => fixture("iw/station.txt").replace("d8:eb:97:ba:4d:b4", bssid);
    const script = (bssid: string) => `echo "$3" >> ${dir}/log
case "$3" in link) ${print(link.replaceAll("68:7f:74:3b:b0:01", bssid))};; *) ${print(dump(bssid))};; esac`;
    const asked = () => readFileSync(join(dir, "log"), "utf8").trim().split("\n");
    use({ iw: script("68:7f:74:3b:b0:01") });
    const watch = new WifiWatch(rootsAt(tree.top));
    await watch.read(false);
    await watch.read(false);
    expect(asked()).toEqual(["link", "station", "station"]);
    // Roamed: the station is another than the link's.
    use({ iw: script("68:7f:74:3b:b0:02") });
    const { wifi } = await watch.read(false);
    expect(asked().slice(3)).toEqual(["station", "link"]);
    expect(wifi[0]).toMatchObject({ bssid: "68:7f:74:3b:b0:02", rssi_dbm: -42 });
    tree.put("/sys/class/net/wlan0/carrier_changes", "4\n");
    await watch.read(false);
    expect(asked().slice(5)).toEqual(["link", "station"]);
  });

  test("an interface whose name could be an option of a tool is left out", async () => {
    const tree = plant("vm");
    tree.put("/sys/class/net/-h/phy80211/name", "phy0\n");
    use({ iw: "exit 1" });
    expect((await new WifiWatch(rootsAt(tree.top)).read(true)).why).toBe("not_applicable");
  });

  test("iw that is killed or prints garbage", async () => {
    use({ iw: "echo garbage; kill -9 $$" });
    const { wifi, why } = await new WifiWatch(rootsAt(plant("laptop").top)).read(true);
    expect([wifi, why]).toEqual([[], "not_applicable"]);
  });
});

describe("time daemons", () => {
  const chrony = (leap: string) =>
    `C0A80101,192.168.1.1,2,1700000000.1,0.000010,0.00001,0.00001,1,0,0.01,0.01,0.001,64.0,${leap}`;

  test("one that keeps the clock, one that does not, none that answers, none at all", async () => {
    use({ chronyc: print(chrony("Normal")) });
    expect(await askDaemons()).toMatchObject({ kept: true });
    use({ chronyc: print(chrony("Not synchronised")), timedatectl: "echo NTPSynchronized=no" });
    expect(await askDaemons()).toMatchObject({ kept: false });
    use({ chronyc: "echo '506 Cannot talk to daemon'; exit 1", timedatectl: "echo NTPSynchronized=yes" });
    expect(await askDaemons()).toMatchObject({ kept: true });
    use({ timedatectl: "exit 1" });
    expect(await askDaemons()).toEqual({ kept: undefined, why: "unsupported" });
    use({});
    expect(await askDaemons()).toEqual({ kept: undefined, why: "tool_missing" });
  });
});
