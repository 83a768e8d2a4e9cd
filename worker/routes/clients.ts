import type { Context } from "hono";
import type { Client, FleetClient } from "#contract/api";
import {
  CLIENT_STATUSES,
  clientDetailSchema,
  clientSchema,
  fleetSchema,
  ledgerSchema,
  pageOf,
  patchClientSchema,
} from "#contract/api";
import { clientObject, fleet } from "../env.ts";
import { allow } from "../middleware/authenticate.ts";
import type { App } from "../middleware/context.ts";
import { toClientPage } from "../objects/view.ts";
import { notFound, ProblemError } from "../problem-error.ts";
import { record } from "../store/audit.ts";
import { allClients, deleteClient, findClient, listClients, sees, toClient, updateClient } from "../store/clients.ts";
import { concernedBy } from "../store/instruction.ts";
import type { ClientRow } from "../store/schema.ts";
import { bumpRevision, testsOf } from "../store/tests.ts";
import { rfc3339 } from "../time.ts";
import { body, by, createRoute, db, defined, idParam, json, pageQuery, router, touched, z } from "./define.ts";
import { push } from "./push.ts";

export const clients = router();

/** A client the asker may see, or 404. */
export async function visibleClient(context: Context<App>, id: string): Promise<ClientRow> {
  const row = await findClient(db(context), id);
  if (row === undefined || !sees(context.get("actor").user.sites, row.site)) throw notFound("client");
  return row;
}

/** The row with the fleet's fresher status over it. */
function overlay(row: ClientRow, line: FleetClient | undefined): Client {
  const client = toClient(row);
  if (line === undefined) return client;
  const { status, status_reason, status_since, last_seen_at } = line;
  return { ...client, status, status_reason, status_since, last_seen_at };
}

const query = z.strictObject({
  ...pageQuery,
  site: z.string().max(100).optional(),
  tag: z.string().max(300).optional(),
  status: z.enum(CLIENT_STATUSES).optional(),
  q: z.string().max(200).optional(),
});

clients.openapi(
  createRoute({
    method: "get",
    path: "/clients",
    tags: ["clients"],
    request: { query },
    responses: { 200: json(pageOf(clientSchema)) },
  }),
  async (context) => {
    const { limit, cursor, ...filter } = context.req.valid("query");
    const { rows, next_cursor } = await listClients(db(context), context.get("actor").user.sites, filter, limit, cursor);
    const lines = new Map((await fleet(context.env).lines(rows.map((row) => row.id))).map((line) => [line.id, line]));
    return context.json({ items: rows.map((row) => overlay(row, lines.get(row.id))), next_cursor }, 200);
  },
);

clients.openapi(
  createRoute({
    method: "get",
    path: "/clients/{id}",
    tags: ["clients"],
    request: { params: idParam },
    responses: { 200: json(clientDetailSchema) },
  }),
  async (context) => {
    const row = await visibleClient(context, context.req.valid("param").id);
    const [state, tests] = await Promise.all([clientObject(context.env, row.id).state(), testsOf(db(context), row)]);
    const shown = tests.map(({ id, name, type, destination, interval_s, enabled }) => ({
      id,
      name,
      type,
      destination,
      interval_s,
      enabled,
    }));
    return context.json({ ...toClientPage(row, state), tests: shown }, 200);
  },
);

clients.openapi(
  createRoute({
    method: "patch",
    path: "/clients/{id}",
    tags: ["clients"],
    middleware: [allow("user")] as const,
    request: { params: idParam, ...body(patchClientSchema) },
    responses: { 200: json(clientSchema) },
  }),
  async (context) => {
    const before = await visibleClient(context, context.req.valid("param").id);
    const change = context.req.valid("json");
    if (change.site !== undefined && !sees(context.get("actor").user.sites, change.site)) {
      throw new ProblemError("forbidden", "You may move clients between your own sites only.");
    }
    const store = db(context);
    const now = Date.now();
    // Who measures it in a mesh, or is measured by it, may change with its site and tags, and ends with it.
    const moves = change.site !== undefined || change.tags !== undefined || change.status !== undefined;
    const others = moves ? await concernedBy(store, before) : [];
    const retired =
      change.status === "retired" ? { status_reason: "retired", status_since: now, token_epoch: before.token_epoch + 1 } : {};
    const row = (await updateClient(store, before.id, { ...defined(change), ...retired })) ?? before;
    await bumpRevision(store, now);
    const object = clientObject(context.env, row.id);
    await object.rename({ name: row.name, site: row.site, tags: row.tags });
    if (change.status === "retired") await object.retire();
    else await object.instruct();
    if (moves) await push(context, [...others, ...(row.status === "retired" ? [] : await concernedBy(store, row))]);
    await record(
      store,
      { ...by(context), action: "client.change", target: row.id, detail: { before: touched(before, change), after: change } },
      now,
    );
    return context.json(toClient(row, await object.state()), 200);
  },
);

clients.openapi(
  createRoute({
    method: "delete",
    path: "/clients/{id}",
    tags: ["clients"],
    middleware: [allow("admin")] as const,
    request: { params: idParam },
    responses: { 204: { description: "The client and all its results are gone" } },
  }),
  async (context) => {
    const row = await visibleClient(context, context.req.valid("param").id);
    const store = db(context);
    const others = await concernedBy(store, row);
    await deleteClient(store, row.id);
    await clientObject(context.env, row.id).erase();
    if (others.length > 0) await bumpRevision(store, Date.now());
    await push(context, others);
    await record(
      store,
      { ...by(context), action: "client.delete", target: row.id, detail: { name: row.name, site: row.site } },
      Date.now(),
    );
    return context.body(null, 204);
  },
);

clients.openapi(
  createRoute({
    method: "get",
    path: "/clients/{id}/ledger",
    tags: ["clients"],
    request: { params: idParam },
    responses: { 200: json(ledgerSchema, "Every sequence number the store accounts for") },
  }),
  async (context) => {
    const row = await visibleClient(context, context.req.valid("param").id);
    return context.json(await clientObject(context.env, row.id).ledger(), 200);
  },
);

clients.openapi(
  createRoute({ method: "get", path: "/fleet", tags: ["clients"], responses: { 200: json(fleetSchema) } }),
  async (context) => {
    const { sites } = context.get("actor").user;
    const rows = (await allClients(db(context))).filter((row) => sees(sites, row.site));
    const lines = await fleet(context.env).lines(rows.map((row) => row.id));
    return context.json({ generated_at: rfc3339(Date.now()), clients: lines }, 200);
  },
);
