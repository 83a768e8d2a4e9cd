// The client's page: tests, host and agent on one time axis; what explains the figures; what a hostile host sends.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AGENT_CHARTS, HOST_CHARTS } from "../../web/state/host-charts.ts";
import { ADMIN, Api } from "../support/api.ts";
import { launchBrowser, watchedPage } from "../support/browser.ts";
import { Instance } from "../support/instance.ts";
import { ScriptedAgent } from "../support/scripted-agent.ts";
import { until } from "../support/wait.ts";

const MINUTE = 60_000;

let instance: Instance;
let api: Api;
let browser: Browser;
let page: Page;
let complaints: string[];
/** Metrics asked for since the last look. */
let asked: string[] = [];
let clientId: string;

beforeAll(async () => {
  [instance, browser] = await Promise.all([
    Instance.start({ env: { ADMIN_USERNAME: ADMIN.username, ADMIN_PASSWORD: ADMIN.password } }),
    launchBrowser(),
  ]);
  api = await Api.signIn(instance.url);
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "dark" });
  await context.addCookies([{ ...api.cookie, url: instance.url }]);
  ({ page, complaints } = await watchedPage(context));
  page.on("request", (request) => {
    const { pathname, searchParams } = new URL(request.url());
    if (pathname.endsWith("/series")) asked.push(...searchParams.getAll("metric"));
  });
  clientId = (await api.clients())[0]?.id ?? "";
  // Looked at, the agent samples every few seconds.
  await page.goto(pageOf(clientId));
  await until(
    "a host sample and a result",
    90_000,
    () => api.client(clientId),
    ({ host, latest }) => host !== null && latest.length > 0,
  );
});

afterAll(async () => {
  await browser?.close();
  await instance?.dispose();
});

const pageOf = (id: string, query = "") => `${instance.url}/clients/${id}${query}`;
const card = (key: string) => page.locator(`[data-testid="chart-${key}"]`);
const choice = (key: string) => page.locator(`[data-chart="${key}"]`);
const sliders = () => page.locator(".chart-block .chart-overlay");
/** One attribute of every chart's cursor, each once. */
const shared = async (attribute: string) =>
  new Set(await sliders().evaluateAll((all, name) => all.map((one) => one.getAttribute(name)), attribute));

async function expectToFit(what: string): Promise<void> {
  const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await expect.poll(overflow, { timeout: 3000, message: what }).toBeLessThanOrEqual(0);
}

test("few charts are open first, and only those are read", async () => {
  asked = [];
  await page.goto(pageOf(clientId));
  await card("cpu").locator(".chart-overlay").waitFor();
  const newest = (await api.client(clientId)).host?.metrics ?? {};
  const opened = [...HOST_CHARTS, ...AGENT_CHARTS].filter(
    ({ first, metrics }) => first && metrics.some((metric) => typeof newest[metric] === "number"),
  );
  expect(opened.map(({ key }) => key)).toEqual(expect.arrayContaining(["cpu", "memory", "rates"]));
  for (const { key } of opened) await card(key).waitFor();
  expect(await page.locator('[data-testid^="chart-"]').count()).toBe(opened.length);
  expect(await choice("cpu").getAttribute("aria-pressed")).toBe("true");
  expect(asked).toContain("cpu_steal_pct");
  expect(asked).not.toContain("psi_cpu_some_10");
});

