// A second agent: how fast it is seen, what its death looks like, and that it comes back as itself.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentProcess } from "../support/agent-process.ts";
import { ADMIN, Api } from "../support/api.ts";
import { launchBrowser, watchedPage } from "../support/browser.ts";
import { Instance } from "../support/instance.ts";
import { until } from "../support/wait.ts";

const APPEARS_MS = 3000;
const OFFLINE_MS = 15_000;
const NAME = "second-agent";

let instance: Instance;
let api: Api;
let browser: Browser;
let page: Page;
let complaints: string[];
const agents: AgentProcess[] = [];

beforeAll(async () => {
  [instance, browser] = await Promise.all([
    Instance.start({ env: { ADMIN_USERNAME: ADMIN.username, ADMIN_PASSWORD: ADMIN.password } }),
    launchBrowser(),
  ]);
  api = await Api.signIn(instance.url);
  const context = await browser.newContext();
  await context.addCookies([{ ...api.cookie, url: instance.url }]);
  ({ page, complaints } = await watchedPage(context));
  await page.goto(instance.url);
  await page.locator('[data-testid="live-state"][data-live="live"]').waitFor();
});

afterAll(async () => {
  await browser?.close();
  for (const agent of agents) await agent.dispose();
  await instance?.dispose();
});

function startAgent(token: string, state?: string): AgentProcess {
  const agent = new AgentProcess({ server: `http://127.0.0.1:${instance.port}`, token, name: NAME, ...(state ? { state } : {}) });
  agents.push(agent);
  return agent;
}

const row = (status: string) => page.locator(`[data-testid="fleet-row"][data-status="${status}"]`, { hasText: NAME });

test("appears on the open page, shows its death as a gap, and returns as the same client", async () => {
  const agent = startAgent(await api.enrolmentToken());
  const spawned = performance.now();
  await row("online").or(row("testing")).waitFor({ timeout: 20_000 });
  const appeared = performance.now() - spawned;
  console.log(`spawn → second agent on the open fleet page: ${(appeared / 1000).toFixed(2)} s (bar ${APPEARS_MS / 1000} s)`);
  // Twice the bar: the machine that runs the tests may be busy.
  expect(appeared).toBeLessThan(2 * APPEARS_MS);
  const id = (await row("online").or(row("testing")).getAttribute("data-client-id")) ?? "";

  const made = await api.createTest({
    name: "loopback",
    type: "ping",
    destination: "127.0.0.1",
    interval_s: 1,
    params: { count: 1 },
    client_ids: [id],
  });
  const counted = async () => (await series(id, made.id)).count.reduce((sum, count) => sum + count, 0);
  await until("five results", 20_000, counted, (count) => count >= 5);

  await agent.killHard();
  const killed = performance.now();
  const diedAt = Date.now();
  await row("offline").waitFor({ timeout: 2 * OFFLINE_MS });
  const noticed = performance.now() - killed;
  console.log(`kill -9 → offline on the open page: ${(noticed / 1000).toFixed(2)} s (bar ${OFFLINE_MS / 1000} s)`);
  expect(noticed).toBeLessThan(OFFLINE_MS);

  const backAt = Date.now();
  startAgent("not needed any more", agent.state);
  await row("online").or(row("testing")).waitFor({ timeout: 20_000 });
  expect(await row("online").or(row("testing")).getAttribute("data-client-id")).toBe(id);
  await expect.poll(() => lastBucket(id, made.id), { timeout: 20_000 }).toBeGreaterThan(backAt);

  const after = await series(id, made.id);
  // Whole buckets between death and return: none of them may exist, and none anywhere may hold an invented zero.
  const resolution = after.resolution_s * 1000;
  const inGap = after.t.filter((t) => t > diedAt && t + resolution < backAt);
  expect(inGap).toEqual([]);
  expect(backAt - diedAt).toBeGreaterThan(3 * resolution);
  expect(after.median.filter((value) => value === 0)).toEqual([]);
  expect(after.count.filter((count) => count === 0)).toEqual([]);
  expect((await api.clients()).filter(({ name }) => name === NAME)).toHaveLength(1);
  expect(complaints).toEqual([]);
});

/** The raw series of the last two minutes, as fine as the edge gives it. */
async function series(clientId: string, testId: string) {
  const reply = await api.series({
    client_id: clientId,
    test_id: testId,
    metric: "ping_rtt_median",
    from: new Date(Date.now() - 120_000).toISOString(),
    to: new Date().toISOString(),
    points: "2000",
  });
  const [only] = reply.series;
  return { resolution_s: reply.resolution_s, t: only?.t ?? [], count: only?.count ?? [], median: only?.median ?? [] };
}

async function lastBucket(clientId: string, testId: string): Promise<number> {
  return (await series(clientId, testId)).t.at(-1) ?? 0;
}
