// What may be asked of a test, by whom, and who is told of it.
import type { Context } from "hono";
import type { Selector } from "#contract/api";
import { peerDestination } from "#contract/destination";
import { checkTest, type TestTypeName, testType } from "#contract/test-types/index";
import type { Schedule } from "#contract/wire";
import type { App } from "../middleware/context.ts";
import { invalid, notFound, ProblemError } from "../problem-error.ts";
import { findClient, sees } from "../store/clients.ts";
import type { ClientRow, TestRow } from "../store/schema.ts";
import { clientsOf, existingClientIds, findTest, toTest } from "../store/tests.ts";
import { rfc3339 } from "../time.ts";
import { db } from "./define.ts";

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
  if ((await unknownPeer(context, row.destination)) === "foreign") {
    throw new ProblemError(
      "forbidden",
      "This test measures a client of a site that is not yours. Ask somebody who may change it.",
    );
  }
  return row;
}

/** What is wrong with the client that a destination names, as far as the asker may know of it. */
async function unknownPeer(context: Context<App>, destination: string): Promise<"unknown" | "foreign" | "retired" | undefined> {
  const named = peerDestination(destination);
  if (named?.kind !== "client") return undefined;
  const row = await findClient(db(context), named.client_id);
  if (row === undefined) return "unknown";
  if (!sees(context.get("actor").user.sites, row.site)) return "foreign";
  return row.status === "retired" ? "retired" : undefined;
}

/** A destination may name a client that is there and that the asker sees. */
export async function refuseUnknownPeer(context: Context<App>, destination: string): Promise<void> {
  const problem = await unknownPeer(context, destination);
  if (problem === undefined) return;
  // Whether a client of another site exists is nobody's business.
  const message = problem === "retired" ? "names a client that was retired" : "names no client; write client: and its id";
  throw invalid([{ path: "destination", message }]);
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