test("one cursor and one zoom for tests, host and agent", async () => {
  await card("cpu")
    .locator(".chart-overlay")
    .hover({ position: { x: 200, y: 40 } });
  await expect.poll(() => page.locator(".chart-block .chart-cursor").count()).toBe(await sliders().count());
  expect(await sliders().count()).toBeGreaterThanOrEqual(4);
  expect((await shared("aria-valuenow")).size).toBe(1);
  // The keyboard steps on one chart, and all follow.
  const before = [...(await shared("aria-valuenow"))][0];
  await card("memory").locator(".chart-overlay").press("ArrowLeft");
  await expect.poll(async () => (await shared("aria-valuenow")).has(before ?? null)).toBe(false);
  expect((await shared("aria-valuenow")).size).toBe(1);
  // A drag on a host chart zooms every chart, and the URL is the view.
  const box = await card("cpu").locator(".chart-overlay").boundingBox();
  if (!box) throw new Error("the chart has no place");
  await page.mouse.move(box.x + 100, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + 300, box.y + 30, { steps: 4 });
  await page.mouse.up();
  await expect.poll(() => new URL(page.url()).searchParams.has("from")).toBe(true);
  const from = Date.parse(new URL(page.url()).searchParams.get("from") ?? "");
  await expect.poll(async () => [...(await shared("aria-valuemin"))].map((ms) => Math.round(Number(ms)))).toEqual([from]);
  await page.getByRole("button", { name: "5 min", exact: true }).click();
});

test("charts are opened, closed and folded, and that is remembered", async () => {
  asked = [];
  await choice("pressure").click();
  await card("pressure").waitFor();
  await expect.poll(() => asked.includes("psi_cpu_some_10")).toBe(true);
  await choice("memory").click();
  await page.getByRole("button", { name: "Agent and what it reaches" }).click();
  asked = [];
  await page.reload();
  await card("pressure").locator(".chart-overlay").waitFor();
  expect(await card("memory").count()).toBe(0);
  expect(await card("gateway").count()).toBe(0);
  expect(asked.filter((metric) => metric === "memory_percent" || metric === "self_gateway_rtt_ms")).toEqual([]);
  await page.getByRole("button", { name: "Agent and what it reaches" }).click();
  await choice("memory").click();
});

test("the host's parts are tables, and every figure has its group", async () => {
  const host = (await api.client(clientId)).host;
  const systems = Array.isArray(host?.detail.file_systems) ? host.detail.file_systems.length : 0;
  expect(await page.locator('[data-testid="host-file-systems"] tbody tr').count()).toBe(systems);
  expect(await page.locator('[data-testid="host-interfaces"] tbody tr').count()).toBeGreaterThan(0);
  await page.locator('[data-testid="host-figures"] summary').click();
  const figures = await page.locator('[data-testid="host-figures"]').textContent();
  expect(figures).toContain("Processor");
  expect(figures).not.toContain("Other");
  expect(await page.locator('[data-testid="host"] pre').count()).toBe(0);
  expect(await page.locator('[data-testid="consent"]').textContent()).toContain("everything the server assigns is run");
  expect(complaints).toEqual([]);
});

/** An hour of a client: cut off for ten minutes, its line full for five, and one test that its owner does not allow. */
async function lyon(): Promise<{ agent: ScriptedAgent; pingId: string; httpId: string }> {
  const consent = { types: ["ping", "dns"], destinations: ["10.0.0.0/8", "127.0.0.0/8"], min_interval_s: 30 };
  const agent = await ScriptedAgent.register(instance.url, await api.enrolmentToken(), "lyon", consent);
  const made = (type: "ping" | "http", destination: string) =>
    api.createTest({ name: `lyon ${type}`, type, destination, interval_s: 60, client_ids: [agent.clientId] });
  const [ping, http] = [await made("ping", "127.0.0.1"), await made("http", "http://127.0.0.1:9/")];
  const now = Date.now();
  const minutes = Array.from({ length: 60 }, (_, index) => ({ at: now - (60 - index) * MINUTE, index }));
  const isCut = (index: number) => index >= 20 && index < 30;
  const flagsOf = (index: number) => (isCut(index) ? ["cut_off"] : index >= 50 && index < 55 ? ["link_busy"] : []);
  const cutOff = { code: "cut_off", source: "agent", message: "this host reached neither its gateway nor its server" } as const;
  await agent.send(
    ping.id,
    minutes.map(({ at, index }) => {
      const common = { type: "ping", started_at: at, duration_ms: 2000, flags: flagsOf(index) };
      if (isCut(index)) return { ...common, status: "failed", error: cutOff, metrics: { ping_rtt_median: null } } as const;
      return { ...common, metrics: { ping_rtt_median: 12, ping_loss_pct: 0, ping_sent: 5, ping_received: 5 } };
    }),
  );
  const refused = { code: "not_consented", source: "agent", message: "this host's consent file does not allow http" } as const;
  await agent.send(http.id, [
    { type: "http", destination: "http://127.0.0.1:9/", status: "failed", error: refused, metrics: { http_total_ms: null } },
  ]);
  const reach = { target: "192.0.2.1", reached: true, ms: 0.8, how: "answered" };
  const self_test = { at: now, gateway: reach, resolver: reach, edge: { ...reach, reached: null, ms: null }, cut_off: false };
  await agent.sendHosts(
    minutes.map(({ at, index }) => ({
      started_at: at,
      flags: flagsOf(index),
      metrics: { cpu_percent: 10, memory_percent: 40, agent_cut_off_s: isCut(index) ? 60 : 0, self_gateway_rtt_ms: 0.8 },
      detail: { self_test: { ...self_test, since: null } },
    })),
  );
  return { agent, pingId: ping.id, httpId: http.id };
}

