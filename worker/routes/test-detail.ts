// One test's clients with their newest results; where the test names clients as destination, one result for each of them.
import type { Context } from "hono";
import type { TestDetail } from "#contract/api";
import { peerDestination } from "#contract/destination";
import { isUnmeasured, type Result } from "#contract/result";
import { meshPlan } from "../analysis/mesh.ts";
import { clientObject, fleet } from "../env.ts";
import type { App } from "../middleware/context.ts";
import { findClient, sees } from "../store/clients.ts";
import type { ClientRow, TestRow } from "../store/schema.ts";
import { clientsOf } from "../store/tests.ts";
import { db } from "./define.ts";

type ClientOfTest = TestDetail["clients"][number];

/** Clients whose newest results are read; a page shows no more at once. */
const CLIENTS_READ = 50;
const BADNESS = { ok: 0, partial: 1, failed: 2 } as const;
const UNMEASURED = 0.5;

/** The clients of a test that the asker may see. A peer is named even where its site is another: results name it as well. */
export async function clientsWithLatest(context: Context<App>, test: TestRow): Promise<ClientOfTest[]> {
  const everyone = await clientsOf(db(context), test);
  const { sites } = context.get("actor").user;
  const rows = everyone.filter((client) => sees(sites, client.site));
  const [lines, plan, latest] = await Promise.all([
    fleet(context.env).lines(rows.map((client) => client.id)),
    planOf(context, test, everyone),
    latestOf(context, rows.slice(0, CLIENTS_READ), test.id),
  ]);
  const status = new Map(lines.map((line) => [line.id, line.status]));
  return rows.map(({ id, name, site, status: stored }) => {
    const { peers, left_out } = plan(id);
    const results = latest.get(id) ?? [];
    const newestTo = (peerId: string | null) => results.find((result) => result.peer_id === peerId) ?? null;
    const each = peers.map((peer) => ({ peer_id: peer.id, name: peer.name, latest: newestTo(peer.id) }));
    const shown = peerDestination(test.destination) === undefined ? newestTo(null) : worst(each.map((one) => one.latest));
    return { id, name, site, status: status.get(id) ?? stored, latest: shown, peers: each, peers_left_out: left_out };
  });
}

interface Plan {
  peers: { id: string; name: string }[];
  left_out: number;
}

/** What each client of a test measures against; nothing where the test names no clients. */
async function planOf(context: Context<App>, test: TestRow, everyone: readonly ClientRow[]): Promise<(id: string) => Plan> {
  const named = peerDestination(test.destination);
  if (named === undefined) return () => ({ peers: [], left_out: 0 });
  if (named.kind === "client") {
    const name = (await findClient(db(context), named.client_id))?.name ?? named.client_id;
    const peers = [{ id: named.client_id, name }];
    return (id) => ({ peers: id === named.client_id ? [] : peers, left_out: 0 });
  }
  const names = new Map(everyone.map(({ id, name }) => [id, name]));
  const members = [...names.keys()];
  return (id) => {
    const { peers, left_out } = meshPlan(id, members);
    return { peers: peers.map((peer) => ({ id: peer, name: names.get(peer) ?? peer })), left_out };
  };
}

const badness = (result: Result): number => (isUnmeasured(result) ? UNMEASURED : BADNESS[result.status]);

/** Failed before partial before not measured before ok; among equals the one that began last. */
function worst(results: readonly (Result | null)[]): Result | null {
  const worse = (a: Result, b: Result) =>
    badness(b) - badness(a) || (a.started_at < b.started_at ? 1 : a.started_at > b.started_at ? -1 : 0);
  return results.filter((result) => result !== null).sort(worse)[0] ?? null;
}

/** The newest results of a test by client; a client whose object does not answer has none. */
async function latestOf(context: Context<App>, rows: readonly ClientRow[], testId: string): Promise<Map<string, Result[]>> {
  const read = await Promise.allSettled(rows.map(async (row) => (await clientObject(context.env, row.id).state()).latest));
  return new Map(
    rows.map((row, index) => {
      const state = read[index];
      const results = state?.status === "fulfilled" ? state.value : [];
      return [row.id, results.filter((result) => result.test_id === testId)];
    }),
  );
}
