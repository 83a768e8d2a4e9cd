// An agent as the other end: it says where it is, opens its reflector while it is measured, and keeps its secrets fresh.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { readConfig } from "../../agent/cli-run.ts";
import { EdgeHttp } from "../../agent/edge-http.ts";
import { createLog } from "../../agent/log.ts";
import { interfaceAddresses, ownAddresses } from "../../agent/own-addresses.ts";
import { RunProgress } from "../../agent/progress.ts";
import { ReflectorService, type ReflectorSettings } from "../../agent/reflector-service.ts";
import { runTest } from "../../agent/runner.ts";
import { deriveKey } from "../../agent/stamp/key.ts";
import { cli, scratch } from "./helpers/cli.ts";
import { HttpEdge } from "./helpers/edge.ts";

const HOUR = 3_600_000;
const TOKEN = "client-token";
const MEASURED = { aimed_at: true, reflector: true };

let edge: HttpEdge;
let server: string;
const services: ReflectorService[] = [];
const busy: Server[] = [];

beforeEach(async () => {
  edge = new HttpEdge();
  edge.tokens.add(TOKEN);
  server = await edge.listen();
  edge.secrets = [secretOf(randomBytes(32))];
});
afterEach(async () => {
  for (const service of services.splice(0)) await service.stop();
  for (const one of busy.splice(0)) one.close();
  edge.close();
  vi.useRealTimers();
});

const secretOf = (secret: Buffer, until = Date.now() + 12 * HOUR) => ({
  from: until - 12 * HOUR,
  until,
  secret: secret.toString("base64url"),
});

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const port = await takenPort();
  const last = busy.pop();
  await new Promise((resolve) => last?.close(resolve));
  return port;
}

async function takenPort(): Promise<number> {
  const taken = createServer();
  busy.push(taken);
  taken.listen(0);
  await once(taken, "listening");
  const address = taken.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function serve(settings: Partial<ReflectorSettings> = {}, permitted = () => true): Promise<ReflectorService> {
  const http = new EdgeHttp(server, "0");
  const service = new ReflectorService({
    settings: { port: await freePort(), addresses: [], allowed: true, ...settings },
    permitted,
    server,
    register: (body) => http.reflector(TOKEN, body),
    log: createLog("silent"),
  });
  services.push(service);
  return service;
}

describe("the reflector", () => {
  test("opens while somebody measures against it, answers its senders, and closes afterwards", async () => {
    const secret = randomBytes(32);
    edge.secrets = [secretOf(secret)];
    const port = await freePort();
    const service = await serve({ port });
    await service.follow(MEASURED);
    expect(edge.reflectors[0]).toMatchObject({ port, addresses: expect.arrayContaining(["127.0.0.1"]) });
    expect(edge.reflectors[0]?.addresses[0]).toBe("127.0.0.1");
    const order = { type: "udp", destination: `127.0.0.1:${port}`, params: { count: 5, timeout: 0.5 } };
    const measure = (key: Uint8Array) => runTest(order, new AbortController().signal, { session: { ssid: 9, key } });
    expect(await measure(deriveKey(secret, 9))).toMatchObject({ status: "ok", metrics: { udp_received: 5 } });
    expect(await measure(deriveKey(randomBytes(32), 9))).toMatchObject({ status: "failed" });
    await service.follow({});
    expect(service.port).toBeUndefined();
    expect(await measure(deriveKey(secret, 9))).toMatchObject({ status: "failed" });
    expect(edge.reflectors).toHaveLength(1);
  });

  test("takes another port when the one it wants is taken, and says which", async () => {
    const service = await serve({ port: await takenPort() });
    await service.follow(MEASURED);
    expect(edge.reflectors[0]?.port).toBe(service.port);
    expect(service.port).toBeGreaterThan(0);
  });

  test("stays shut where its owner says so; the address is told all the same, for pings", async () => {
    const service = await serve({ allowed: false });
    await service.follow(MEASURED);
    expect(edge.reflectors[0]).toMatchObject({ port: null, addresses: expect.arrayContaining(["127.0.0.1"]) });
    expect(service.port).toBeUndefined();
  });

  test("closes when its owner changes the consent file, and opens when it is allowed again", async () => {
    let permitted = true;
    const service = await serve({}, () => permitted);
    await service.follow(MEASURED);
    expect(service.port).toBeGreaterThan(0);
    permitted = false;
    await service.follow(MEASURED);
    expect([service.port, edge.reflectors.at(-1)?.port]).toEqual([undefined, null]);
    permitted = true;
    await service.follow(MEASURED);
    expect(service.port).toBeGreaterThan(0);
  });

  test("stays shut where only the address is measured, and says nothing where nobody measures it", async () => {
    const service = await serve();
    await service.follow({});
    await service.connected();
    expect(edge.reflectors).toEqual([]);
    await service.follow({ aimed_at: true });
    expect(edge.reflectors[0]?.port).toBeNull();
    await service.follow(MEASURED);
    expect(edge.reflectors[1]?.port).toBe(service.port);
  });

  test("what its owner advertises stands alone in its family", async () => {
    const service = await serve({ addresses: ["203.0.113.9"] });
    await service.follow(MEASURED);
    expect(edge.reflectors[0]?.addresses.filter((address) => !address.includes(":"))).toEqual(["203.0.113.9"]);
  });
});

describe("registration", () => {
  test("is repeated at half of the secrets' life, and not before", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const service = await serve();
    await service.follow(MEASURED);
    vi.setSystemTime(Date.now() + 5.9 * HOUR);
    await service.follow(MEASURED);
    expect(edge.reflectors).toHaveLength(1);
    vi.setSystemTime(Date.now() + 0.2 * HOUR);
    await service.follow(MEASURED);
    expect(edge.reflectors).toHaveLength(2);
  });

  test("is repeated when the line comes back after a while, and at once for a new identity", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const service = await serve();
    await service.follow(MEASURED);
    await service.connected();
    expect(edge.reflectors).toHaveLength(1);
    vi.setSystemTime(Date.now() + 31_000);
    await service.connected();
    expect(edge.reflectors).toHaveLength(2);
    await service.renamed();
    expect(edge.reflectors).toHaveLength(3);
  });

  test("is tried again while the server refuses", async () => {
    edge.fault = { paths: ["reflector"], status: 503 };
    const service = await serve();
    await service.follow(MEASURED);
    expect(edge.reflectors).toEqual([]);
    edge.fault = undefined;
    await vi.waitFor(() => expect(edge.reflectors).toHaveLength(1), 5000);
  });

  test("a server that says nothing holds up no stop", async () => {
    edge.fault = { paths: ["reflector"], status: "silence" };
    const service = await serve();
    const following = service.follow(MEASURED);
    await vi.waitFor(() => expect(edge.calls).toContain("reflector"));
    const began = performance.now();
    await service.stop();
    expect(performance.now() - began).toBeLessThan(1500);
    expect(service.port).toBeUndefined();
    edge.close();
    await following;
  });
});