/** How long a sentence says a client reached nothing; 0 where it does not. Times of yesterday have their date. */
function outageMinutes(sentence: string | null): number {
  const said = /reached nothing from (?:[^,]*, )?(\d\d):(\d\d) to (?:[^,]*, )?(\d\d):(\d\d): its own line was cut/.exec(
    sentence ?? "",
  );
  const [fromHour = 0, fromMinute = 0, toHour = 0, toMinute = 0] = said?.slice(1).map(Number) ?? [];
  return ((toHour - fromHour) * 60 + toMinute - fromMinute + 1440) % 1440;
}

test("what explains the figures is a band with words, and no target is called failing for it", async () => {
  const { agent, pingId, httpId } = await lyon();
  await page.goto(pageOf(agent.clientId, "?range=6h"));
  await card("cpu").locator(".chart-overlay").waitFor();
  const keys = page.locator('[data-testid="band-key"]');
  await expect.poll(() => keys.count()).toBeGreaterThanOrEqual(2);
  const first = keys.first().locator("details", { hasText: "cut off" });
  await first.locator("summary").press("Enter");
  expect(await first.textContent()).toContain("the target was not judged");
  await expect.poll(async () => outageMinutes(await page.locator(".verdict").textContent())).toBeGreaterThanOrEqual(9);
  expect(outageMinutes(await page.locator(".verdict").textContent())).toBeLessThanOrEqual(12);
  const body = (await page.locator("main").textContent()) ?? "";
  expect(body).toContain("not measured: not allowed by the host's owner");
  expect(body).not.toMatch(/failing|fails/);
  expect(await page.locator('[data-testid="refused"]').count()).toBe(1);
  expect(await page.locator('[data-testid="consent"]').textContent()).toContain("only ping, DNS");
  expect(await page.locator('[data-testid="self-test"]').textContent()).toContain("reached 0.8 ms");

  await page.goto(`${instance.url}/tests/${pingId}?client=${agent.clientId}&range=1h`);
  await page.locator(".result-row").first().waitFor();
  await page.getByText("Show older results").click();
  await page.locator(".result-row", { hasText: "cut off" }).first().getByRole("button").click();
  expect(await page.locator(".result-detail").textContent()).toContain("Not measured: the client's own line was cut.");
  expect(await page.locator(".result-row .shape-bad").count()).toBe(0);
  expect(await page.locator(".result-row .chip-flag", { hasText: "link busy" }).count()).toBe(5);

  await page.goto(`${instance.url}/tests/${httpId}?client=${agent.clientId}`);
  expect(await page.locator(".verdict").first().textContent()).toContain("not allowed by the host's owner");
  expect(await page.locator('[data-testid="badge"]').textContent()).toBe("not allowed");
  await page.goto(instance.url);
  const line = page.locator(`[data-testid="fleet-row"][data-client-id="${agent.clientId}"]`);
  expect(await line.locator(".shape-bad").count()).toBe(0);
  expect(complaints).toEqual([]);
});

