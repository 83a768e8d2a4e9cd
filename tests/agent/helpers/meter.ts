// Runs one measurement in a network of its own and prints what the kernel counted beside what the type says it may cost.
// Ethernet's headers, which the loopback counts too, are taken off.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer as createWebServer } from "node:http";
import { createServer } from "node:net";
import { testType } from "#contract/test-types/index";
import { Reflector } from "../../../agent/reflector/index.ts";
import { runTest } from "../../../agent/runner.ts";

const ETHERNET_HEADER = 14;

function counted(): { packets: number; bytes: number } {
  const line = readFileSync("/proc/net/dev", "utf8")
    .split("\n")
    .find((each) => each.trim().startsWith("lo:"));
  const fields = (line ?? "").trim().split(/\s+/).map(Number);
  return { bytes: fields[9] ?? Number.NaN, packets: fields[10] ?? Number.NaN };
}

const [name = "", destination = "", json = "{}"] = process.argv.slice(2);
execFileSync("ip", ["link", "set", "lo", "up"]);
const body = Buffer.alloc(200_000, "x");
const web = createWebServer((_request, response) => response.end(body)).listen(8080, "127.0.0.1");
const sink = createServer((socket) => socket.on("error", () => socket.destroy()).resume()).listen(8081, "127.0.0.1");
const reflector = new Reflector();
await reflector.start({ port: 8862, open: true, secrets: () => [] });
const params = JSON.parse(json) as Record<string, unknown>;
const before = counted();
const result = await runTest({ type: name, destination, params }, new AbortController().signal);
const after = counted();
const type = testType(name as Parameters<typeof testType>[0]);
const full = type.params.parse(params);
const packets = after.packets - before.packets;
console.log(
  JSON.stringify({
    status: result.status,
    packets,
    bytes: after.bytes - before.bytes - packets * ETHERNET_HEADER,
    bound: type.traffic?.(full),
    moved: type.moved?.(full, result.metrics) ?? null,
  }),
);
web.close();
sink.close();
await reflector.stop();
process.exit();
