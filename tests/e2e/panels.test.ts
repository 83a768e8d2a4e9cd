// Each test type's panel shows what its newest run really measured; what a hostile agent sends breaks no page.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import { pageOf } from "#contract/api";
import { type Result, resultSchema } from "#contract/result";
import { TEST_TYPE_NAMES, type TestTypeName } from "#contract/test-types/index";
import { formatText } from "../../web/format.ts";
import { ADMIN, Api } from "../support/api.ts";
import { launchBrowser, watchedPage } from "../support/browser.ts";
import { Instance } from "../support/instance.ts";
import { ScriptedAgent } from "../support/scripted-agent.ts";
import { CERTIFICATE_NAME, DNS_ANSWERS, type Services, startServices } from "../support/services.ts";
import { until } from "../support/wait.ts";

const RESULT_MS = 30_000;

let instance: Instance;
let api: Api;
let browser: Browser;
let page: Page;
let complaints: string[];
let services: Services;
let clientId: string;
const tests = new Map<string, string>();

beforeAll(async () => {
  [instance, browser, services] = await Promise.all([
    Instance.start({ env: { ADMIN_USERNAME: ADMIN.username, ADMIN_PASSWORD: ADMIN.password } }),
    launchBrowser(),
    startServices(),
  ]);
  api = await Api.signIn(instance.url);
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "dark" });
  await context.addCookies([{ ...api.cookie, url: instance.url }]);
  ({ page, complaints } = await watchedPage(context));
  clientId = (await api.clients())[0]?.id ?? "";
  const made: readonly (readonly [TestTypeName, string, Record<string, unknown>])[] = [
    ["traceroute", "127.0.0.1", { deadline: 5, names: false }],
    ["mtu", "127.0.0.1", { deadline: 5 }],
    ["tcp", `127.0.0.1:${services.httpPort}`, { count: 3, interval: 0.05 }],
    ["dns", "www.loopback.example", { resolver: `127.0.0.1:${services.dnsPort}` }],
    ["tls", `127.0.0.1:${services.tlsPort}`, { servername: CERTIFICATE_NAME }],
    ["http", `http://127.0.0.1:${services.httpPort}/old`, {}],
  ];
  for (const [type, destination, params] of made) {
    // One run is looked at; the next one comes when the test is over.
    const test = await api.createTest({ name: type, type, destination, params, interval_s: 3600, client_ids: [clientId] });
    tests.set(type, test.id);
  }
});

afterAll(async () => {
  await browser?.close();
  await services?.close();
  await instance?.dispose();
});

const results = async (testId: string) => (await api.get(`/results?test_id=${testId}&limit=1`, pageOf(resultSchema))).items;

/** The newest result of a type's test, with its page open. */
async function opened(type: TestTypeName): Promise<Result> {
  const testId = tests.get(type) ?? "";
  const [newest] = await until(
    `a result of ${type}`,
    RESULT_MS,
    () => results(testId),
    (found) => found.length > 0,
  );
  if (!newest) throw new Error(`${type} has no result`);
  await page.goto(`${instance.url}/tests/${testId}?client=${clientId}`);
  await page.locator(".verdict").waitFor();
  return newest;
}

/** What stands there, any blanks as one. */
const shown = async (selector: string) =>
  ((await page.locator(selector).first().textContent()) ?? "").replaceAll(/\s+/g, " ").trim();
/** Ends the test, with the agent's own words, where this machine lacks the tool or the right to measure. */
function needsTool({ skip }: TestContext, { error }: Result): void {
  skip(error !== null && ["tool_missing", "no_permission", "unsupported"].includes(error.code), error?.message);
}

/** A figure as pages write it; nothing where this machine was too busy to measure it. */
const metricText = (result: Result, name: string) =>
  result.reasons[name] === "host_overloaded" ? "" : formatText(name, result.metrics[name]);

