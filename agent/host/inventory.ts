// What the host is: read once a day, since it changes that rarely.
import { readFile } from "node:fs/promises";
import os from "node:os";
import { containerOf } from "./containers.ts";
import { rootsAt } from "./hardware-files.ts";

/** Name and version from os-release(5). */
export function parseOsRelease(text: string): string | undefined {
  const quoted = /^PRETTY_NAME=(.*)$/m.exec(text)?.[1];
  return quoted?.replace(/^["']|["']$/g, "") || undefined;
}

interface System {
  readonly os: string | null;
  readonly hardware: string | null;
}

const read = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");

async function linux(): Promise<System> {
  const [release, vendor, product] = await Promise.all([
    read("/etc/os-release"),
    read("/sys/class/dmi/id/sys_vendor"),
    read("/sys/class/dmi/id/product_name"),
  ]);
  return { os: parseOsRelease(release) ?? null, hardware: `${vendor.trim()} ${product.trim()}`.trim() || null };
}

/** systeminformation starts programs and holds ten megabytes for good: not where a few files say the same. */
async function other(): Promise<System> {
  const { default: si } = await import("systeminformation");
  const [system, machine] = await Promise.all([si.osInfo(), si.system()]);
  return {
    os: `${system.distro} ${system.release}`.trim() || null,
    hardware: `${machine.manufacturer} ${machine.model}`.trim() || null,
  };
}

/** Operating system, machine, processor and memory as people know them; null where the system does not tell. */
export async function inventory(): Promise<Record<string, unknown>> {
  const system = process.platform === "linux" ? await linux() : await other();
  return {
    hostname: os.hostname(),
    ...system,
    kernel: os.release(),
    arch: os.arch(),
    container: process.platform === "linux" ? containerOf(rootsAt()) : null,
    cpu_model: os.cpus()[0]?.model.trim() || null,
    cpu_cores: os.availableParallelism(),
    memory_bytes: os.totalmem(),
    node: process.version,
  };
}
