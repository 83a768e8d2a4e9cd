// What a client must run, expanded where a test names clients as its destination; and who is concerned when a client changes.
import { and, eq, exists, inArray, ne, or } from "drizzle-orm";
import { peerDestination } from "#contract/destination";
import { seriesId } from "#contract/series-id";
import { isTestTypeName, testType } from "#contract/test-types/index";
import type { InstructedTest, Instruction } from "#contract/wire";
import { measuredBy, meshOffset, meshPlan, startOffset } from "../analysis/mesh.ts";
import type { Settings } from "./config.ts";
import type { Database } from "./database.ts";
import { type ClientRow, client, type TestRow, test, testClient } from "./schema.ts";
import { currentRevision, selects } from "./tests.ts";

type Member = Pick<ClientRow, "id" | "site" | "tags">;

/** Every test, and as much of the other clients as one client's instruction depends on. */
export interface Neighbourhood {
  self: ClientRow;
  tests: TestRow[];
  /** Whether a client runs a test, for this client and for those of meshes and of tests aimed at it. */
  runs(member: Member, row: TestRow): boolean;
  /** Ids of the clients in force that run a test of such a kind. */
  members(row: TestRow): string[];
}

/** Read in one batch. Other clients are looked at only where a test makes clients measure each other or this one. */
export async function neighbourhood(db: Database, self: ClientRow): Promise<Neighbourhood> {
  const naming = db
    .select({ id: test.id })
    .from(test)
    .where(inArray(test.destination, ["mesh", `client:${self.id}`]));
  const [tests, links, others] = await db.batch([
    db.select().from(test),
    db
      .select()
      .from(testClient)
      .where(or(eq(testClient.client_id, self.id), inArray(testClient.test_id, naming))),
    db
      .select({ id: client.id, site: client.site, tags: client.tags })
      .from(client)
      .where(and(ne(client.status, "retired"), ne(client.id, self.id), exists(naming))),
  ]);
  const named = new Set(links.map((link) => `${link.test_id} ${link.client_id}`));
  const runs = (member: Member, row: TestRow) => named.has(`${row.id} ${member.id}`) || selects(row.selector, member);
  const inForce: Member[] = self.status === "retired" ? others : [...others, self];
  const members = (row: TestRow) => inForce.filter((member) => runs(member, row)).map(({ id }) => id);
  return { self, tests, runs, members };
}

/** The clients that a client measures with a test, or undefined where the test measures an address or a name. */
export function peersOf(around: Neighbourhood, row: TestRow): { peers: string[]; left_out: number } | undefined {
  const named = peerDestination(row.destination);
  if (named === undefined) return undefined;
  if (named.kind === "mesh") return meshPlan(around.self.id, around.members(row));
  return { peers: named.client_id === around.self.id ? [] : [named.client_id], left_out: 0 };
}

/** The client's tests as its agent runs them: a test that names clients once for each of them. */
export function instructed(around: Neighbourhood, row: TestRow): InstructedTest[] {
  const { id: clientId } = around.self;
  const { id: test_id, type, destination, params, interval_s, schedule } = row;
  const planned = peersOf(around, row);
  if (planned === undefined) {
    return [{ test_id, type, destination, params, interval_s, offset_s: startOffset(clientId, test_id, interval_s), schedule }];
  }
  return planned.peers.map((peer, place) => ({
    test_id: seriesId(test_id, peer),
    type,
    destination: `client:${peer}`,
    params,
    interval_s,
    offset_s: meshOffset(clientId, test_id, interval_s, place, planned.peers.length),
    schedule,
  }));
}

/** Whether another client runs a test that is aimed at this one. */
function isAimedAt(around: Neighbourhood, row: TestRow): boolean {
  const { self } = around;
  const named = peerDestination(row.destination);
  if (named === undefined || (named.kind === "client" && named.client_id !== self.id)) return false;
  const members = around.members(row);
  const takesPart = named.kind === "client" || members.includes(self.id);
  return takesPart && members.some((id) => id !== self.id);
}

const needsReflector = ({ type }: TestRow): boolean => isTestTypeName(type) && testType(type).peer === "reflector";

/** What a client must run; nothing for one that was retired. */
export async function instructionFor(db: Database, row: ClientRow, { upload_s }: Settings): Promise<Instruction> {
  // The revision is read first: tests may then be newer than it says, never older, and the next push sets that right.
  const revision = await currentRevision(db);
  if (row.status === "retired") return { revision, tests: [], upload_s };
  const around = await neighbourhood(db, row);
  const active = around.tests.filter((one) => one.enabled);
  const aimed = active.filter((one) => isAimedAt(around, one));
  return {
    revision,
    tests: active.filter((one) => around.runs(row, one)).flatMap((one) => instructed(around, one)),
    upload_s,
    ...(aimed.length > 0 ? { aimed_at: true } : {}),
    ...(aimed.some(needsReflector) ? { reflector: true } : {}),
  };
}

/**
 * The other clients whose instruction depends on this one: those that measure it in a mesh, and those it measures, whose
 * reflectors open for it and close after it.
 */
export async function concernedBy(db: Database, row: ClientRow): Promise<string[]> {
  const around = await neighbourhood(db, row);
  const own = around.tests.filter((one) => one.enabled && around.runs(row, one));
  const ids = own.flatMap((one) => {
    const named = peerDestination(one.destination);
    if (named === undefined) return [];
    return named.kind === "mesh" ? measuredBy(row.id, around.members(one)) : [named.client_id];
  });
  return [...new Set(ids)].filter((id) => id !== row.id);
}
