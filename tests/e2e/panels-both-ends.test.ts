// Measurements with a second party: their panels, runs under way, and tests that clients run against each other.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pageOf } from "#contract/api";
import { resultSchema, type WireResult } from "#contract/result";
import type { TestTypeName } from "#contract/test-types/index";
import { ADMIN, Api } from "../support/api.ts";
import { launchBrowser, watchedPage } from "../support/browser.ts";
import { freePort, Instance } from "../support/instance.ts";
import { Output } from "../support/output.ts";
import { ScriptedAgent } from "../support/scripted-agent.ts";
import { until } from "../support/wait.ts";
import { BANDWIDTH, QOS, STRANGE, STRANGE_METRICS, UDP, VOIP } from "./panels-results.ts";

const AGENT = join(import.meta.dirname, "../../agent/cli.ts");
const TARGET = "127.0.0.1:8862";

let instance: Instance;
let api: Api;
let browser: Browser;
let page: Page;
let complaints: string[];
let lyon: ScriptedAgent;
let osaka: ScriptedAgent;
let krakow: ScriptedAgent;

beforeAll(async () => {
  [instance, browser] = await Promise.all([
    Instance.start({ env: { ADMIN_USERNAME: ADMIN.username, ADMIN_PASSWORD: ADMIN.password } }),
    launchBrowser(),
  ]);
  api = await Api.signIn(instance.url);
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "dark" });
  await context.addCookies([{ ...api.cookie, url: instance.url }]);
  ({ page, complaints } = await watchedPage(context));
  const token = await api.enrolmentToken();
  lyon = await ScriptedAgent.register(instance.url, token, "lyon-gw");
  osaka = await ScriptedAgent.register(instance.url, token, "osaka-gw");
  krakow = await ScriptedAgent.register(instance.url, token, "krakow-gw");
});

afterAll(async () => {
  await browser?.close();
  await instance?.dispose();
});

/** What stands there, any blanks as one. */
const shown = async (selector: string) =>
  ((await page.locator(selector).first().textContent()) ?? "").replaceAll(/\s+/g, " ").trim();

/** A test of lyon's with one result, opened. */
async function opened(type: TestTypeName, sent: Partial<WireResult>, destination = TARGET): Promise<void> {
  const made = await api.createTest({ name: type, type, destination, interval_s: 3600, client_ids: [lyon.clientId] });
  await lyon.send(made.id, [{ type, destination, ...sent }]);
  await page.goto(`${instance.url}/tests/${made.id}?client=${lyon.clientId}`);
  await page.locator(".verdict").waitFor();
}

/** Charts follow a new width a frame later. */
async function expectToFit(what: string): Promise<void> {
  const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await expect.poll(overflow, { timeout: 3000, message: what }).toBeLessThanOrEqual(0);
}

async function expectToFitPhone(what: string): Promise<void> {
  await page.setViewportSize({ width: 390, height: 844 });
  await expectToFit(what);
  await page.setViewportSize({ width: 1280, height: 900 });
}

test("udp: each way on its own, why there is no one-way delay, and the seconds of the stream", async () => {
  await opened("udp", UDP);
  expect(await shown(".verdict")).toContain("packets were lost: 1.2 % up and 7.3 % down");
  const ways = '[data-testid="udp-directions"]';
  expect(await shown(`${ways} [data-metric="udp_loss_up_pct"]`)).toContain("1.2 %");
  expect(await shown(`${ways} [data-metric="udp_jitter_rfc3550_up"]`)).toBe("3.41 ms");
  expect(await shown(`${ways} [data-metric="udp_owd_up_ms"]`)).toContain("–");
  const clocks = await shown('[data-testid="udp-clock"]');
  expect(clocks).toContain("at least one of the two clocks is not synchronised");
  expect(clocks).toContain("is 147 ms ahead of this agent's, give or take 12.1 ms");
  expect(await page.locator('[data-testid="udp-seconds"] .second').count()).toBe(5);
  await expectToFitPhone("udp");
});

