import { expect, test } from "vitest";
import { TEST_TYPE_NAMES } from "#contract/test-types/index";
import { safeNext } from "../../web/safe-next.ts";
import { chosen, paramFields } from "../../web/state/param-fields.ts";
import {
  bodyOf,
  changedType,
  clientCount,
  emptyForm,
  errorsOf,
  formOfTest,
  withoutSameTarget,
} from "../../web/state/test-form.ts";
import { iso, NOW } from "./make.ts";

const form = { ...emptyForm(["a"]), destination: "crm.example" };

test("the parameters come from the type's schema", () => {
  const fields = paramFields("ping");
  expect(fields.map((field) => field.name)).toEqual(["count", "interval", "timeout", "ip_version", "dscp", "df"]);
  expect(fields.find((field) => field.name === "ip_version")).toMatchObject({ kind: "choice", choices: [4, 6] });
  expect(fields.find((field) => field.name === "df")?.kind).toBe("switch");
  expect(fields.find((field) => field.name === "interval")).toMatchObject({ kind: "number", fallback: "0.2" });
});

test("every type has a form: fields of every kind, defaults that can be left and taken back", () => {
  for (const type of TEST_TYPE_NAMES) {
    const filled = { ...form, ...changedType(type), destination: type === "http" ? "https://crm.example/" : "crm.example" };
    expect(errorsOf(filled)).toEqual({});
    expect(paramFields(type).every((field) => field.kind !== "choice" || field.choices.length > 1)).toBe(true);
  }
  const http = { ...form, ...changedType("http"), destination: "https://crm.example/" };
  const compression = paramFields("http").find((field) => field.name === "compression");
  expect(compression).toMatchObject({ kind: "switch", fallback: "true" });
  expect(compression && [chosen(compression, ""), chosen(compression, "false")]).toEqual(["true", "false"]);
  // A version that looks like a number stays the text the schema wants; a switch that is on by default can be off.
  const full = { ...http, params: { compression: "false", insecure: "true", http_version: "1.1" } };
  expect(bodyOf(full).params).toEqual({ compression: false, insecure: true, http_version: "1.1" });
  expect(errorsOf(full)).toEqual({});
  expect(bodyOf(http)).not.toHaveProperty("packet_size");
  expect(bodyOf({ ...form, ...changedType("traceroute") }).packet_size).toBeUndefined();
});

test("a filled form makes the request", () => {
  expect(errorsOf(form)).toEqual({});
  const full = { ...form, packetSize: "512", params: { count: "5", ip_version: "6", df: "true", dscp: "" } };
  expect(bodyOf(full)).toMatchObject({
    name: "crm.example ping",
    packet_size: 512,
    interval_s: 10,
    params: { count: 5, ip_version: 6, df: true },
    client_ids: ["a"],
    selector: null,
  });
});

test("every wrong field is named", () => {
  const wrong = { ...form, destination: "http://x/", packetSize: "70000", interval: "", params: { dscp: "99" }, clientIds: [] };
  const errors = errorsOf(wrong);
  expect(new Set(Object.keys(errors))).toEqual(new Set(["client_ids", "destination", "packet_size", "params.dscp"]));
  expect(errorsOf({ ...form, interval: "0" })).toHaveProperty("interval_s");
  expect(errorsOf({ ...form, packetSize: "65508" }).packet_size).toContain("65507");
  expect(errorsOf({ ...form, target: "tags" })).toHaveProperty("selector");
});

test("selectors", () => {
  expect(bodyOf({ ...form, target: "all" })).toMatchObject({ selector: { all: true }, client_ids: [] });
  expect(bodyOf({ ...form, target: "tags", tags: "role=gw" }).selector).toEqual({ tags: { role: "gw" } });
});

