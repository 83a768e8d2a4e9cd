// What may be asked of a test, by whom, and who is told of it.
import type { Context } from "hono";
import type { Selector } from "#contract/api";
import { checkTest, type TestTypeName, testType } from "#contract/test-types/index";
import type { Schedule } from "#contract/wire";
import { clientObject } from "../env.ts";
import type { App } from "../middleware/context.ts";
import { invalid, notFound, ProblemError } from "../problem-error.ts";
import { slices } from "../slices.ts";
import { sees } from "../store/clients.ts";
import type { ClientRow, TestRow } from "../store/schema.ts";
import { clientsOf, existingClientIds, findTest, toTest } from "../store/tests.ts";
import { rfc3339 } from "../time.ts";
import { db } from "./define.ts";

const PARALLEL = 6;

/** Calls every client's object, a few at a time; one that fails does not stop the rest. */
export async function eachClient(
  context: Context<App>,
  rows: Pick<ClientRow, "id">[],
  call: (id: string) => Promise<unknown>,
): Promise<void> {
  for (const some of slices(rows, PARALLEL)) {
    const outcomes = await Promise.allSettled(some.map((row) => call(row.id)));
    for (const outcome of outcomes) {
      if (outcome.status === "rejected")
        console.error(JSON.stringify({ event: "push_failed", path: context.req.path, error: String(outcome.reason) }));
    }
  }
}

/** Tells the clients of a test, before and after a change, that their instruction is new. */
export async function push(context: Context<App>, rows: Pick<ClientRow, "id">[]): Promise<void> {
  const ids = [...new Set(rows.map((row) => row.id))].map((id) => ({ id }));
  await eachClient(context, ids, (id) => clientObject(context.env, id).instruct());
}

/** Whether somebody limited to sites may see a test: it runs, or will run, at one of them, or nowhere yet. */
export function maySee(row: TestRow, clients: ClientRow[], sites: string[]): boolean {
  if (clients.some((client) => sees(sites, client.site))) return true;
  if (row.selector !== null) return row.selector.site !== undefined && sites.includes(row.selector.site);
  return clients.length === 0;
}

export async function knownTest(context: Context<App>, id: string): Promise<TestRow> {
  const row = await findTest(db(context), id);
  if (row === undefined) throw notFound("test");
  const { sites } = context.get("actor").user;
  // Whoever sees everything needs no look at who runs it.
  if (sites !== null && !maySee(row, await clientsOf(db(context), row), sites)) throw notFound("test");
  return row;
}

/** A test that this person may change: one limited to sites changes only tests that run nowhere else, now or later. */
export async function ownTest(context: Context<App>, id: string): Promise<TestRow> {
  const row = await knownTest(context, id);
  const { sites } = context.get("actor").user;
  if (sites === null) return row;
  refuseForeignSelector(sites, row.selector);
  if ((await clientsOf(db(context), row)).some((client) => !sees(sites, client.site))) {
    throw new ProblemError("forbidden", "This test also runs at sites that are not yours. Ask somebody who may change those.");
  }
  return row;
}

export function refuseForeignSelector(sites: string[] | null, selector: Selector | null): void {
  if (sites === null || selector === null) return;
  if (selector.site === undefined || !sites.includes(selector.site)) {
    throw new ProblemError(
      "forbidden",
      "You may select clients of your own sites only. Name one of them as the selector's site.",
    );
  }
}

/** Parameters with defaults, or a 422 that names every bad field. */
export function checked(
  type: TestTypeName,
  destination: string,
  packetSize: number | undefined,
  params: Record<string, unknown>,
  intervalS: number,
) {
  if ("packet_size" in params) {
    throw invalid([{ path: "params.packet_size", message: "goes beside params, as packet_size" }]);
  }
  // Every test may be sent with a packet size; types that send no packets of their own have no use for it.
  const sized = packetSize !== undefined && Object.hasOwn(testType(type).params.shape, "packet_size");
  const result = checkTest(type, destination, { ...params, ...(sized ? { packet_size: packetSize } : {}) }, intervalS);
  if (!result.ok) throw invalid(result.errors);
  return result.params;
}

/** A schedule that ends has a beginning: now, unless it says otherwise. Else every agent would count from its own start. */
export function started(schedule: Schedule | null, now: number): Schedule | null {
  if (schedule?.duration_s === undefined || schedule.start_at !== undefined) return schedule;
  return { ...schedule, start_at: rfc3339(now) };
}

export async function refuseUnknownClients(context: Context<App>, ids: string[]): Promise<void> {
  const known = await existingClientIds(db(context), ids, context.get("actor").user.sites);
  const errors = ids.flatMap((id, index) =>
    known.has(id) ? [] : [{ path: `client_ids.${index}`, message: `names no client: ${id}` }],
  );
  if (errors.length > 0) throw invalid(errors);
}

/** A test as somebody may see it: clients of other sites are not named. */
export async function shownTest(context: Context<App>, row: TestRow, named: string[]) {
  const { sites } = context.get("actor").user;
  if (sites === null) return toTest(row, named);
  const own = await existingClientIds(db(context), named, sites);
  return toTest(
    row,
    named.filter((id) => own.has(id)),
  );
}