test("bandwidth: one connection beside many, an idle beside a full line, slices with their warm-up", async () => {
  await opened("bandwidth", BANDWIDTH);
  expect(await shown(".verdict")).toContain(
    "47.8 Mbit/s down and 9.56 Mbit/s up; under load the round trip grows by 499 ms (grade F)",
  );
  expect(await shown('[data-way="down"]')).toContain("One connection alone reaches 19 % of it: the path loses packets");
  const load = '[data-testid="bandwidth-load"]';
  expect(await shown(`${load} [data-metric="rtt_idle_ms"]`)).toContain("20.7 ms");
  expect(await shown(`${load} [data-metric="rtt_loaded_down_p95"]`)).toContain("520 ms");
  expect(await shown(`${load} .grade`)).toContain("F");
  expect(await page.locator('[data-testid="bandwidth-slices"] .phase-run').count()).toBe(3);
  expect(await page.locator('[data-testid="bandwidth-slices"] .slice-warm').count()).toBe(6);
  expect(await shown('[data-testid="bandwidth-slices"]')).toContain("byte budget");
  expect(await shown('section:has([data-testid="bandwidth-ways"]) > header')).toContain("88.1 MB used · 18.4 GB left this month");
  await expectToFitPhone("bandwidth");
});

test("voip: how it sounds each way, and what took the points", async () => {
  await opened("voip", VOIP);
  expect(await shown(".verdict")).toContain("estimated MOS of 3.85: some users dissatisfied; this end hears it worse");
  const down = '[data-testid="voip-ways"] [data-way="down"]';
  expect(await shown(down)).toContain("3.85 MOS");
  expect(await shown(`${down} .taken`)).toMatch(/Loss ?−14\.\d.*Too late ?−3\.\d/);
  expect(await shown('[data-testid="voip-ways"] [data-way="up"]')).toContain("satisfied");
  expect(await shown('section:has([data-testid="voip-ways"]) > header')).toContain("estimate by ITU-T G.107");
  await expectToFitPhone("voip");
});

test("qos: where the class was rewritten, that ECN is blocked, and the class that fares worse", async () => {
  await opened("qos", QOS, "127.0.0.1");
  const verdict = await shown(".verdict");
  expect(verdict).toContain("EF (46) arrives as BE (0) at hop 3");
  expect(verdict).toContain("blocks ECN");
  expect(await shown('[data-testid="qos-hops"] [data-ttl="3"]')).toContain("BE (0), changed before here");
  expect(await shown('[data-testid="qos-hops"] [data-ttl="2"]')).toContain("no answer");
  expect(await shown('[data-testid="qos-classes"] [data-dscp="8"]')).toContain("15 %");
  expect(await page.locator('[data-testid="qos-classes"] .hop-marked').getAttribute("data-dscp")).toBe("8");
  await expectToFitPhone("qos");
});

const MARKUP = '<img src=x onerror="window.broken=1">';

test.each(["udp", "bandwidth", "voip", "qos"] as const)("%s: what a hostile agent sends is text, or left out", async (type) => {
  const destination = "127.0.0.1";
  const made = await api.createTest({
    name: `hostile ${type}`,
    type,
    destination,
    interval_s: 3600,
    client_ids: [lyon.clientId],
  });
  const metrics = STRANGE_METRICS(MARKUP)[type];
  for (const detail of STRANGE(MARKUP)) {
    await lyon.send(made.id, [{ type, destination, metrics, detail }]);
    await page.goto(`${instance.url}/tests/${made.id}?client=${lyon.clientId}`);
    await page.locator(".table-results .result-row").first().waitFor();
    expect(await page.locator("main img, main script").count()).toBe(0);
    expect(await page.evaluate(() => "broken" in window)).toBe(false);
    await expectToFitPhone(JSON.stringify(detail).slice(0, 60));
  }
});

