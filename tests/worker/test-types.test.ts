// Every test type through the web API: created with nothing but a destination, instructed in full, refused by field.
import { beforeAll, describe, expect, test } from "vitest";
import type { SeriesReply, Test } from "#contract/api";
import { metricDefinition } from "#contract/metrics";
import { checkTest, TEST_TYPE_NAMES, type TestTypeName, testType } from "#contract/test-types/index";
import type { Instruction } from "#contract/wire";
import { type Asker, agentOf, asAdmin, createTest, pathsOf, pingResult, problemOf, register, upload } from "./edge.ts";

let admin: Asker;
beforeAll(async () => {
  admin = await asAdmin();
});

const destinationOf = (type: TestTypeName) => (type === "http" ? "https://crm.example/health?a=1&b=2" : "crm.example");
const bodyOf = (type: TestTypeName, change: Record<string, unknown> = {}) => ({
  name: `${type} of everything`,
  type,
  destination: destinationOf(type),
  interval_s: 60,
  client_ids: [],
  ...change,
});

describe.each(TEST_TYPE_NAMES)("%s", (type) => {
  test("is created with its defaults, which its agent gets in full", async () => {
    const client = await register();
    const created = await createTest(admin, bodyOf(type, { client_ids: [client.client_id], packet_size: 64 }));
    const checked = checkTest(type, destinationOf(type), {}, 60);
    expect(checked.ok).toBe(true);
    const { packet_size: _size, ...defaults } = checked.ok ? checked.params : {};
    expect(created).toMatchObject({ type, destination: destinationOf(type), params: defaults });
    const { tests } = await agentOf(client).get<Instruction>("/api/agent/v1/instruction");
    expect(tests).toMatchObject([
      { test_id: created.id, type, destination: destinationOf(type), params: checked.ok ? checked.params : {} },
    ]);
  });

  test("names a bad destination and an unknown parameter", async () => {
    const bad = await admin.send("POST", "/api/v1/tests", bodyOf(type, { destination: "$(id) x" }));
    expect(bad.status).toBe(422);
    expect(pathsOf(await problemOf(bad))).toContain("destination");
    const unknown = await admin.send("POST", "/api/v1/tests", bodyOf(type, { params: { shell: "id" } }));
    expect(unknown.status).toBe(422);
    expect(pathsOf(await problemOf(unknown)).join()).toMatch(/params/);
  });

  test("its metrics are in the catalogue, its headline is its own and led by a number, its run has an end", () => {
    const definition = testType(type);
    expect(definition.metrics.length).toBeGreaterThan(0);
    for (const name of definition.headline) expect(definition.metrics).toContain(name);
    expect(definition.headline.slice(0, 1).map((name) => metricDefinition(name).kind)).toEqual(["number"]);
    const checked = checkTest(type, destinationOf(type), {});
    const deadline = checked.ok ? definition.deadline_ms(checked.params) : Number.NaN;
    expect(deadline).toBeGreaterThan(0);
    expect(deadline).toBeLessThan(60_000);
  });

  test("its results are stored and drawn by their first headline", async () => {
    const client = await register();
    const created: Test = await createTest(admin, bodyOf(type, { client_ids: [client.client_id] }));
    const metric = testType(type).headline[0] ?? "";
    const result = pingResult(1, { type, test_id: created.id, metrics: { [metric]: 12.5 }, reasons: {} });
    expect(await agentOf(client).post("/api/agent/v1/upload", upload(1, 1, { results: [result] }))).toEqual({ ack: 1 });
    const { series } = await admin.get<SeriesReply>(`/api/v1/series?test_id=${created.id}&metric=${metric}`);
    expect(series.map(({ median }) => median)).toEqual([[12.5]]);
    const detail = await admin.get<{ latest: { metrics: Record<string, unknown> }[] }>(`/api/v1/clients/${client.client_id}`);
    expect(detail.latest[0]?.metrics).toEqual({ [metric]: 12.5 });
  });
});
