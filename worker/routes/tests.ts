import type { Context } from "hono";
import {
  assignSchema,
  createTestSchema,
  pageOf,
  patchTestSchema,
  runReplySchema,
  testDetailSchema,
  testSchema,
} from "#contract/api";
import { peerDestination } from "#contract/destination";
import { isTestTypeName, TEST_TYPES } from "#contract/test-types/index";
import { clientObject } from "../env.ts";
import { newId } from "../ids.ts";
import { allow } from "../middleware/authenticate.ts";
import type { App } from "../middleware/context.ts";
import { ProblemError } from "../problem-error.ts";
import { record } from "../store/audit.ts";
import { sees } from "../store/clients.ts";
import type { TestRow } from "../store/schema.ts";
import {
  assignClients,
  bumpRevision,
  clientsOf,
  concernedByTest,
  deleteTest,
  insertTest,
  listTests,
  namedClients,
  toTest,
  updateTest,
} from "../store/tests.ts";
import { body, by, createRoute, db, defined, idParam, json, pageQuery, router, touched, z } from "./define.ts";
import { eachClient, push } from "./push.ts";
import { clientsWithLatest } from "./test-detail.ts";
import {
  checked,
  knownTest,
  maySee,
  ownTest,
  refuseForeignSelector,
  refuseUnknownClients,
  refuseUnknownPeer,
  shownTest,
  started,
} from "./test-rules.ts";

export const tests = router();

tests.openapi(
  createRoute({
    method: "get",
    path: "/tests",
    tags: ["tests"],
    request: { query: z.strictObject(pageQuery) },
    responses: { 200: json(pageOf(testSchema)) },
  }),
  async (context) => {
    const { limit, cursor } = context.req.valid("query");
    const store = db(context);
    const { rows, next_cursor } = await listTests(store, limit, cursor);
    const { sites } = context.get("actor").user;
    const visible =
      sites === null ? rows : await asyncFilter(rows, async (row) => maySee(row, await clientsOf(store, row), sites));
    const named = await namedClients(
      store,
      visible.map((row) => row.id),
    );
    const items = await Promise.all(visible.map((row) => shownTest(context, row, named.get(row.id) ?? [])));
    return context.json({ items, next_cursor }, 200);
  },
);

async function asyncFilter<Item>(items: Item[], keep: (item: Item) => Promise<boolean>): Promise<Item[]> {
  const kept = await Promise.all(items.map(keep));
  return items.filter((_, index) => kept[index]);
}

tests.openapi(
  createRoute({
    method: "post",
    path: "/tests",
    tags: ["tests"],
    middleware: [allow("user")] as const,
    request: body(createTestSchema),
    responses: { 201: json(testSchema, "Made; its clients were told") },
  }),
  async (context) => {
    const { client_ids, packet_size, params, ...input } = context.req.valid("json");
    const interval_s = input.interval_s ?? TEST_TYPES[input.type].default_interval_s;
    const full = checked(input.type, input.destination, packet_size, params, interval_s);
    await refuseUnknownPeer(context, input.destination);
    await refuseUnknownClients(context, client_ids);
    refuseForeignSelector(context.get("actor").user.sites, input.selector);
    const store = db(context);
    const now = Date.now();
    const schedule = started(input.schedule, now);
    const row = await insertTest(
      store,
      { ...input, id: newId(), interval_s, params: full, schedule },
      [...new Set(client_ids)],
      now,
    );
    await bumpRevision(store, now);
    await record(
      store,
      {
        ...by(context),
        action: "test.create",
        target: row.id,
        detail: { name: row.name, type: row.type, destination: row.destination },
      },
      now,
    );
    await push(context, await concernedByTest(store, row));
    return context.json(toTest(row, client_ids), 201);
  },
);

tests.openapi(
  createRoute({
    method: "get",
    path: "/tests/{id}",
    tags: ["tests"],
    request: { params: idParam },
    responses: { 200: json(testDetailSchema) },
  }),
  async (context) => {
    const row = await knownTest(context, context.req.valid("param").id);
    const named = await namedClients(db(context), [row.id]);
    const clients = await clientsWithLatest(context, row);
    return context.json({ ...(await shownTest(context, row, named.get(row.id) ?? [])), clients }, 200);
  },
);

tests.openapi(
  createRoute({
    method: "patch",
    path: "/tests/{id}",
    tags: ["tests"],
    middleware: [allow("user")] as const,
    request: { params: idParam, ...body(patchTestSchema) },
    responses: { 200: json(testSchema) },
  }),
  async (context) => {
    const before = await ownTest(context, context.req.valid("param").id);
    const change = context.req.valid("json");
    const row = await applyChange(context, before, change);
    const named = await namedClients(db(context), [row.id]);
    return context.json(toTest(row, named.get(row.id) ?? []), 200);
  },
);

