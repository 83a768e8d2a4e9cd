// Results and series: read from each client's own object, merged for a test that several clients run.
import type { Context } from "hono";
import { metricSchema, pageOf, seriesSchema } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { isMetricName, METRIC_NAMES, METRICS, metricDefinition } from "#contract/metrics";
import { type Result, resultSchema, STATUSES } from "#contract/result";
import { seriesId } from "#contract/series-id";
import { resolution } from "../analysis/series.ts";
import { clientObject } from "../env.ts";
import type { App } from "../middleware/context.ts";
import { notFound, ProblemError } from "../problem-error.ts";
import { allClients, sees } from "../store/clients.ts";
import type { ClientRow } from "../store/schema.ts";
import { clientsOf, findTest } from "../store/tests.ts";
import { visibleClient } from "./clients.ts";
import { createRoute, db, idParam, json, router, timeParam, z } from "./define.ts";

export const results = router();

/** Objects read for one page; a wider question is answered client by client. */
const CLIENTS_PER_PAGE = 50;

/** The clients a question is about, as far as the asker may see them. */
async function clientsAsked(
  context: Context<App>,
  query: { test_id?: string | undefined; client_id?: string | undefined },
): Promise<ClientRow[]> {
  if (query.client_id !== undefined) return [await visibleClient(context, query.client_id)];
  const { sites } = context.get("actor").user;
  const store = db(context);
  if (query.test_id === undefined) return (await allClients(store)).filter((row) => sees(sites, row.site));
  const test = await findTest(store, query.test_id);
  if (test === undefined) throw notFound("test");
  return (await clientsOf(store, test)).filter((row) => sees(sites, row.site));
}

/** Where a page stopped: first client of the group of objects read, and for each the number to go on below; 0 is done. */
const cursorSchema = z.object({ group: z.number().int().min(0), before: z.record(z.string(), z.number().int().min(0)) });
type Cursor = z.infer<typeof cursorSchema>;

function readCursor(text: string | undefined): Cursor {
  if (text === undefined) return { group: 0, before: {} };
  try {
    return cursorSchema.parse(JSON.parse(atob(text)));
  } catch {
    throw new ProblemError("bad_query", "Take the cursor from next_cursor of the page before.", [
      { path: "cursor", message: "is not a cursor of this list" },
    ]);
  }
}

const peerParam = z.string().max(64).optional();
const PEER_OF_WHAT = { path: ["peer_id"], message: "goes with the test_id of a test that names clients" };

/** What a client's store calls the results asked for. */
const storedId = ({ test_id, peer_id }: { test_id?: string | undefined; peer_id?: string | undefined }) =>
  test_id === undefined || peer_id === undefined ? test_id : seriesId(test_id, peer_id);

const query = z
  .strictObject({
    test_id: z.string().max(64).optional(),
    /** The client measured against. */
    peer_id: peerParam,
    client_id: z.string().max(64).optional(),
    from: timeParam,
    to: timeParam,
    status: z.enum(STATUSES).optional(),
    limit: z.coerce.number().int().min(1).max(LIMITS.resultsPage).default(100),
    cursor: z.string().max(8192).optional(),
  })
  .refine(({ from = 0, to = Number.MAX_SAFE_INTEGER }) => from <= to, { path: ["from"], message: "must be before to" })
  .refine((asked) => asked.peer_id === undefined || asked.test_id !== undefined, PEER_OF_WHAT);

results.openapi(
  createRoute({
    method: "get",
    path: "/results",
    tags: ["results"],
    request: { query },
    responses: { 200: json(pageOf(resultSchema)) },
  }),
  async (context) => {
    const { cursor, client_id, peer_id, ...asked } = context.req.valid("query");
    const test_id = storedId({ test_id: asked.test_id, peer_id });
    const rows = (await clientsAsked(context, { test_id: asked.test_id, client_id })).sort((a, b) => (a.id < b.id ? -1 : 1));
    const start = readCursor(cursor);
    const group = rows.slice(start.group, start.group + CLIENTS_PER_PAGE);
    const open = group.filter((row) => start.before[row.id] !== 0);
    const pages = await Promise.all(
      open.map(async (row) => ({
        id: row.id,
        ...(await clientObject(context.env, row.id).results({ ...asked, test_id, before_seq: start.before[row.id] })),
      })),
    );
    const items = newestFirst(
      pages.map((page) => page.items),
      asked.limit,
    );
    const next_cursor = nextCursor(start, pages, items, rows.length);
    // Numbers are given when a run ends, and runs of several tests overlap: shown by when they started.
    items.sort((a, b) => (a.started_at < b.started_at ? 1 : a.started_at > b.started_at ? -1 : b.seq - a.seq));
    return context.json({ items, next_cursor }, 200);
  },
);

/**
 * Merges the clients' pages. Each client's own order (by sequence) is kept even where its clock jumped: the cursor goes on
 * below the last one shown, so an item taken out of turn would lose the ones before it.
 */