test("every type has a button in the form, with its hint and its parameters", async () => {
  await page.goto(`${instance.url}/tests/new`);
  const types = page.locator('[data-testid="test-type"]');
  await types.first().waitFor();
  expect(await types.evaluateAll((buttons) => buttons.map((button) => button.getAttribute("value")))).toEqual([
    ...TEST_TYPE_NAMES,
  ]);
  await page.locator('[data-testid="test-type"][value="http"]').click();
  expect(await page.getByLabel("Destination").getAttribute("placeholder")).toContain("https://");
  await page.getByText("Advanced").click();
  const compression = page.getByLabel("Compression");
  expect(await compression.isChecked()).toBe(true);
  await compression.uncheck();
  expect(await compression.isChecked()).toBe(false);
});

test("traceroute: a table of hops", async (context) => {
  const result = await opened("traceroute");
  needsTool(context, result);
  const row = '[data-testid="hop-table"] tr[data-ttl="1"]';
  expect(await shown(row)).toContain("127.0.0.1");
  expect(await shown(row)).toContain(metricText(result, "path_rtt_median"));
  expect(await page.locator('[data-testid="hop-table"] tr[data-ttl]').count()).toBe(result.metrics.path_hop_count);
});

test("mtu: the sentence, and what was proven", async (context) => {
  const result = await opened("mtu");
  needsTool(context, result);
  const size = metricText(result, typeof result.metrics.path_mtu === "number" ? "path_mtu" : "pmtu_at_least");
  expect(await shown(".verdict")).toContain(size);
  expect(await shown('[data-testid="mtu-facts"] [data-metric="pmtu_interface_mtu"]')).toBe(
    metricText(result, "pmtu_interface_mtu"),
  );
});

test("tcp: connect times and the kernel's figures", async () => {
  const result = await opened("tcp");
  expect(await shown(".verdict")).toContain(metricText(result, "tcp_connect_ms"));
  expect(await shown('[data-testid="tcp-kernel"] [data-metric="tcp_mss"]')).toContain(metricText(result, "tcp_mss"));
});

test("dns: resolvers with their answers", async () => {
  const result = await opened("dns");
  const table = await shown('[data-testid="dns-resolvers"]');
  for (const answer of DNS_ANSWERS) expect(table).toContain(answer);
  expect(table).toContain(String(result.metrics.dns_server));
  expect(table).toContain(metricText(result, "dns_query_ms"));
});

test("tls: the certificate, and why it is not trusted", async () => {
  const result = await opened("tls");
  const card = await shown('[data-testid="certificate"]');
  expect(card).toContain(CERTIFICATE_NAME);
  expect(card).toContain(metricText(result, "cert_not_after"));
  expect(card).toContain(String(result.metrics.cert_fingerprint_sha256));
  expect(await shown('[data-testid="certificate-why"]')).toContain("it signed itself");
  expect(await page.locator('[data-testid="certificate-days"]').getAttribute("data-tone")).toBe("ok");
});

test("http: phases that add up, and the redirect before them", async () => {
  const result = await opened("http");
  const phases = '[data-testid="http-phases"]';
  for (const name of ["http_tcp_ms", "http_ttfb_ms", "http_download_ms", "http_total_ms"]) {
    expect(await shown(`${phases} [data-metric="${name}"]`)).toContain(metricText(result, name));
  }
  expect(await shown(`${phases} [data-metric="http_tls_ms"]`)).toContain("–");
  expect(await shown('[data-testid="http-redirects"]')).toContain(`302 http://127.0.0.1:${services.httpPort}/old`);
});