const MARKUP = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>';
const LONG = "x".repeat(299);

/** Host details that are nothing an agent of this version sends. */
const HOSTILE: readonly Record<string, unknown>[] = [
  { file_systems: MARKUP, disks: 7, interfaces: { a: 1 }, processes: [], self_test: MARKUP, needs: [1], inventory: MARKUP },
  {
    interfaces: Array.from({ length: 900 }, (_, n) => ({ name: `if${n}`, state: "up", rx_bytes: 1, tx_bytes: 1 })),
    file_systems: [
      null,
      [],
      {},
      { mount: MARKUP, type: LONG, total_bytes: 1e308, used_bytes: -1e308, used_pct: -1e9, inodes_used_pct: 1e9 },
    ],
    self_test: { at: 1e300 },
  },
  {
    primary_interface: MARKUP,
    default_gateway: LONG,
    interfaces: [{ name: LONG, kind: MARKUP, state: MARKUP, rx_bytes: 0, tx_bytes: 0, speed_mbps: 1e308, duplex: LONG, mtu: -1 }],
    temperatures: [{ chip: MARKUP, label: LONG, value: 1e308 }],
    drives: [
      {
        name: LONG,
        model: LONG,
        passed: false,
        temperature_c: -1e300,
        power_on_hours: 1e308,
        reallocated: 1,
        pending: 1,
        percent_used: 300,
      },
    ],
    wifi: [{ interface: LONG, ssid: MARKUP, bssid: LONG, rssi_dbm: 1e9, freq_mhz: 0, tx_mbps: 0, rx_mbps: 0 }],
    containers: [{ id: MARKUP, name: LONG, cpu_pct: 1e308, memory_bytes: 1e308 }],
    cores: [{ name: LONG, busy_pct: 1e9 }],
    processes: {
      over_s: -1e308,
      top_cpu: [{ pid: 1e21, name: MARKUP, cpu_pct: 1e9, rss_bytes: -1 }],
      top_memory: [{ pid: -1, name: LONG, cpu_pct: null, rss_bytes: null }],
    },
    self_test: {
      at: 0,
      gateway: { target: LONG, reached: true, ms: 1e308, how: MARKUP },
      resolver: { target: MARKUP, reached: false, ms: -1, how: LONG },
      edge: { target: null, reached: null, ms: null, how: "" },
      cut_off: true,
      since: 253_402_300_799_000,
    },
    needs: { cpu_temperature: MARKUP, constructor: LONG, fan_rpm_min: LONG },
    inventory: { os: MARKUP, [LONG]: LONG, memory_bytes: 1e308, deep: { a: { b: 1 } } },
  },
];

test("a hostile host's parts are text, or left out, on a desktop and on a phone", async () => {
  const agent = await ScriptedAgent.register(instance.url, await api.enrolmentToken(), "hostile", {
    destinations: [MARKUP, LONG],
    types: [MARKUP.slice(0, 30)],
  });
  for (const [index, detail] of HOSTILE.entries()) {
    await agent.sendHosts([
      { detail, flags: [MARKUP.slice(0, 60), "constructor", "cut_off"], metrics: { cpu_percent: 1e308, if_kind: MARKUP } },
    ]);
    await page.goto(pageOf(agent.clientId));
    await page.locator('[data-testid="host"] details summary').first().click();
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 844 });
      await expectToFit(`host ${index} at ${width}`);
    }
    expect(await page.locator("main img, main script").count()).toBe(0);
    expect(await page.evaluate(() => "broken" in window)).toBe(false);
    await page.setViewportSize({ width: 1280, height: 900 });
  }
  expect(await page.locator('[data-testid="host-drives"]').textContent()).toContain("failed");
  expect(complaints).toEqual([]);
});