test("an existing test survives the form unchanged", () => {
  const stored = {
    id: "t",
    name: "CRM",
    type: "ping",
    destination: "crm.example",
    interval_s: 30,
    packet_size: 128,
    params: { count: 5, interval: 0.2, df: true },
    schedule: null,
    enabled: true,
    client_ids: [],
    selector: { site: "Lyon" },
    thresholds: {},
    created_at: iso(NOW),
    updated_at: iso(NOW),
  };
  expect(bodyOf(formOfTest(stored))).toMatchObject({
    name: "CRM",
    interval_s: 30,
    packet_size: 128,
    params: stored.params,
    selector: stored.selector,
    client_ids: [],
  });
});

test("an edit that leaves the clients alone does not mention them", () => {
  const start = { ...form, target: "site" as const, site: "Lyon" };
  expect(withoutSameTarget(bodyOf(start), { ...start, interval: "60" }, start)).not.toHaveProperty("selector");
  const moved = { ...start, site: "Kiel" };
  expect(withoutSameTarget(bodyOf(moved), moved, start)).toMatchObject({ selector: { site: "Kiel" }, client_ids: [] });
});

test("signing in leads back to this origin only", () => {
  expect(safeNext("/tests/t?range=1h")).toBe("/tests/t?range=1h");
  for (const bad of [undefined, "https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/login"]) {
    expect(safeNext(bad)).toBe("/");
  }
});

test("a parameter its schema refuses does not hide what else is wrong", () => {
  const params = { count: "50", resolver: "127.0.0.1:99999" };
  const errors = errorsOf({ ...form, ...changedType("dns"), destination: "bad host", params });
  expect(new Set(Object.keys(errors))).toEqual(new Set(["destination", "params.count", "params.resolver"]));
});

test("a test may be pointed at a client or at each other, where its type allows", () => {
  const peer = "0123456789abcdef";
  const udp = { ...form, ...changedType("udp"), clientIds: ["a", "b"] };
  const at = { ...udp, aim: "client" as const, peerId: peer };
  expect(errorsOf(at)).toEqual({});
  expect(bodyOf(at).destination).toBe(`client:${peer}`);
  expect(errorsOf({ ...at, peerId: "" }).destination).toBe("names no client; choose one");
  expect(errorsOf({ ...at, clientIds: [peer] })).toHaveProperty("client_ids");
  const mesh = { ...udp, aim: "mesh" as const };
  expect(errorsOf(mesh)).toEqual({});
  expect(bodyOf(mesh)).toMatchObject({ destination: "mesh", name: "UDP mesh" });
  expect(errorsOf({ ...mesh, clientIds: ["a"] })).toHaveProperty("client_ids");
  // What only a type with a second party can do does not outlive a change of type.
  expect({ ...mesh, ...changedType("http") }.aim).toBe("address");
  expect({ ...mesh, ...changedType("ping") }.aim).toBe("mesh");
});

test("a stored test that measures clients is edited as one", () => {
  const stored = { id: "t", name: "Offices", type: "udp", interval_s: 60, packet_size: null, params: {}, schedule: null };
  const rest = {
    enabled: true,
    client_ids: ["a", "b"],
    selector: null,
    thresholds: {},
    created_at: iso(NOW),
    updated_at: iso(NOW),
  };
  for (const destination of ["mesh", "client:0123456789abcdef", "reflector.example:862"]) {
    expect(bodyOf(formOfTest({ ...stored, ...rest, destination })).destination).toBe(destination);
  }
});

test("how many clients a form names, where that is known", () => {
  const clients = [
    { id: "a", site: "Lyon", status: "online" },
    { id: "b", site: "Osaka", status: "offline" },
    { id: "c", site: "Lyon", status: "retired" },
  ] as const;
  const count = (patch: Partial<typeof form>) => clientCount({ ...form, ...patch }, clients);
  expect(count({ clientIds: ["a", "b"] })).toBe(2);
  expect(count({ target: "all" })).toBe(2);
  expect(count({ target: "site", site: "Lyon" })).toBe(1);
  expect(count({ target: "tags", tags: "x=y" })).toBeNull();
  expect(clientCount({ ...form, target: "all" }, undefined)).toBeNull();
});
