// What the host is: read once a day, since it changes that rarely and costs that much.
import os from "node:os";
import { performance } from "node:perf_hooks";

/** Operating system, processor and memory as people know them. */
export async function inventory(): Promise<Record<string, unknown>> {
  const start = performance.now();
  const { default: si } = await import("systeminformation");
  const [system, cpu] = await Promise.all([si.osInfo(), si.cpu()]);
  return {
    hostname: os.hostname(),
    os: `${system.distro} ${system.release}`.trim(),
    kernel: system.kernel,
    arch: system.arch,
    cpu_model: `${cpu.manufacturer} ${cpu.brand}`.trim(),
    cpu_cores: os.availableParallelism(),
    cpu_physical_cores: cpu.physicalCores,
    memory_bytes: os.totalmem(),
    node: process.version,
    took_ms: Math.round(performance.now() - start),
  };
}