test("the client's page has them all, and so has a phone", async () => {
  await page.goto(`${instance.url}/clients/${clientId}`);
  await page.getByRole("button", { name: "1 more test" }).click();
  for (const type of tests.keys()) await page.locator(`.multiples a[href^="/tests/${tests.get(type)}"]`).waitFor();
  await page.setViewportSize({ width: 390, height: 844 });
  for (const path of [
    `/clients/${clientId}`,
    "/tests/new",
    ...[...tests.values()].map((id) => `/tests/${id}?client=${clientId}`),
  ]) {
    await page.goto(instance.url + path);
    await page.locator("main .card").first().waitFor();
    await expectToFit(path);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  expect(complaints).toEqual([]);
});

/** Charts follow a new width a frame later. */
async function expectToFit(what: string): Promise<void> {
  const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await expect.poll(overflow, { timeout: 3000, message: what }).toBeLessThanOrEqual(0);
}

const MARKUP = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>';
const LONG = "x".repeat(2000);

/** Details that are nothing an agent of this version sends. */
const HOSTILE: readonly Record<string, unknown>[] = [
  {
    hops: MARKUP,
    flows: 7,
    changes: { a: 1 },
    resolvers: MARKUP,
    chain: MARKUP,
    redirects: MARKUP,
    probes: MARKUP,
    sans: MARKUP,
  },
  { hops: [null, 3, MARKUP], chain: [[]], resolvers: [null], redirects: [7], probes: [{}], sans: [{}], rtts: "x", connects: [1] },
  {
    hops: [
      { ttl: 1, addrs: [MARKUP, 7, LONG], names: [{ a: 1 }], sent: "6", received: MARKUP, rtt_median: 1e308, flags: [MARKUP] },
      { ttl: -1, addrs: ["192.0.2.1"] },
      { ttl: 2 },
    ],
    flows: [{ path: MARKUP }, { path: 7 }],
    changes: [{ ttl: 1, from: MARKUP, to: {} }],
    resolvers: [
      {
        server: MARKUP,
        query_ms: -1e300,
        rcode: LONG,
        answers: [MARKUP, {}],
        ttl_min: "x",
        ad: "yes",
        error: { message: MARKUP },
      },
    ],
    chain: [{ subject: MARKUP, not_after: LONG }],
    sans: [MARKUP, LONG],
    redirects: [{ url: `javascript:${MARKUP}`, status: MARKUP, total_ms: {} }],
    probes: [{ size: 1e308, received: "x", icmp: { from: MARKUP } }],
  },
];

const HOSTILE_METRICS = {
  traceroute: { path_hop_count: -3, path_hash: MARKUP },
  mtu: { path_mtu: 1e308, path_mtu_method: MARKUP },
  tcp: { tcp_connect_ms: -5, tcp_cc: MARKUP, tcp_limited_by: "constructor" },
  dns: { dns_query_ms: 0, dns_rcode: MARKUP, dns_server: MARKUP },
  tls: {
    cert_days_left: -1e9,
    cert_subject_cn: MARKUP,
    cert_sans: MARKUP,
    cert_not_after: "2026-99-99T99:99:99Z",
    tls_error: "__proto__",
  },
  http: { http_ttfb_ms: -1, http_download_ms: 1e308, http_status: 1e21, http_final_url: MARKUP },
} as const;

test("a hostile agent's results are text, or left out", async () => {
  const agent = await ScriptedAgent.register(instance.url, await api.enrolmentToken(), "hostile");
  const rows = page.locator(".table-results .result-row");
  for (const type of ["traceroute", "mtu", "tcp", "dns", "tls", "http"] as const) {
    const destination = type === "http" ? "http://127.0.0.1/" : type === "dns" ? "www.loopback.example" : "127.0.0.1";
    const made = await api.createTest({
      name: `hostile ${type}`,
      type,
      destination,
      interval_s: 3600,
      client_ids: [agent.clientId],
    });
    const metrics = HOSTILE_METRICS[type];
    const error = { code: "no_reply", source: "target", message: MARKUP } as const;
    await page.goto(`${instance.url}/tests/${made.id}?client=${agent.clientId}`);
    await page.locator('[data-testid="live-state"][data-live="live"]').waitFor();
    for (const [index, detail] of HOSTILE.entries()) {
      // Each arrives on the open page and is its newest.
      await agent.send(made.id, [{ type, destination, detail, metrics, status: "partial", error }]);
      await rows.nth(index).waitFor();
      // Opened to everything: every metric, and the raw detail.
      await rows.first().getByRole("button").click();
      await page.locator(".result-detail").waitFor();
      expect(await page.locator("main img, main script").count()).toBe(0);
      expect(await page.evaluate(() => "broken" in window)).toBe(false);
      await expectToFit(`${type} ${index}`);
      await rows.first().getByRole("button").click();
    }
  }
  await page.goto(`${instance.url}/clients/${agent.clientId}`);
  await page.locator(".verdict").waitFor();
  await page.goto(instance.url);
  await page.locator('[data-testid="fleet-row"]', { hasText: "hostile" }).waitFor();
  await expectToFit("the fleet");
  expect(complaints).toEqual([]);
});
