// The edge's own look at real servers: what it asks, how it ends, what it says of what came back.
import { describe, expect, inject, test } from "vitest";
import { edgeAim } from "../../worker/analysis/witness-plan.ts";
import { checkFromEdge } from "../../worker/objects/edge-check.ts";

const { http, mute } = inject("targets");
const LOCAL = { local: true, own: undefined };
const look = (type: string, destination: string, params: Record<string, unknown> = {}) =>
  checkFromEdge(edgeAim({ type, destination, params }), LOCAL);
const asked = async (): Promise<string[]> => (await fetch(`http://127.0.0.1:${http}/asked`)).json();

describe("a web server", () => {
  test.each<[string, string, Record<string, unknown>, string, number]>([
    ["answers", "/", {}, "ok", 200],
    ["sends a redirect, which is not followed", "/away", {}, "ok", 302],
    ["fails", "/503", {}, "failed", 503],
    ["fails as the test expects", "/503", { expect_status: "5xx" }, "ok", 503],
    ["does not answer as the test expects", "/204", { expect_status: "200" }, "failed", 204],
    ["answers through Cloudflare that it is away", "/522", {}, "failed", 522],
    ["sends a body without end", "/endless", {}, "ok", 200],
  ])("that %s", async (_, path, params, state, http_status) => {
    await asked();
    const url = `http://127.0.0.1:${http}${path}`;
    const check = await look("http", `${url}?key=secret`, params);
    expect(check).toMatchObject({ state, method: "fetch", target: url, alive: http_status === 522 ? null : true, http_status });
    expect(check.duration_ms).toBeLessThan(2000);
    expect(await asked()).toEqual([`GET ${path}?key=secret`]);
  });

  test("that takes the connection and says nothing is given up in time, and lives", async () => {
    const check = await look("http", `http://127.0.0.1:${mute}/`);
    expect(check).toMatchObject({ state: "failed", alive: true, says: "The host takes connections, but no answer within 4 s." });
    expect(check.duration_ms).toBeLessThan(7500);
  }, 10_000);

  test("that is not there is not alive either, as far as one can tell", async () => {
    expect(await look("http", "http://127.0.0.1:9/")).toMatchObject({ state: "failed", alive: null, http_status: null });
  });
});

describe("a port", () => {
  test.each([
    ["127.0.0.1", `127.0.0.1:${http}`],
    ["::1", `[::1]:${mute}`],
    ["localhost", `localhost:${http}`],
  ])("of %s is open", async (_, endpoint) => {
    expect(await look("tcp", endpoint)).toMatchObject({
      state: "ok",
      method: "connect",
      target: endpoint,
      alive: true,
      says: `The server connected to ${endpoint}.`,
    });
  });

  test("is closed, and of a host without one of its own both usual ones are tried", async () => {
    expect(await look("tcp", "127.0.0.1:9")).toMatchObject({ state: "failed", alive: null });
    expect(await look("ping", "127.80.0.1")).toMatchObject({ state: "failed", target: "127.80.0.1:443 and 80" });
  });

  test("of a resolver is asked by TCP, and of another client none at all", async () => {
    expect(await look("dns", "www.example.com", { resolver: `127.0.0.1:${mute}` })).toMatchObject({ state: "ok" });
    expect(await look("dns", "www.example.com")).toMatchObject({ state: "not_applicable", method: null });
    expect(await look("ping", "client:0123456789abcdef")).toMatchObject({ state: "not_applicable", method: null });
  });
});
