// Events: what failed, and what witnesses saw of it.
import { pageOf } from "#contract/api";
import { type Evidence, eventDetailSchema, eventSchema, type SiblingEvidence } from "#contract/events";
import { notFound } from "../problem-error.ts";
import { findClient, type Sites, sees } from "../store/clients.ts";
import type { Database } from "../store/database.ts";
import { findEvent, listEvents, toEvent } from "../store/events.ts";
import { visibleClient } from "./clients.ts";
import { createRoute, db, idParam, json, pageQuery, router, timeParam, z } from "./define.ts";

export const events = router();

const query = z
  .strictObject({
    ...pageQuery,
    client_id: z.string().max(64).optional(),
    test_id: z.string().max(64).optional(),
    from: timeParam,
    to: timeParam,
    /** true: those that have not closed. */
    open: z
      .enum(["true", "false"])
      .transform((text) => text === "true")
      .optional(),
  })
  .refine(({ from = 0, to = Number.MAX_SAFE_INTEGER }) => from <= to, { path: ["from"], message: "must be before to" });

events.openapi(
  createRoute({
    method: "get",
    path: "/events",
    tags: ["events"],
    request: { query },
    responses: { 200: json(pageOf(eventSchema), "Newest first") },
  }),
  async (context) => {
    const { limit, cursor, ...filter } = context.req.valid("query");
    if (filter.client_id !== undefined) await visibleClient(context, filter.client_id);
    const { sites } = context.get("actor").user;
    const { rows, next_cursor } = await listEvents(db(context), sites, filter, limit, cursor);
    return context.json({ items: rows.map(toEvent), next_cursor }, 200);
  },
);

events.openapi(
  createRoute({
    method: "get",
    path: "/events/{id}",
    tags: ["events"],
    request: { params: idParam },
    responses: { 200: json(eventDetailSchema) },
  }),
  async (context) => {
    const store = db(context);
    const { sites } = context.get("actor").user;
    const row = await findEvent(store, context.req.valid("param").id);
    const owner = row === undefined ? undefined : await findClient(store, row.client_id);
    if (row === undefined || owner === undefined || !sees(sites, owner.site)) throw notFound("event");
    return context.json({ ...toEvent(row), evidence: await shown(store, row.evidence, sites) }, 200);
  },
);

/** The evidence as far as somebody limited to sites may see: other clients that he does not see have an opinion and no name. */
async function shown(store: Database, evidence: Evidence, sites: Sites): Promise<Evidence> {
  if (sites === null) return evidence;
  const siblings = await Promise.all(
    evidence.siblings.map(async (one) => {
      const row = one.client_id === null ? undefined : await findClient(store, one.client_id);
      return row !== undefined && sees(sites, row.site) ? one : nameless(one);
    }),
  );
  // The event it was taken from is another client's.
  return { ...evidence, siblings, shared_from: null };
}

/** Without who it is, its addresses, and messages that may hold them. */
function nameless(one: SiblingEvidence): SiblingEvidence {
  const check = (seen: SiblingEvidence["check"]) =>
    seen === null ? null : { ...seen, result_id: null, error: seen.error && { ...seen.error, message: "" } };
  const path = one.path && {
    ...one.path,
    result_id: null,
    error: one.path.error && { ...one.path.error, message: "" },
    hops: [],
  };
  return { ...one, client_id: null, name: null, site: null, path, same_test: check(one.same_test), check: check(one.check) };
}