test("a run under way has a bar that tells how far it is, and none when it is over", async () => {
  // The instance's own agent: the scripted ones count as online too while they upload, and run nothing.
  const scripted = [lyon, osaka, krakow].map((agent) => agent.clientId);
  const real = (await api.clients()).find(({ id, status }) => status === "online" && !scripted.includes(id));
  const clientId = real?.id ?? "";
  const port = await freePort();
  const reflector: ChildProcess = spawn(process.execPath, [
    AGENT,
    "reflector",
    "--open",
    "--host",
    "127.0.0.1",
    "--port",
    String(port),
  ]);
  try {
    await new Output(reflector).line(/ready/, 20_000);
    const params = { count: 200, interval: 0.02 };
    const destination = `127.0.0.1:${port}`;
    const made = await api.createTest({
      name: "run",
      type: "udp",
      destination,
      params,
      interval_s: 3600,
      client_ids: [clientId],
    });
    // Its first run is over before it is ordered once more.
    const stored = () => api.get(`/results?test_id=${made.id}&limit=1`, pageOf(resultSchema));
    await until("a first result", 30_000, stored, ({ items }) => items.length > 0);
    await page.goto(`${instance.url}/tests/${made.id}?client=${clientId}`);
    await page.locator('[data-testid="live-state"][data-live="live"]').waitFor();
    await page.getByRole("button", { name: "Run now" }).click();
    const bar = page.locator('.topbar [role="progressbar"][aria-valuenow]');
    await bar.waitFor();
    expect(Number(await bar.getAttribute("aria-valuenow"))).toBeLessThanOrEqual(100);
    expect(await bar.getAttribute("aria-valuetext")).toContain("of 200 packets");
    expect(await page.locator(".btn-run").textContent()).toContain("Running");
    await bar.waitFor({ state: "detached", timeout: 20_000 });
    await page.locator(".btn-run", { hasText: "Run now" }).waitFor();
  } finally {
    reflector.kill();
  }
});

test("a test may be pointed at a client by its name, which stands for it everywhere", async () => {
  await page.goto(`${instance.url}/tests/new?client=${lyon.clientId}`);
  await page.locator('[data-testid="test-type"][value="udp"]').click();
  await page.locator('[data-testid="aim-client"]').click();
  await page.locator('[data-testid="test-submit"]').click();
  expect(await shown(".field-error")).toBe("Client to measure names no client; choose one");
  await page.locator('[data-testid="test-peer"]').selectOption({ label: "osaka-gw, never seen" });
  await page.locator('[data-testid="test-submit"]').click();
  await page.waitForURL(/\/tests\/[0-9a-z]+\?client=/);
  await page.locator("h1", { hasText: "osaka-gw" }).waitFor();
  await page.goto(`${instance.url}/tests`);
  const row = page.locator("tr", { hasText: "osaka-gw udp" });
  await row.waitFor();
  // The list of names comes a moment after the list of tests.
  await row.locator(`a[href="/clients/${osaka.clientId}"]`, { hasText: /^osaka-gw$/ }).waitFor();
  expect(await page.locator("main").textContent()).not.toContain("client:");
});

test("a mesh is a matrix that the keyboard walks; a cell leads to its pair", async () => {
  const client_ids = [lyon.clientId, osaka.clientId, krakow.clientId];
  const made = await api.createTest({ name: "offices", type: "udp", destination: "mesh", interval_s: 3600, client_ids });
  const measured = (rtt: number, loss: number) => ({ type: "udp", metrics: { udp_rtt_median: rtt, udp_loss_pct: loss } });
  await lyon.send(`${made.id}.${osaka.clientId}`, [measured(62, 0)]);
  await osaka.send(`${made.id}.${lyon.clientId}`, [measured(71, 8)]);
  await page.goto(`${instance.url}/tests/${made.id}`);
  const cell = (from: ScriptedAgent, to: ScriptedAgent) =>
    page.locator(`[data-testid="mesh"] a[href*="client=${from.clientId}"][href*="peer=${to.clientId}"]`);
  await cell(lyon, osaka).waitFor();
  expect(await cell(lyon, osaka).textContent()).toContain("62");
  expect(await cell(osaka, lyon).textContent()).toContain("8 % lost");
  await cell(lyon, osaka).focus();
  // Nobody measures itself: the walk goes over those cells, and ends at the edge.
  const focused = (link: ReturnType<typeof cell>) => link.evaluate((element) => element === document.activeElement);
  await page.keyboard.press("ArrowDown");
  expect(await focused(cell(lyon, osaka))).toBe(true);
  await page.keyboard.press("ArrowLeft");
  expect(await focused(cell(lyon, krakow))).toBe(true);
  expect(await cell(lyon, krakow).getAttribute("tabindex")).toBe("0");
  await cell(osaka, lyon).click();
  await page.locator(".pair-heading", { hasText: "osaka-gw → lyon-gw" }).waitFor();
  expect(await shown(".key-strip")).toContain("71 ms");
  await page.goto(`${instance.url}/clients/${lyon.clientId}`);
  await page.locator(`.multiples a[href*="peer=${osaka.clientId}"]`).waitFor();
  await page.goto(`${instance.url}/tests/${made.id}`);
  await cell(lyon, osaka).waitFor();
  await expectToFitPhone("mesh");
  expect(complaints).toEqual([]);
});