function newestFirst(pages: readonly (readonly Result[])[], limit: number): Result[] {
  const next = pages.map(() => 0);
  const merged: Result[] = [];
  while (merged.length < limit) {
    let best: { page: number; item: Result } | undefined;
    for (const [page, items] of pages.entries()) {
      const item = items[next[page] ?? 0];
      if (item !== undefined && (best === undefined || item.started_at > best.item.started_at)) best = { page, item };
    }
    if (best === undefined) break;
    next[best.page] = (next[best.page] ?? 0) + 1;
    merged.push(best.item);
  }
  return merged;
}

function nextCursor(
  start: Cursor,
  pages: { id: string; items: Result[]; next_seq: number | null }[],
  shown: Result[],
  total: number,
): string | null {
  const before: Record<string, number> = { ...start.before };
  for (const page of pages) {
    const taken = shown.filter((item) => item.client_id === page.id);
    if (taken.length < page.items.length) before[page.id] = taken.at(-1)?.seq ?? start.before[page.id] ?? Number.MAX_SAFE_INTEGER;
    else before[page.id] = page.next_seq ?? 0;
  }
  if (Object.values(before).some((seq) => seq !== 0)) return btoa(JSON.stringify({ group: start.group, before }));
  const group = start.group + CLIENTS_PER_PAGE;
  return group < total ? btoa(JSON.stringify({ group, before: {} })) : null;
}

results.openapi(
  createRoute({
    method: "get",
    path: "/results/{id}",
    tags: ["results"],
    request: { params: idParam },
    responses: { 200: json(resultSchema) },
  }),
  async (context) => {
    const [, clientId, seq] = /^([^.]+)\.(\d{1,15})$/.exec(context.req.valid("param").id) ?? [];
    if (clientId === undefined) throw notFound("result");
    const row = await visibleClient(context, clientId);
    const found = await clientObject(context.env, row.id).result(Number(seq));
    if (found === null) throw notFound("result");
    return context.json(found, 200);
  },
);

const seriesQuery = z
  .strictObject({
    test_id: z.string().max(64).optional(),
    peer_id: peerParam,
    client_id: z.string().max(64).optional(),
    metric: z.union([z.string(), z.array(z.string())]).transform((names) => [...new Set(Array.isArray(names) ? names : [names])]),
    from: timeParam,
    to: timeParam,
    points: z.coerce.number().int().min(1).max(LIMITS.seriesPoints).default(500),
  })
  .refine((asked) => asked.test_id !== undefined || asked.client_id !== undefined, {
    path: ["client_id"],
    message: "give test_id or client_id",
  })
  .refine((asked) => asked.peer_id === undefined || asked.test_id !== undefined, PEER_OF_WHAT)
  .refine((asked) => asked.metric.length <= LIMITS.seriesMetrics, {
    path: ["metric"],
    message: `at most ${LIMITS.seriesMetrics} metrics at once`,
  })
  .refine((asked) => asked.metric.every(isMetricName), {
    path: ["metric"],
    message: "is not in the catalogue; GET /api/v1/metrics lists it",
  });

results.openapi(
  createRoute({
    method: "get",
    path: "/series",
    tags: ["results"],
    request: { query: seriesQuery },
    responses: { 200: json(seriesSchema) },
  }),
  async (context) => {
    const { test_id, peer_id, client_id, metric, points, ...range } = context.req.valid("query");
    const to = range.to ?? Date.now();
    const from = range.from ?? to - 86_400_000;
    if (from >= to) throw new ProblemError("bad_query", "The range is empty.", [{ path: "from", message: "must be before to" }]);
    const rows = await clientsAsked(context, { test_id, client_id });
    if (rows.length > CLIENTS_PER_PAGE) {
      throw new ProblemError("bad_query", `This test runs on ${rows.length} clients; ask for one with client_id.`, [
        { path: "client_id", message: "is needed for a test of many clients" },
      ]);
    }
    const resolution_s = resolution(to - from, points);
    const read = await Promise.all(
      rows.map(async (row) => {
        const found = await clientObject(context.env, row.id).series({
          test_id: storedId({ test_id, peer_id }),
          metrics: metric,
          from,
          to,
          resolution_s,
        });
        const series = found.series.map((one) => ({
          client_id: row.id,
          unit: isMetricName(one.metric) ? METRICS[one.metric].unit : "",
          ...one,
        }));
        return { series, marks: found.marks.map((mark) => ({ client_id: row.id, ...mark })) };
      }),
    );
    const reply = { resolution_s, series: read.flatMap(({ series }) => series), marks: read.flatMap(({ marks }) => marks) };
    return context.json(reply, 200);
  },
);

results.openapi(
  createRoute({
    method: "get",
    path: "/metrics",
    tags: ["results"],
    responses: { 200: json(z.object({ items: z.array(metricSchema), next_cursor: z.null() })) },
  }),
  (context) => context.json({ items: METRIC_NAMES.map((name) => ({ name, ...metricDefinition(name) })), next_cursor: null }, 200),
);
