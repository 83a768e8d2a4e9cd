// Power drawn, battery and mains: counters that wrap or start anew, several batteries, what overlaps.
import { describe, expect, test } from "vitest";
import { rootsAt } from "../../agent/host/hardware-files.ts";
import { charge, hostWatts, meanWatts, onMains, parseSupply, RaplMeter } from "../../agent/host/power.ts";
import { plant } from "./helpers/tree.ts";

describe("power", () => {
  const energy = (now: number) => ({ name: "package-0", now, range: 262_143_328_850 });

  test("mean power between two readings, over the counter's end too", () => {
    expect(meanWatts(energy(1_000_000), energy(601_000_000), 60)).toBe(10);
    expect(meanWatts(energy(262_143_328_850 - 1_000_000), energy(599_000_000), 60)).toBe(10);
  });

  test("nothing from a first reading, too long a pause, or a counter that was reset", () => {
    expect(meanWatts(undefined, energy(5), 60)).toBeUndefined();
    expect(meanWatts(energy(5), energy(50), 0)).toBeUndefined();
    expect(meanWatts(energy(5), energy(50), 3600)).toBeUndefined();
    expect(meanWatts(energy(200_000_000_000), energy(1_000_000), 10)).toBeUndefined();
    expect(meanWatts({ name: "x", now: 5, range: 0 }, { name: "x", now: 1, range: 0 }, 60)).toBeUndefined();
  });

  test("packages are summed, their cores are not counted again", () => {
    const tree = plant("laptop");
    const meter = new RaplMeter(rootsAt(tree.top));
    expect(meter.read(0)).toEqual({ power: [], why: "too_few_samples" });
    tree.put("/sys/class/powercap/intel-rapl:0/energy_uj", "262143328849\n");
    tree.put("/sys/class/powercap/intel-rapl:0:0/energy_uj", "999999999\n");
    const { power } = meter.read(1000);
    expect(power).toEqual([{ chip: "rapl", label: "package-0 intel-rapl:0", value: 3.329 }]);
    expect(hostWatts([], power)).toBe(3.329);
  });

  test("the widest meter there is counts; a graphics card's is none of the host", () => {
    const gpu = { chip: "amdgpu", label: "power1", value: 31 };
    const zones = [
      { chip: "rapl", label: "package-0 intel-rapl:0", value: 20 },
      { chip: "rapl", label: "psys intel-rapl:1", value: 35 },
    ];
    expect(hostWatts([gpu], [])).toBeUndefined();
    expect(hostWatts([gpu], zones)).toBe(35);
    expect(hostWatts([gpu, { chip: "power_meter", label: "power1", value: 90 }], zones)).toBe(90);
  });

  test("energy counters that only root may read", () => {
    const tree = plant("vm");
    tree.put("/sys/class/powercap/intel-rapl:0/name", "package-0\n");
    expect(new RaplMeter(rootsAt(tree.top)).read(0)).toEqual({ power: [], why: "no_permission" });
  });

  test("two batteries weigh as much as they hold; without a word of an adapter the batteries tell", () => {
    const battery = (now: number, full: number, status: string) =>
      parseSupply(
        `POWER_SUPPLY_TYPE=Battery\nPOWER_SUPPLY_STATUS=${status}\nPOWER_SUPPLY_ENERGY_NOW=${now}\nPOWER_SUPPLY_ENERGY_FULL=${full}\n`,
      );
    const two = [battery(10, 10, "Full"), battery(15, 40, "Charging")];
    expect(charge(two)).toBe(50);
    expect(onMains(two, two)).toBe(true);
    const alone = [battery(1, 2, "Discharging")];
    expect(onMains(alone, alone)).toBe(false);
    expect(onMains([], [])).toBeUndefined();
    const dock = parseSupply("POWER_SUPPLY_TYPE=USB\nPOWER_SUPPLY_ONLINE=1\n");
    const mains = parseSupply("POWER_SUPPLY_TYPE=Mains\nPOWER_SUPPLY_ONLINE=0\n");
    expect(onMains([mains, dock], alone)).toBe(true);
  });
});
