// `npm start` as a program: what it refuses, what it leaves behind, what it keeps to itself.
import { readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { listProcesses } from "../../worker/ops/processes.ts";
import { ADMIN, Api } from "../support/api.ts";
import { freePort, Instance, type InstanceOptions, newStateDir } from "../support/instance.ts";
import { until } from "../support/wait.ts";

const instances: Instance[] = [];

async function spawn(options: InstanceOptions = {}): Promise<Instance> {
  const instance = await Instance.spawn(options);
  instances.push(instance);
  return instance;
}

async function start(options: InstanceOptions = {}): Promise<Instance> {
  const instance = await spawn(options);
  await instance.ready();
  return instance;
}

afterEach(async () => {
  for (const instance of instances.splice(0).reverse()) await instance.dispose();
});

describe("npm start", () => {
  test("gives a setup link on first start, and SIGTERM leaves no process and no run record behind", async () => {
    const instance = await start();
    expect(instance.setupLink).toMatch(new RegExp(`^${instance.url}/setup#[A-Za-z0-9_-]{16,}$`));
    expect(instance.output.text).toMatch(new RegExp(`^ready ${instance.url}$`, "m"));
    const before = instance.processes();
    expect(before.length).toBeGreaterThanOrEqual(4);
    expect(await instance.stop()).toEqual({ code: 0, signal: null });
    expect(instance.processes()).toEqual([]);
    expect(listProcesses().filter(({ pid, born }) => before.some((old) => old.pid === pid && old.born === born))).toEqual([]);
    expect(statSync(join(instance.state, "run.json"), { throwIfNoEntry: false })).toBeUndefined();
  });

  test("shows no secret in a process list, and keeps its files to their owner", async () => {
    const enrolment = "sse_enrolment-token-for-this-test-only";
    const env = { ADMIN_USERNAME: ADMIN.username, ADMIN_PASSWORD: ADMIN.password, ENROLMENT_TOKEN: enrolment };
    const instance = await start({ env });
    expect(instance.setupLink).toBeUndefined();
    await Api.signIn(instance.url);
    const generated = Object.values(
      JSON.parse(readFileSync(join(instance.state, "secrets.json"), "utf8")) as Record<string, string>,
    );
    const secrets = [ADMIN.password, enrolment, ...generated.filter((value) => value.length >= 16)];
    expect(secrets.length).toBe(6);
    const commands = listProcesses()
      .map(({ command }) => command)
      .join("\n");
    for (const secret of secrets) expect(commands).not.toContain(secret);
    expect(statSync(instance.state).mode & 0o777).toBe(0o700);
    for (const file of ["secrets.json", "edge.env", "run.json", "edge.log", "agent.log"]) {
      expect([file, statSync(join(instance.state, file)).mode & 0o777]).toEqual([file, 0o600]);
    }
  });

  test("starts after everything was killed, and ends what a killed starter left", async () => {
    const state = newStateDir();
    const first = await start({ state });
    const secrets = readFileSync(join(state, "secrets.json"), "utf8");
    await first.killHard();
    const second = await start({ state, port: first.port });
    expect(readFileSync(join(state, "secrets.json"), "utf8")).toBe(secrets);
    // The starter alone dies: its children notice, and whatever did not is ended by the next start.
    await second.killHard((command) => command.includes("start.ts"));
    const third = await start({ state, port: first.port });
    const edges = listProcesses().filter(({ command }) => command.includes("wrangler") && command.includes(state));
    expect(edges).toHaveLength(1);
    await third.stop();
  });

  test("ends its processes when the starter alone is killed", async () => {
    const instance = await start();
    await instance.killHard((command) => command.includes("start.ts"));
    await until(
      "the end of its children",
      10_000,
      () => instance.processes().map(({ command }) => command),
      (left) => left.length === 0,
    );
  });

  test("refuses a second start on the same state, and says how to run beside it", async () => {
    const first = await start({ env: { STREAMSWARM_LOCAL_AGENT: "0" } });
    const second = await spawn({ state: first.state });
    expect((await second.exited).code).toBe(1);
    expect(second.output.text).toContain(`pid ${first.pid}`);
    expect(second.output.text).toContain("STREAMSWARM_STATE=");
    const beside = await start({ env: { STREAMSWARM_LOCAL_AGENT: "0" } });
    expect(beside.port).not.toBe(first.port);
  });

  test("names a port that is in use", async () => {
    const port = await freePort();
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, "127.0.0.1", resolve));
    const instance = await spawn({ port });
    expect((await instance.exited).code).toBe(1);
    expect(instance.output.text).toContain(`Port ${port} on 127.0.0.1 is in use`);
    expect(instance.output.text).toContain(`PORT=${port + 1}`);
    await new Promise((resolve) => other.close(resolve));
  });

  test.each([
    [{ AUTH_BYPASS: "1", HOST: "0.0.0.0" }, /AUTH_BYPASS=1.*HOST=0\.0\.0\.0/],
    [{ HOST: "example" }, /HOST=example is not an IP address/],
    [{ PORT: "70000" }, /PORT=70000 is not a port/],
    [{ ADMIN_USERNAME: "root" }, /ADMIN_PASSWORD is missing/],
    [{ ADMIN_USERNAME: "root", ADMIN_PASSWORD: "short" }, /ADMIN_PASSWORD has 5 characters/],
  ])("refuses %j", async (env, message) => {
    const instance = await spawn({ env });
    expect((await instance.exited).code).toBe(1);
    expect(instance.output.text).toMatch(message);
  });

  test("AUTH_BYPASS=1 on loopback lets everybody in and needs no setup", async () => {
    const instance = await start({ env: { AUTH_BYPASS: "1", STREAMSWARM_LOCAL_AGENT: "0" } });
    expect(instance.setupLink).toBeUndefined();
    const reply = await fetch(`${instance.url}/api/v1/session`);
    expect(await reply.json()).toMatchObject({ bypass: true, user: { role: "admin" } });
  });
});
