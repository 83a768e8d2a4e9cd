// What a sample costs: at most 15 ms of processor time, also with five hundred processes, and no memory that stays.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HostSampler } from "../../agent/host/index.ts";
import { LinuxHost } from "../../agent/host/linux.ts";

const MOST_MS = 15;
const PROCESSES = 500;
const SAMPLES = 60;

/** Processor time of this process a sample, milliseconds. */
async function cost(sampler: HostSampler, samples: number): Promise<number> {
  const start = process.cpuUsage();
  for (let i = 0; i < samples; i++) await sampler.sample();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / samples / 1000;
}

describe.skipIf(process.platform !== "linux")("a sample of a host with five hundred processes", () => {
  let crowd: ChildProcess | undefined;
  // A clock that runs fast, so that looks one after another have rates.
  const sampler = new HostSampler(new LinuxHost({ now: () => performance.now() * 1000 }));

  beforeAll(async () => {
    const script = `i=0; while [ $i -lt ${PROCESSES} ]; do sleep 120 & i=$((i+1)); done; echo ready; wait`;
    crowd = spawn("/bin/sh", ["-c", script], { stdio: ["ignore", "pipe", "ignore"], detached: true });
    if (crowd.stdout !== null) await once(crowd.stdout, "data");
    // The first looks load what is loaded lazily and ask what is asked rarely.
    for (let i = 0; i < 5; i++) await sampler.sample();
  });

  afterAll(() => {
    if (crowd?.pid !== undefined) process.kill(-crowd.pid, "SIGKILL");
  });

  test(`costs at most ${MOST_MS} ms of processor time`, async () => {
    const { metrics } = await sampler.sample();
    expect(metrics.process_count).toBeGreaterThanOrEqual(PROCESSES);
    expect(metrics.cpu_percent).toBeTypeOf("number");
    expect(await cost(sampler, SAMPLES)).toBeLessThanOrEqual(MOST_MS);
  });

  test("leaves nothing behind", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const held = () => {
      collect();
      const { heapUsed, external, arrayBuffers } = process.memoryUsage();
      return heapUsed + external + arrayBuffers;
    };
    await cost(sampler, 50);
    const before = held();
    await cost(sampler, 200);
    expect(held() - before).toBeLessThan(512 * 1024);
  });
});
