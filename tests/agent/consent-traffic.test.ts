// What a run may cost at most, as the consent file's limits take it, against what the kernel counted on the wire.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ipBytes } from "#contract/test-types/traffic";
import { run } from "./helpers/cli.ts";

const isRoot = process.platform === "linux" && process.getuid?.() === 0;
const canMakeNetworks = isRoot && canUnshare();

function canUnshare(): boolean {
  try {
    execFileSync("unshare", ["--net", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const METER = fileURLToPath(new URL("helpers/meter.ts", import.meta.url));

interface Reading {
  status: string;
  /** Counted on the loopback of a network of its own: every packet of either direction once. */
  packets: number;
  bytes: number;
  bound: { packets_per_s: number; bytes: number };
  moved: number | null;
}

async function meter(type: string, destination: string, params: object): Promise<Reading> {
  const { stdout, stderr } = await run("unshare", ["--net", process.execPath, METER, type, destination, JSON.stringify(params)]);
  const line = stdout.trim().split("\n").at(-1) ?? "";
  if (!line.startsWith("{")) throw new Error(`the meter said ${stdout} ${stderr}`);
  return JSON.parse(line) as Reading;
}

test.skipIf(!canMakeNetworks).each<[string, string, object, string]>([
  ["ping", "127.0.0.1", { count: 10 }, "ok"],
  ["ping", "127.0.0.1", { count: 3, packet_size: 60_000 }, "ok"],
  ["udp", "127.0.0.1:8862", { count: 50 }, "ok"],
  ["tcp", "127.0.0.1:8080", { count: 3 }, "ok"],
  ["tcp", "127.0.0.1:8081", { count: 1, send_bytes: 500_000 }, "ok"],
  ["http", "http://127.0.0.1:8080/", {}, "ok"],
  ["traceroute", "127.0.0.1", {}, "ok"],
  ["mtu", "127.0.0.1", {}, "ok"],
])("%s %s %j stays within its bound (needs root: a network of its own)", async (type, destination, params, status) => {
  const reading = await meter(type, destination, params);
  expect(reading.status).toBe(status);
  expect(reading.packets).toBeGreaterThan(1);
  expect(reading.bytes).toBeLessThanOrEqual(reading.bound.bytes);
  if (reading.moved !== null) expect(reading.bytes).toBeLessThanOrEqual(reading.moved);
  if (type === "udp" || type === "ping") {
    // Half of the packets are the answers.
    const count = "count" in params ? Number(params.count) : 0;
    const spacing = type === "udp" ? 0.02 : 0.2;
    expect(reading.bound.packets_per_s).toBeGreaterThanOrEqual(Math.min(count, 1 / spacing));
    expect(reading.bound.bytes).toBeLessThan(30 * reading.bytes);
  }
});

test("headers and fragments are those of IPv6 on its smallest link", () => {
  expect(ipBytes(100)).toBe(140);
  expect(ipBytes(1232)).toBe(1272);
  expect(ipBytes(1233)).toBe(1233 + 2 * 48);
  expect(ipBytes(65_535)).toBe(65_535 + 54 * 48);
});