async function applyChange(context: Context<App>, before: TestRow, change: z.output<typeof patchTestSchema>): Promise<TestRow> {
  if (!isTestTypeName(before.type)) throw new ProblemError("conflict", `This edge does not know the test type ${before.type}.`);
  const { client_ids, packet_size, params, ...rest } = change;
  const { packet_size: size, ...old } = before.params;
  const packetSize = packet_size ?? (typeof size === "number" ? size : undefined);
  const full = checked(
    before.type,
    change.destination ?? before.destination,
    packetSize,
    params ?? old,
    change.interval_s ?? before.interval_s,
  );
  if (change.destination !== undefined) await refuseUnknownPeer(context, change.destination);
  if (client_ids !== undefined) await refuseUnknownClients(context, client_ids);
  if (rest.selector !== undefined) refuseForeignSelector(context.get("actor").user.sites, rest.selector);
  const store = db(context);
  const now = Date.now();
  const told = await concernedByTest(store, before);
  if (rest.schedule !== undefined) rest.schedule = started(rest.schedule, now);
  const row = (await updateTest(store, before.id, { ...defined(rest), params: full }, now)) ?? before;
  if (client_ids !== undefined) await assignClients(store, row.id, [...new Set(client_ids)]);
  await bumpRevision(store, now);
  await record(
    store,
    { ...by(context), action: "test.change", target: row.id, detail: { before: touched(before, change), after: change } },
    now,
  );
  await push(context, [...told, ...(await concernedByTest(store, row))]);
  return row;
}

tests.openapi(
  createRoute({
    method: "put",
    path: "/tests/{id}/clients",
    tags: ["tests"],
    middleware: [allow("user")] as const,
    request: { params: idParam, ...body(assignSchema) },
    responses: { 200: json(testSchema) },
  }),
  async (context) => {
    const { client_ids } = context.req.valid("json");
    const row = await applyChange(context, await ownTest(context, context.req.valid("param").id), { client_ids });
    return context.json(toTest(row, client_ids), 200);
  },
);

tests.openapi(
  createRoute({
    method: "delete",
    path: "/tests/{id}",
    tags: ["tests"],
    middleware: [allow("user")] as const,
    request: { params: idParam },
    responses: { 204: { description: "The test runs no more; its results stay until they age out" } },
  }),
  async (context) => {
    const row = await ownTest(context, context.req.valid("param").id);
    const store = db(context);
    const told = await concernedByTest(store, row);
    const now = Date.now();
    await deleteTest(store, row.id);
    await bumpRevision(store, now);
    await record(
      store,
      { ...by(context), action: "test.delete", target: row.id, detail: { name: row.name, destination: row.destination } },
      now,
    );
    await push(context, told);
    return context.body(null, 204);
  },
);

for (const [verb, enabled] of [
  ["pause", false],
  ["resume", true],
] as const) {
  tests.openapi(
    createRoute({
      method: "post",
      path: `/tests/{id}/${verb}`,
      tags: ["tests"],
      middleware: [allow("user")] as const,
      request: { params: idParam },
      responses: { 202: json(runReplySchema, "Its clients were told") },
    }),
    async (context) => {
      await applyChange(context, await ownTest(context, context.req.valid("param").id), { enabled });
      return context.json({ run_id: newId() }, 202);
    },
  );
}

tests.openapi(
  createRoute({
    method: "post",
    path: "/tests/{id}/run",
    tags: ["tests"],
    middleware: [allow("user")] as const,
    request: { params: idParam },
    responses: { 202: json(runReplySchema, "Ordered from every client of the test") },
  }),
  async (context) => {
    const row = await knownTest(context, context.req.valid("param").id);
    if (!row.enabled && peerDestination(row.destination) !== undefined) {
      const why = "This test is paused, and clients answer each other only while it is not. Resume it first.";
      throw new ProblemError("conflict", why);
    }
    const run_id = newId();
    const rows = (await clientsOf(db(context), row)).filter((client) => sees(context.get("actor").user.sites, client.site));
    const ids = rows.map(({ id }) => id);
    // A paused test is in nobody's instruction: what to run goes along.
    const { type, destination, params } = row;
    const job = row.enabled ? {} : { job: { type, destination, params } };
    await eachClient(context, ids, (id) => clientObject(context.env, id).run({ run_id, test_id: row.id, ...job }));
    return context.json({ run_id }, 202);
  },
);