describe("addresses of this host", () => {
  test("none of them is loopback, link-local or twice there", () => {
    const addresses = interfaceAddresses();
    expect(addresses.filter((address) => /^(127\.|169\.254\.|::1$|fe80)/.test(address))).toEqual([]);
    expect(new Set(addresses).size).toBe(addresses.length);
  });

  test("loopback is one of them only for a server on this host", async () => {
    expect((await ownAddresses("http://127.0.0.1:8787", []))[0]).toBe("127.0.0.1");
    expect(await ownAddresses("http://no-such-host.invalid", ["203.0.113.9"])).toEqual([
      "203.0.113.9",
      ...interfaceAddresses().filter((address) => address.includes(":")),
    ]);
  });
});

describe("settings", () => {
  const state = { state: "/tmp/x", name: "n" };

  test("come from flags, environment and file, in this order", () => {
    const file = join(scratch(), "agent.json");
    writeFileSync(file, '{"reflector": false, "reflector_port": 9001, "reflector_address": "2001:DB8::1"}');
    const env = { STREAMSWARM_REFLECTOR_PORT: "9002", STREAMSWARM_REFLECTOR_ADDRESS: "203.0.113.9, 203.0.113.10" };
    expect(readConfig(state, {}).reflector).toEqual({ allowed: true, port: 8862, addresses: [] });
    expect(readConfig({ ...state, config: file }, {}).reflector).toEqual({
      allowed: false,
      port: 9001,
      addresses: ["2001:db8::1"],
    });
    expect(readConfig({ ...state, config: file, reflector: true }, env).reflector).toEqual({
      allowed: false,
      port: 9002,
      addresses: ["203.0.113.9", "203.0.113.10"],
    });
    expect(readConfig({ ...state, reflectorPort: "9003" }, { ...env, STREAMSWARM_NO_REFLECTOR: "1" }).reflector).toMatchObject({
      allowed: false,
      port: 9003,
    });
    expect(readConfig(state, { STREAMSWARM_NO_REFLECTOR: "0" }).reflector.allowed).toBe(true);
    expect(readConfig({ ...state, reflector: false }, { STREAMSWARM_NO_REFLECTOR: "0" }).reflector.allowed).toBe(false);
  });

  test.each([
    ["--reflector-port", "0"],
    ["--reflector-port", "65536"],
    ["--reflector-port", "-1"],
    ["--reflector-address", "host.example"],
    ["--reflector-address", "224.0.0.1"],
    ["--reflector-address", "fe80::1%eth0"],
  ])("%s %s ends the command with that option's name", async (option, value) => {
    const { code, stderr } = await cli(["run", "--server", "http://127.0.0.1:1", "--state", scratch(), `${option}=${value}`]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(`${option} ${value}`)]);
  });
});

test("progress is told to whoever watches, at most four times a second, and ends", () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const frames: string[] = [];
  let watched = false;
  const run = { run_id: null, test_id: "t.p" };
  const progress = new RunProgress(
    run,
    (frame) => frames.push(`${frame.state} ${frame.fraction ?? ""}`),
    () => watched,
  );
  progress.running(0.1, "down");
  progress.finished();
  expect(frames).toEqual([]);
  watched = true;
  for (let step = 0; step < 50; step++) {
    progress.running(step / 50, "down");
    vi.advanceTimersByTime(20);
  }
  progress.running(Number.NaN, "down");
  progress.finished();
  expect(frames).toEqual(["running 0", "running 0.26", "running 0.52", "running 0.78", "finished "]);
});
