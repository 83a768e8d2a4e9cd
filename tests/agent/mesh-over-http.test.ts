// A real agent in a mesh, where no WebSocket comes through: it measures its peers with the server's keys and answers theirs.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { Reflector } from "../../agent/reflector/index.ts";
import { runTest } from "../../agent/runner.ts";
import { deriveKey } from "../../agent/stamp/key.ts";
import { CLI, scratch } from "./helpers/cli.ts";
import { HttpEdge } from "./helpers/edge.ts";

const PEERS = ["00000000000000aa", "00000000000000bb"] as const;
const PARAMS = { count: 5, interval: 0.02, timeout: 0.5 };
const DAY_MS = 86_400_000;

async function reflector(secret: Uint8Array): Promise<number> {
  const opened = new Reflector();
  const forever = { from: 0, until: Number.POSITIVE_INFINITY, secret };
  await opened.start({ port: 0, host: "127.0.0.1", secrets: () => [forever] });
  onTestFinished(() => opened.stop());
  return opened.address?.port ?? 0;
}

test("every peer is measured, an order is answered by all of them, and the agent's own reflector answers", async () => {
  const edge = new HttpEdge();
  edge.tokens.add("enrol");
  onTestFinished(() => edge.close());
  for (const [index, client_id] of PEERS.entries()) {
    const secret = randomBytes(32);
    edge.peers.set(client_id, {
      name: `peer-${index}`,
      addresses: ["127.0.0.1"],
      port: await reflector(secret),
      ssid: 300 + index,
      key: Buffer.from(deriveKey(secret, 300 + index)).toString("base64url"),
      until: Date.now() + DAY_MS,
    });
  }
  const own = randomBytes(32);
  edge.secrets = [{ from: Date.now() - DAY_MS, until: Date.now() + DAY_MS, secret: own.toString("base64url") }];
  const tests = PEERS.map((id) => ({
    test_id: `mesh.${id}`,
    type: "udp",
    destination: `client:${id}`,
    params: PARAMS,
    interval_s: 3600,
    offset_s: 0,
    schedule: null,
  }));
  edge.instruction = { revision: 1, tests, upload_s: 1, aimed_at: true, reflector: true };
  edge.heartbeat = { runs: [{ run_id: "ordered", test_id: "mesh" }] };
  const server = await edge.listen();
  const args = [CLI, "run", "--server", server, "--token", "enrol", "--state", scratch()];
  const agent = spawn(process.execPath, args, { stdio: "ignore", env: { ...process.env, NODE_NO_WARNINGS: "1" } });
  onTestFinished(() => {
    agent.kill("SIGKILL");
  });

  const measured = (run_id: string | null) =>
    edge.items
      .filter((item) => "test_id" in item && item.run_id === run_id)
      .map((item) => {
        const { metrics, detail } = item as unknown as { metrics: Record<string, unknown>; detail: { peer?: { name: string } } };
        return `${item.test_id} ${detail.peer?.name} ${metrics.udp_received}`;
      })
      .sort((a, b) => a.localeCompare(b));
  const every = PEERS.map((id, index) => `mesh.${id} peer-${index} 5`);
  await expect.poll(() => measured(null), { timeout: 30_000 }).toEqual(every);
  await expect.poll(() => measured("ordered"), { timeout: 30_000 }).toEqual(every);
  // Both were asked for together, and once.
  expect(edge.asked.filter((ids) => ids.length > 0).map((ids) => ids.toSorted((a, b) => a.localeCompare(b)))).toEqual([
    [...PEERS],
  ]);

  const port = edge.reflectors.at(-1)?.port ?? 0;
  const session = { ssid: 77, key: deriveKey(own, 77) };
  const order = { type: "udp", destination: `127.0.0.1:${port}`, params: PARAMS };
  const back = await runTest(order, new AbortController().signal, { session });
  expect(back.metrics).toMatchObject({ udp_sent: 5, udp_received: 5 });
});
