// What a first start makes from the environment, and that later starts leave alone what people did since.
import { beforeAll, expect, test } from "vitest";
import type { Test, Token } from "#contract/api";
import { seed } from "../../worker/auth/seed.ts";
import { type Asker, asAdmin, ENROLMENT, problemOf, register, registration } from "./edge.ts";
import { edgeEnv } from "./inside.ts";

let admin: Asker;

beforeAll(async () => {
  admin = await asAdmin();
});

/** Another start on the same database: every isolate seeds anew. */
const startAgain = (change: Record<string, string> = {}) => seed({ ...edgeEnv, ...change });

const tokens = async () => (await admin.get<{ items: Token[] }>("/api/v1/tokens")).items;
const tests = async () => (await admin.get<{ items: Test[] }>("/api/v1/tests")).items.map(({ id }) => id);

test("the first start makes the starter test and the tokens of the environment", async () => {
  expect(await tests()).toEqual(["starter-ping"]);
  expect((await tokens()).map(({ kind, max_uses }) => [kind, max_uses])).toEqual([
    ["enrolment", null],
    ["enrolment", null],
  ]);
});

test("a revoked token stays revoked and stops no later start", async () => {
  await register();
  for (const { id } of await tokens()) expect((await admin.send("DELETE", `/api/v1/tokens/${id}`)).status).toBe(204);
  await startAgain();
  expect((await tokens()).every(({ revoked_at }) => revoked_at !== null)).toBe(true);
  const refused = await admin.send("POST", "/api/agent/v1/register", registration(), { authorization: `Bearer ${ENROLMENT}` });
  expect([refused.status, (await problemOf(refused)).code]).toEqual([401, "bad_token"]);
});

test("a deleted starter test does not come back", async () => {
  expect((await admin.send("DELETE", "/api/v1/tests/starter-ping")).status).toBe(204);
  await startAgain();
  expect(await tests()).toEqual([]);
});

test("an enrolment token given to a later start is not made", async () => {
  const before = (await tokens()).length;
  await startAgain({ ENROLMENT_TOKEN: "sse_given-to-a-later-start" });
  expect(await tokens()).toHaveLength(before);
});
