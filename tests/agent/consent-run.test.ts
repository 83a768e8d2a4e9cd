// The running agent with a consent file: what it forbids is not even tried, whatever the server's schedule says.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { CLI, scratch } from "./helpers/cli.ts";
import { HttpEdge } from "./helpers/edge.ts";

test("a test the consent file forbids is not run, with a schedule that cannot be followed neither", async () => {
  let visits = 0;
  const target = createServer((_request, response) => {
    visits += 1;
    response.end("seen");
  });
  target.listen(0, "127.0.0.1");
  await once(target, "listening");
  onTestFinished(() => {
    target.close();
  });
  const edge = new HttpEdge();
  edge.tokens.add("enrol");
  const destination = `http://127.0.0.1:${(target.address() as AddressInfo).port}/`;
  const plain = { type: "http", destination, params: {}, interval_s: 60, offset_s: 0 };
  const window = {
    days: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    from: "00:00",
    to: "24:00",
    time_zone: "Mars/Olympus",
  };
  const tests = [
    { ...plain, test_id: "plain", schedule: null },
    { ...plain, test_id: "odd", schedule: { windows: [window] } },
  ];
  edge.instruction = { revision: 1, tests: tests as unknown as typeof edge.instruction.tests, upload_s: 1 };
  const server = await edge.listen();
  onTestFinished(() => edge.close());
  const state = scratch();
  const consent = join(state, "consent.json");
  writeFileSync(consent, '{"destinations": ["10.0.0.0/8"]}');
  const args = [CLI, "run", "--server", server, "--token", "enrol", "--state", join(state, "state"), "--consent", consent];
  const agent = spawn(process.execPath, args, { stdio: "ignore", env: { ...process.env, NODE_NO_WARNINGS: "1" } });
  onTestFinished(() => {
    agent.kill("SIGKILL");
  });
  const told = () =>
    Object.fromEntries(
      edge.items.filter((item) => "test_id" in item).map((item) => [item.test_id, (item.error as { code: string }).code]),
    );
  await expect.poll(told, { timeout: 15_000 }).toEqual({ plain: "not_consented", odd: "invalid_instruction" });
  expect(visits).toBe(0);
  // Over HTTPS, where no socket comes through, the server is told all the same.
  expect(edge.registrations[0]).toMatchObject({ consent: { destinations: ["10.0.0.0/8"] } });
});
